"""Loads the fixtures that start servers, for all members' tests; see `twinmesh_local.testing`."""

# Imported first, because their folders carry the same names: pytest would otherwise
# take `gateway/tests/...` for a part of a namespace package `gateway`.
import gateway  # noqa: F401
import governance  # noqa: F401

pytest_plugins = ["twinmesh_local.testing"]
