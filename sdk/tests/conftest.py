"""Fixtures of the SDK's own tests."""

pytest_plugins = ["twinmesh_sdk.testing.fixtures"]
