"""Protobuf to the model and back; the only translator."""

from collections.abc import Iterable
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from google.protobuf.message import DecodeError

from energy_twin.decide.meters import IntervalStamp
from energy_twin.model.baseline import (
    METHOD,
    MODEL,
    MODEL_VERSION,
    ConfigurationPeriod,
    HeldBaseline,
)
from energy_twin.model.estimate import MeterDay, WasteEstimate, Window
from energy_twin.model.series import Series, SignalUse, role_of
from energy_twin.usecases import Arrived
from twinmesh.assets.v1 import model_pb2 as assets_pb
from twinmesh.energy.v1 import energy_service_pb2 as service_pb
from twinmesh.energy.v1 import events_pb2
from twinmesh.energy.v1 import model_pb2 as pb
from twinmesh.telemetry.v1 import readings_pb2
from twinmesh_sdk.core.consumption import Derivation, Output, OutputState
from twinmesh_sdk.core.errors import InvalidInputError
from twinmesh_sdk.core.events import Envelope, EventType, event_id
from twinmesh_sdk.core.ids import AssetId, SignalId, Tenant
from twinmesh_sdk.core.times import MAX_TIME, MIN_TIME, OPEN_US, from_us, to_us
from twinmesh_sdk.wire import bitemporal_to_pb, moment_us, timestamp_us, trust_to_pb

SOURCE: Final = "energy-twin"
BASELINE_LEARNED: Final = EventType("energy.baseline.learned.v1")
MAX_READINGS: Final = 1_000_000
_BAD: Final = 2
_MIN_US: Final = to_us(MIN_TIME)
_MAX_US: Final = to_us(MAX_TIME)

STAMP_FROM_PB: Final[dict[int, IntervalStamp]] = {
    service_pb.INTERVAL_STAMP_UNSPECIFIED: IntervalStamp.END,
    service_pb.INTERVAL_STAMP_START: IntervalStamp.START,
    service_pb.INTERVAL_STAMP_END: IntervalStamp.END,
}


# Telemetry and registry.


def _column(data: bytes, dtype: str, rows: int, name: str) -> npt.NDArray[Any]:
    """Return a column; an empty one is all zeros.

    Raises:
        InvalidInputError: Its length is not that of the others.
    """
    if not data:
        return np.zeros(rows, dtype=dtype)
    if len(data) != rows * np.dtype(dtype).itemsize:
        raise InvalidInputError(f"column {name} has {len(data)} bytes for {rows} readings")
    return np.frombuffer(data, dtype=dtype)


def arrived_of(data: bytes, *, tenant: str) -> list[Arrived]:
    """Read a `ReadingBatch`: one entry per signal; Bad and non-finite values are left out.

    Args:
        tenant: The tenant that the subject names; a batch of another one is refused.

    Raises:
        InvalidInputError: It is no batch, contradicts its subject, or points outside itself.
    """
    try:
        batch = readings_pb2.ReadingBatch.FromString(data)
    except DecodeError as error:
        raise InvalidInputError("not a ReadingBatch") from error
    if batch.tenant != tenant:
        raise InvalidInputError("the batch names another tenant than its subject")
    rows = len(batch.observed_at_us_i64) // 8
    if rows > MAX_READINGS:
        raise InvalidInputError(f"a batch has at most {MAX_READINGS} readings")
    observed = _column(batch.observed_at_us_i64, "<i8", rows, "observed_at_us_i64")
    index = _column(batch.signal_index_u32, "<u4", rows, "signal_index_u32")
    values = _column(batch.value_f64, "<f8", rows, "value_f64")
    status = _column(batch.status_code_u32, "<u4", rows, "status_code_u32")
    if rows and int(index.max()) >= len(batch.signals):
        raise InvalidInputError("a reading points outside the batch's signals")
    if any(signal.asset_index >= len(batch.asset_ids) for signal in batch.signals):
        raise InvalidInputError("a signal points outside the batch's assets")
    # OPC UA Part 4, 7.39: severity is in the two top bits; the reserved pattern 11 counts as Bad.
    grades = np.minimum(status >> 30, _BAD).astype(np.uint8)
    fine = (grades < _BAD) & np.isfinite(values) & (observed >= _MIN_US) & (observed < _MAX_US)
    owner, found = Tenant(tenant), []
    for n, signal in enumerate(batch.signals):
        rows_of = np.flatnonzero(fine & (index == n))
        if rows_of.size:
            part = Series(
                observed[rows_of].astype(np.int64),
                values[rows_of].astype(np.float64),
                grades[rows_of],
            )
            found.append(
                Arrived(
                    owner,
                    AssetId(batch.asset_ids[signal.asset_index]),
                    SignalId(signal.signal_id),
                    Series.merged([part]),
                    batch.recorded_at_us,
                )
            )
    return found


def use_of(definition: assets_pb.SignalDefinition) -> SignalUse | None:
    """Return what a signal is to this twin; None for nothing."""
    role = role_of(definition.name, definition.unit, definition.kind)
    if role is None:
        return None
    return SignalUse(
        SignalId(definition.signal_id), definition.name, role, max(definition.cadence_s, 1e-3)
    )


