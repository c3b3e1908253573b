"""Roles, modes, configuration histories and the contract."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

import maintenance_twin
from maintenance_twin.app import budget_of
from maintenance_twin.model.configuration import Configurations, Span
from maintenance_twin.model.row import mode_name
from maintenance_twin.model.signal import WATCHED, Role, role_of
from maintenance_twin.model.tolerance import TOLERANCES
from maintenance_twin.model.tuning import DEFAULT, Tuning
from maintenance_twin.settings import Settings
from maintenance_twin.subgraph import schema
from twinmesh_sdk.contract import Contract
from twinmesh_sdk.core.errors import InvalidInputError
from twinmesh_sdk.graphql import sdl_of

CONTRACT = Path(maintenance_twin.__file__).parent / "contract"


@pytest.mark.parametrize(
    ("name", "unit", "role"),
    [
        ("flow", "m3/s", Role.FLOW),
        ("Volume Flow RateRMS", "m3/s", Role.FLOW),
        ("q", "m3/s", Role.FLOW),
        ("suction_pressure", "Pa", Role.SUCTION_PRESSURE),
        ("discharge_pressure", "Pa", Role.PRESSURE),
        ("head", "m", Role.PRESSURE),
        ("power", "W", Role.POWER),
        ("current", "A", Role.CURRENT),
        ("vibration_2", "m/s2", Role.VIBRATION),
        ("Accelerometer1RMS", "m/s2", Role.VIBRATION),
        ("fluid_temperature", "K", Role.TEMPERATURE),
        ("Thermocouple", "K", Role.TEMPERATURE),
        ("motor_speed", "Hz", Role.SPEED),
        ("operating_mode", "1", Role.MODE),
        ("voltage", "V", None),
        ("ambient_temperature", "K", None),
        ("electricity_energy", "J", None),
        ("solar_irradiance", "W/m2", None),
    ],
)
def test_what_a_signal_measures_follows_from_its_name_or_its_unit(name, unit, role):
    assert role_of(name, unit) is role


def test_every_watched_role_has_a_tolerance():
    assert set(TOLERANCES) == set(WATCHED)


@pytest.mark.parametrize(
    ("value", "name"), [(0.0, "0"), (1.0, "1"), (0.9999, "1"), (float("nan"), "")]
)
def test_modes_are_named_by_their_number(value, name):
    assert mode_name(value) == name


spans = st.lists(
    st.tuples(st.integers(0, 50), st.integers(1, 50)).map(lambda p: (p[0], p[0] + p[1])),
    max_size=6,
).map(lambda ps: [Span(a, b, f"c{i}") for i, (a, b) in enumerate(ps)])


@given(spans, st.integers(0, 120))
def test_at_any_time_one_version_holds_or_none(given_spans, moment):
    history = Configurations.of(given_spans)

    found = history.at(moment)

    assert found.from_us <= moment < found.to_us
    assert sum(s.from_us <= moment < s.to_us for s in history.spans) <= 1
    covered = any(s.from_us <= moment < s.to_us for s in given_spans)
    assert bool(found.configuration_id) == covered


@given(spans, spans, st.integers(0, 120))
def test_the_first_difference_is_the_first(one, other, until):
    a, b = Configurations.of(one), Configurations.of(other)

    first = a.first_difference(b, until)

    differing = [
        t for t in range(until + 1) if a.at(t).configuration_id != b.at(t).configuration_id
    ]
    assert first == (differing[0] if differing else None)


def test_the_exported_schema_is_what_the_code_serves():
    assert (CONTRACT / "schema.graphql").read_text() == sdl_of(schema)


def test_the_charter_answers_and_names_its_budgets():
    contract = Contract.load("maintenance_twin")

    budgets = {f["decision"]: f["budget_s"] for f in contract.charter["freshness"]}

    assert contract.kind == "domain"
    assert budgets == {"trip": 60, "review": 14_400}
    assert budget_of(contract).budget_s == 60
    assert len(contract.event_schemas) == 6
    assert yaml.safe_load((CONTRACT / "twin.yaml").read_text())["name"] == contract.service


def test_settings_speak_of_the_same_defaults_as_the_model():
    for name in ("baseline_rows", "healthy_close_s", "false_alarm_probability"):
        assert Settings.model_fields[name].default == getattr(DEFAULT, name)
    for name in ("persistence_s", "lateness_s"):
        assert Settings.model_fields[name].default == getattr(DEFAULT, name)


@pytest.mark.parametrize(
    "wrong",
    [
        {"baseline_rows": 3},
        {"level_s": 0.0},
        {"slow_s": 1e6},
        {"false_alarm_probability": 1.0},
        {"release_ratio": 0.0},
        {"persistence_share": 0.2},
    ],
)
def test_constants_that_cannot_work_are_refused(wrong):
    with pytest.raises(InvalidInputError):
        Tuning(**wrong)
