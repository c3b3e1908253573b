"""Assembles the twin."""

from hello_twin.subgraph import schema
from twinmesh_sdk.contract import Contract
from twinmesh_sdk.runtime import TwinService, TwinSettings


def main() -> None:
    """Run until stopped."""
    service = TwinService(TwinSettings(), Contract.load("hello_twin"))
    service.add_subgraph(schema, context=object)
    service.start()
