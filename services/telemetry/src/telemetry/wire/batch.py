"""`RawBatch`: readings of one source in columns, as they travel to the raw stream."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError

from telemetry.model import quality
from telemetry.model.quarantine import Reason
from telemetry.model.reading import NO_SEQUENCE, Codes, Floats, Indices, Ints, RawReadings
from telemetry.wire.values import MAX_US, MIN_US, Refused
from twinmesh.telemetry.v1 import readings_pb2 as pb
from twinmesh_sdk.core.errors import InvalidInputError


@dataclass(frozen=True, slots=True)
class BatchColumns:
    """A `RawBatch`, decoded and checked for consistency."""

    names: tuple[str, ...]
    name_index: Indices
    observed_us: Ints
    value: Floats
    status: Codes
    sequence: Ints


def decode_raw_batch(data: bytes) -> BatchColumns:
    """Decode a `RawBatch`; columns of unequal length or wild indices are refused as a whole."""
    batch = pb.RawBatch()
    try:
        batch.ParseFromString(data)
        name_index = np.frombuffer(batch.name_index_u32, "<u4").astype(np.int64)
        observed_us = np.frombuffer(batch.observed_at_us_i64, "<i8").astype(np.int64)
        value = np.frombuffer(batch.value_f64, "<f8").astype(np.float64)
        count = len(name_index)
        status = _optional(batch.status_code_u32, "<u4", count, quality.GOOD).astype(np.uint32)
        sequence = _optional(batch.sequence_i64, "<i8", count, NO_SEQUENCE).astype(np.int64)
    except (DecodeError, ValueError) as error:
        raise Refused(Reason.MALFORMED, f"no RawBatch: {error}") from error
    if not len(observed_us) == len(value) == len(status) == len(sequence) == count:
        raise Refused(Reason.MALFORMED, "the columns differ in length")
    if count == 0:
        raise Refused(Reason.MALFORMED, "an empty batch")
    if int(name_index.max()) >= len(batch.names):
        raise Refused(Reason.MALFORMED, "a name index is outside the dictionary")
    if int(observed_us.min()) < MIN_US or int(observed_us.max()) >= MAX_US:
        raise Refused(Reason.BAD_TIME, "a stamp is outside the years 1900 to 9998")
    return BatchColumns(tuple(batch.names), name_index, observed_us, value, status, sequence)


def _optional(data: bytes, dtype: str, count: int, default: int) -> Any:  # noqa: ANN401 - of the dtype asked for
    return np.frombuffer(data, dtype) if data else np.full(count, default, dtype)


def encode_raw_batch(readings: RawReadings) -> bytes:
    """Encode readings of one tenant and source as a `RawBatch`, its dictionary as small as it is.

    Raises:
        InvalidInputError: They are of several sources.
    """
    used, name_index = np.unique(readings.name_ix, return_inverse=True)
    names = [readings.names[int(i)] for i in used]
    if len({(n.tenant, n.source) for n in names}) != 1:
        raise InvalidInputError("a raw batch has one tenant and one source")
    batch = pb.RawBatch(
        tenant=names[0].tenant,
        source=names[0].source,
        names=[n.local for n in names],
        name_index_u32=name_index.astype("<u4").tobytes(),
        observed_at_us_i64=readings.observed_us.astype("<i8").tobytes(),
        value_f64=readings.value.astype("<f8").tobytes(),
        arrived_at_us=int(readings.arrived_us[0]),
    )
    if (readings.source_status != quality.GOOD).any():
        batch.status_code_u32 = readings.source_status.astype("<u4").tobytes()
    if (readings.sequence != NO_SEQUENCE).any():
        batch.sequence_i64 = readings.sequence.astype("<i8").tobytes()
    return batch.SerializeToString()