def periods_of(
    configurations: Iterable[assets_pb.ConfigurationVersion],
) -> tuple[ConfigurationPeriod, ...]:
    """Return when each configuration version was active; one without a break is one period."""
    periods: list[ConfigurationPeriod] = []
    for version in configurations:
        interval = version.interval
        start = moment_us(interval.valid_from)
        end = moment_us(interval.valid_to) if interval.HasField("valid_to") else OPEN_US
        last = periods[-1] if periods else None
        if last and (last.configuration_id, last.to_us) == (version.configuration_id, start):
            periods[-1] = ConfigurationPeriod(last.configuration_id, last.from_us, end)
        else:
            periods.append(ConfigurationPeriod(version.configuration_id, start, end))
    return tuple(sorted(periods, key=lambda period: period.from_us))


# Our own messages.


def window_of(message: service_pb.Window) -> Window:
    """Return the window that a caller asks about.

    Raises:
        InvalidInputError: A part is missing or out of range.
    """
    if not (message.HasField("start") and message.HasField("end")):
        raise InvalidInputError("a window needs start and end")
    bounds = [moment_us(message.start), moment_us(message.end)]
    if not all(_MIN_US <= bound < _MAX_US for bound in bounds):
        raise InvalidInputError("a time lies outside the years 1900 to 9998")
    return Window(AssetId(message.asset_id), *bounds)


def baseline_to_pb(held: HeldBaseline) -> pb.Baseline:
    """Return the message of a baseline."""
    baseline, told = held.baseline, held.baseline.learned
    return pb.Baseline(
        baseline_id=baseline.baseline_id,
        asset_id=baseline.asset_id,
        configuration_version=baseline.period.configuration_id,
        specific_energy_j_per_m3=told.specific_energy_j_per_m3,
        standard_error_j_per_m3=told.standard_error_j_per_m3,
        residual_w=told.residual_w,
        block_s=told.block_s,
        effective_blocks_count=told.effective_blocks,
        readings=told.readings,
        learned_from=timestamp_us(told.from_us),
        learned_to=timestamp_us(told.to_us),
        power_source=told.power_source,
        interval=bitemporal_to_pb(
            valid_from_us=baseline.period.from_us,
            valid_to_us=baseline.period.to_us,
            recorded_from_us=held.recorded_from_us,
            recorded_to_us=held.recorded_to_us,
        ),
        inputs_digest=told.inputs_digest,
    )


def waste_to_pb(estimate: WasteEstimate) -> pb.WasteEstimate:
    """Return the message of an estimate; numbers that are not known stay unset."""
    window, waste = estimate.window, estimate.waste
    message = pb.WasteEstimate(
        asset_id=window.asset_id,
        start=timestamp_us(window.from_us),
        end=timestamp_us(window.to_us),
        covered_ratio=estimate.covered_ratio,
        method=METHOD,
        baselines=[baseline_to_pb(held) for held in estimate.baselines],
        trust=trust_to_pb(estimate.trust),
    )
    if waste is not None:
        message.wasted_j = waste.wasted_j
        message.lo90_j, message.hi90_j = waste.lo90_j, waste.hi90_j
        message.actual_j, message.expected_j = waste.actual_j, waste.expected_j
        message.volume_m3 = waste.volume_m3
        message.inputs_digest = waste.inputs_digest
    return message


def meter_day_to_pb(day: MeterDay) -> pb.MeterDay:
    """Return the message of a meter's day."""
    return pb.MeterDay(
        asset_id=day.asset_id,
        signal_id=day.use.signal_id,
        signal_name=day.use.name,
        date=day.date,
        time_zone=day.time_zone,
        start=timestamp_us(day.from_us),
        end=timestamp_us(day.to_us),
        length_s=(day.to_us - day.from_us) / 1e6,
        energy_j=day.energy_j,
        covered_ratio=day.covered_ratio,
        trust=trust_to_pb(day.trust),
    )


def output_of_baseline(held: HeldBaseline) -> Output:
    """Return a baseline as a derived output."""
    return Output("EnergyBaseline", held.baseline.baseline_id, 0, MODEL, MODEL_VERSION)


def output_of_waste(estimate: WasteEstimate) -> Output:
    """Return an estimate as a derived output.

    Named by its asset only: a window that ends now has as many versions as it is asked for.
    """
    return Output("PeriodEnergy", estimate.window.asset_id, 0, MODEL, MODEL_VERSION)


def derivation_of(event: Envelope) -> Derivation | None:
    """Return the derived output that an event of this twin announces; None where there is none."""
    if event.type != BASELINE_LEARNED:
        return None
    try:
        baseline = events_pb2.BaselineLearned.FromString(event.data).baseline
    except DecodeError:
        return None
    return Derivation(
        Output("EnergyBaseline", baseline.baseline_id, 0, MODEL, MODEL_VERSION),
        OutputState.STANDING,
        configuration_version=baseline.configuration_version,
        inputs_digest=baseline.inputs_digest,
    )


def baseline_learned(held: HeldBaseline, *, superseded_id: str, traceparent: str) -> Envelope:
    """Return the event that tells of a baseline; its id follows from what was learned."""
    baseline = held.baseline
    message = events_pb2.BaselineLearned(baseline=baseline_to_pb(held), superseded_id=superseded_id)
    return Envelope(
        id=event_id(
            tenant=baseline.tenant,
            type=BASELINE_LEARNED,
            aggregate_id=baseline.baseline_id,
            aggregate_version=1,
        ),
        type=BASELINE_LEARNED,
        source=SOURCE,
        tenant=baseline.tenant,
        subject=baseline.asset_id,
        time=from_us(baseline.learned.to_us),
        data=message.SerializeToString(deterministic=True),
        traceparent=traceparent,
    )
