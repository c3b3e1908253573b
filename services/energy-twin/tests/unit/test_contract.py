import json
from importlib.resources import files

import jsonschema
import pytest

from energy_twin import wire
from energy_twin.adapters.tables import METADATA
from energy_twin.app import budget_of
from energy_twin.subgraph import SCHEMA
from twinmesh_sdk.contract import Contract
from twinmesh_sdk.graphql import sdl_of


def test_the_exported_schema_is_what_the_code_serves():
    """Write it anew: `python -m twinmesh_sdk.export_sdl energy_twin.subgraph:SCHEMA`."""
    exported = (files("energy_twin") / "contract" / "schema.graphql").read_text()
    assert exported == sdl_of(SCHEMA)


def test_the_contract_declares_every_event_that_is_published():
    assert {e.type for e in Contract.load("energy_twin").events} == {wire.BASELINE_LEARNED}


def test_the_charter_declares_one_budget():
    budget = budget_of(Contract.load("energy_twin"))
    assert (budget.decision, budget.budget_s) == ("monthly-energy", 86_400.0)


def test_every_field_of_the_graph_is_described():
    keys = {"id", "assetId", "from", "to"}
    for name, kind in SCHEMA._schema.type_map.items():
        own = not name.startswith("_") and name not in {"Asset", "AssetPeriod"}
        if own and getattr(kind, "fields", None):
            for field, definition in kind.fields.items():
                if not field.startswith("_") and field not in keys:
                    assert definition.description, f"{name}.{field}"


def test_the_field_added_to_an_asset_and_to_a_period_may_be_null():
    for name in ("Asset", "AssetPeriod"):
        assert not str(SCHEMA._schema.type_map[name].fields["energy"].type).endswith("!")


def test_the_charter_follows_the_published_schema(pytestconfig):
    path = pytestconfig.rootpath / "docs" / "reference" / "charter.schema.json"
    if not path.is_file():
        pytest.skip("docs/reference/charter.schema.json is not in this checkout")
    jsonschema.validate(dict(Contract.load("energy_twin").charter), json.loads(path.read_text()))


def test_the_tables_are_those_of_the_energy_twin_and_of_the_mesh():
    assert {name for name in METADATA.tables if name.startswith("energy_")} == {
        "energy_signal",
        "energy_segment",
        "energy_baseline",
    }
