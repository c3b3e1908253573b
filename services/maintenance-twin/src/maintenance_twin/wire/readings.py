"""Telemetry's columnar batches as readings per asset."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from google.protobuf.message import DecodeError

from maintenance_twin.model.row import Reading
from maintenance_twin.usecases import AssetReadings
from twinmesh.telemetry.v1 import readings_pb2
from twinmesh_sdk.core.errors import InvalidInputError
from twinmesh_sdk.core.ids import AssetId, Tenant
from twinmesh_sdk.core.trust import severity

MAX_READINGS: Final = 1_000_000
_CORRECTION: Final = 2


def _column(data: bytes, dtype: str, rows: int, name: str) -> npt.NDArray[Any]:
    """Return a column; an empty one is all zeros.

    Raises:
        InvalidInputError: Its length is not that of the others.
    """
    width = np.dtype(dtype).itemsize
    if not data:
        return np.zeros(rows, dtype=dtype)
    if len(data) != rows * width:
        raise InvalidInputError(f"column {name} has {len(data)} bytes for {rows} readings")
    return np.frombuffer(data, dtype=dtype)


def readings_of(data: bytes, *, tenant: str, trace: str) -> list[AssetReadings]:
    """Read a `ReadingBatch`: one entry per asset, its readings in the order of the batch.

    Args:
        tenant: The tenant that the subject names; a batch of another one is refused.
        trace: Trace context of the message; empty when it has none.

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
    flags = _column(batch.flags_u8, "u1", rows, "flags_u8")
    arrived = _column(batch.arrived_at_us_i64, "<i8", rows, "arrived_at_us_i64")
    if rows and int(index.max()) >= len(batch.signals):
        raise InvalidInputError("a reading points outside the batch's signals")
    names = [s.name for s in batch.signals]
    homes = _homes(batch)
    readings: dict[str, list[Reading]] = {home: [] for home in homes}
    worst = {int(code): int(severity(int(code))) for code in np.unique(status)}
    columns: Sequence[Sequence[Any]] = [
        column.tolist() for column in (index, observed, values, status, flags, arrived)
    ]
    for which, observed_us, value, code, flag, arrived_us in zip(*columns, strict=True):
        readings[homes[which]].append(
            Reading(
                names[which],
                observed_us,
                value,
                worst[code],
                arrived_us,
                bool(flag & _CORRECTION),
                trace,
            )
        )
    owner = Tenant(tenant)
    return [AssetReadings(owner, AssetId(a), found) for a, found in readings.items() if found]


def _homes(batch: readings_pb2.ReadingBatch) -> list[str]:
    """Return the asset id of each signal of the batch."""
    if any(s.asset_index >= len(batch.asset_ids) for s in batch.signals):
        raise InvalidInputError("a signal points outside the batch's assets")
    return [batch.asset_ids[s.asset_index] for s in batch.signals]
