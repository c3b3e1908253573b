"""Starts every process of the mesh, keeps it running, reports on it, leaves nothing behind."""
