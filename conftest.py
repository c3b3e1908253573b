"""Loads the fixtures that start servers, for the tests of every member; see `twinmesh_local.testing`."""

pytest_plugins = ["twinmesh_local.testing"]
