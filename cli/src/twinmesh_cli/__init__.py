"""The twinmesh command."""
