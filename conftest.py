"""Loads the fixtures that start servers, for all members' tests; see `twinmesh_local.testing`."""

from hypothesis import settings

# Imported before any test, because their folders carry the same names: pytest would otherwise
# take `gateway/tests/...` for a part of a namespace package `gateway`.
import gateway  # noqa: F401
import governance  # noqa: F401

pytest_plugins = ["twinmesh_local.testing"]

# A slow machine is no failure: timings are benchmarks. All else, as CI's fixed seed, stays.
settings.register_profile("patient", settings(), deadline=None)
settings.load_profile("patient")
