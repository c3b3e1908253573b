"""The smallest twin: one field on every asset."""
