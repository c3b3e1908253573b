"""Fixtures of the SDK's own tests."""

from twinmesh_sdk.testing.fixtures import bus, clock, issuer, nats

__all__ = ["bus", "clock", "issuer", "nats"]
