"""What is published is what the code holds."""

import json
import re
from importlib.resources import files
from pathlib import Path

import yaml

from governance.decide.charter_meaning import check_charter_meaning
from governance.decide.charter_shape import charter_schema, check_charter_shape
from governance.decide.compat.case import PROFILES
from governance.decide.compat.graphql_inspector import OPTIONS
from governance.decide.compat.json_schema.differences import LENIENT
from governance.decide.compat.protobuf_mesh import RULES
from governance.decide.composition import MISSING_PARTNER
from governance.decide.descriptors import check_descriptors
from governance.settings import GovernanceSettings
from governance.subgraph import SCHEMA
from governance.wire import bundle_from_pb
from twinmesh_sdk.contract import Contract
from twinmesh_sdk.graphql import sdl_of
from twinmesh_sdk.runtime.settings import DatabaseSettings

ROOT = Path(__file__).resolve().parents[3]
REFERENCE = ROOT / "docs/reference"


def test_the_exported_sdl_is_what_is_served():
    exported = (files("governance") / "contract" / "schema.graphql").read_text()

    assert exported == sdl_of(SCHEMA), (
        "write it anew: python -m twinmesh_sdk.export_sdl governance.subgraph:SCHEMA"
    )


def test_the_published_charter_schema_is_the_one_in_force():
    assert json.loads((REFERENCE / "charter.schema.json").read_text()) == charter_schema()


def test_governances_own_contract_follows_its_rules():
    contract = Contract.load("governance")
    bundle = bundle_from_pb(contract.to_pb(subgraph_url="http://g/graphql"))

    assert check_charter_shape(bundle.service, bundle.charter) == []
    assert check_charter_meaning(bundle) == []
    assert check_descriptors(bundle) == []
    assert bundle.digest == contract.digest


def test_every_contract_of_the_release_follows_the_charters_rules():
    found = [
        path
        for folder in ("services", "gateway", "governance", "examples")
        for path in (ROOT / folder).rglob("twin.yaml")
    ]
    assert found
    for path in found:
        charter = yaml.safe_load(path.read_text())
        assert check_charter_shape(charter["name"], charter) == [], path


def test_every_profile_and_rule_is_documented():
    text = (REFERENCE / "compatibility.md").read_text()
    names = {name for profiles in PROFILES.values() for name in profiles}

    for name in (*names, *RULES, *OPTIONS, *(LENIENT - {""})):
        assert f"`{name}`" in text, name


def test_every_setting_of_its_own_is_documented():
    text = (REFERENCE / "contract-rules.md").read_text()

    for name in GovernanceSettings.model_fields.keys() - DatabaseSettings.model_fields.keys():
        assert f"`TWIN_{name.upper()}`" in text, name


def test_every_code_of_a_rule_is_documented():
    text = (REFERENCE / "contract-rules.md").read_text()
    rules = Path(str(files("governance"))) / "decide"
    codes = {
        code
        for path in rules.glob("*.py")
        for code in re.findall(r'"([A-Z]+(?:_[A-Z]+)+)"', path.read_text())
        if path.name != "publication.py"
    }

    assert codes
    for code in codes:
        assert f"`{code}`" in text, code
    for code in MISSING_PARTNER:
        assert f"`{code}`" in text, code
