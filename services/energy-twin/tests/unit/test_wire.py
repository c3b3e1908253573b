import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from energy_twin import wire
from energy_twin.model.series import Role
from twinmesh.assets.v1 import model_pb2 as assets_pb
from twinmesh.telemetry.v1 import readings_pb2
from twinmesh_sdk.core.errors import InvalidInputError, TwinError
from twinmesh_sdk.core.times import OPEN_US
from twinmesh_sdk.wire import bitemporal_to_pb

ASSET = "ast_01J0000000000000000000000A"
SIGNALS = [f"sig_01J000000000000000000000{n:02d}" for n in range(2)]


def batch(**changes):
    message = readings_pb2.ReadingBatch(
        tenant="acme",
        asset_ids=[ASSET],
        signals=[
            readings_pb2.SignalRef(signal_id=signal, asset_index=0, name="power", unit="W")
            for signal in SIGNALS
        ],
        signal_index_u32=np.array([0, 1, 0, 0], "<u4").tobytes(),
        observed_at_us_i64=np.array([2, 1, 1, 3], "<i8").tobytes(),
        value_f64=np.array([20.0, 5.0, 10.0, 30.0], "<f8").tobytes(),
        status_code_u32=np.array([0, 0, 0x40000000, 0x80000000], "<u4").tobytes(),
        recorded_at_us=77,
    )
    for name, value in changes.items():
        setattr(message, name, value)
    return message


def test_readings_are_sorted_graded_and_bad_ones_left_out():
    one, two = wire.arrived_of(batch().SerializeToString(), tenant="acme")

    assert one.series.times_us.tolist() == [1, 2]
    assert one.series.values.tolist() == [10.0, 20.0]
    assert one.series.grades.tolist() == [1, 0]
    assert (two.signal_id, two.series.values.tolist(), two.known_at_us) == (SIGNALS[1], [5.0], 77)


def test_values_that_are_no_numbers_and_times_out_of_range_are_left_out():
    message = batch(
        value_f64=np.array([np.nan, 5.0, np.inf, 30.0], "<f8").tobytes(),
        observed_at_us_i64=np.array([2, 2**62, 1, 3], "<i8").tobytes(),
    )
    assert wire.arrived_of(message.SerializeToString(), tenant="acme") == []


@pytest.mark.parametrize(
    "changes",
    [
        {"tenant": "globex"},
        {"value_f64": b"\0" * 7},
        {"signal_index_u32": np.array([0, 1, 0, 9], "<u4").tobytes()},
    ],
)
def test_a_batch_that_contradicts_itself_is_refused(changes):
    with pytest.raises(InvalidInputError):
        wire.arrived_of(batch(**changes).SerializeToString(), tenant="acme")


@given(st.binary(max_size=200))
def test_whatever_bytes_come_are_read_or_refused(data):
    try:
        wire.arrived_of(data, tenant="acme")
    except TwinError:
        return


def test_a_configuration_without_a_break_is_one_period():
    def version(name, start, end):
        return assets_pb.ConfigurationVersion(
            configuration_id=name,
            interval=bitemporal_to_pb(valid_from_us=start, valid_to_us=end, recorded_from_us=1),
        )

    periods = wire.periods_of(
        [
            version("a", 10, 20),
            version("a", 20, 30),
            version("b", 30, 40),
            version("a", 40, OPEN_US),
        ]
    )

    assert [(p.configuration_id, p.from_us, p.to_us) for p in periods] == [
        ("a", 10, 30),
        ("b", 30, 40),
        ("a", 40, OPEN_US),
    ]


def test_a_signal_that_is_nothing_to_this_twin_is_not_used():
    definition = assets_pb.SignalDefinition(
        signal_id=SIGNALS[0], name="power", unit="W", kind="gauge", cadence_s=1.0
    )
    assert wire.use_of(definition).role is Role.POWER
    definition.unit = "V.A"
    assert wire.use_of(definition) is None
