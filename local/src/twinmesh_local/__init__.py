"""The mesh on one machine: supervisor, stores, issuer, plant."""
