import json
from importlib.resources import files

import jsonschema
import pytest

from asset_registry import wire
from asset_registry.subgraph import SCHEMA
from twinmesh_sdk.contract import Contract
from twinmesh_sdk.graphql import sdl_of


def test_the_exported_schema_is_what_the_code_serves():
    """Write it anew: `python -m twinmesh_sdk.export_sdl asset_registry.subgraph:SCHEMA`."""
    exported = (files("asset_registry") / "contract" / "schema.graphql").read_text()
    assert exported == sdl_of(SCHEMA)


def test_the_contract_declares_every_event_that_is_published():
    published = {
        wire.ASSET_REGISTERED,
        wire.ALIAS_ASSIGNED,
        wire.RELATION_RECORDED,
        wire.CONFIGURATION_RECORDED,
        wire.SIGNAL_DEFINED,
    }
    assert {event.type for event in Contract.load("asset_registry").events} == published


def test_every_field_of_the_graph_is_described():
    for name, kind in SCHEMA._schema.type_map.items():
        own = not name.startswith("_") and name not in {"PageInfo", "String", "Float", "Int", "ID"}
        if own and getattr(kind, "fields", None) and not name.endswith(("Edge", "Connection")):
            for field, definition in kind.fields.items():
                if not field.startswith("_"):
                    assert definition.description, f"{name}.{field}"


def test_the_charter_follows_the_published_schema(pytestconfig):
    path = pytestconfig.rootpath / "docs" / "reference" / "charter.schema.json"
    if not path.is_file():
        pytest.skip("docs/reference/charter.schema.json is not in this checkout")
    jsonschema.validate(dict(Contract.load("asset_registry").charter), json.loads(path.read_text()))
