"""One file per technology that governance stands on."""
