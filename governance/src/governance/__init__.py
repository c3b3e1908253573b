"""Contracts, models and approvals of the mesh."""
