"""Stored readings to `ReadingBatch` messages, one row of messages per tenant and partition."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from telemetry.model.reading import Readings
from twinmesh.telemetry.v1 import readings_pb2 as pb
from twinmesh_sdk.core.ids import derived_id, partition_of

PARTITIONS: Final = 4
MAX_READINGS: Final = 20_000
"""Readings per message: 34 bytes each stay well below the stream's 1 MiB."""


@dataclass(frozen=True, slots=True)
class TeleMessage:
    """One message for the stream of truth, with the id that makes its repetition harmless."""

    tenant: str
    partition: int
    message_id: str
    data: bytes
    readings: int

    @property
    def subject(self) -> str:
        """The NATS subject."""
        return f"tele.{self.tenant}.{self.partition}"


def tele_messages(readings: Readings, *, epoch: int) -> Iterator[TeleMessage]:
    """Yield the messages of a batch; those of one partition in event order.

    The id of a message is made from the places of its readings in the raw stream: a repeated
    attempt at the same batch repeats the id, another cut of the stream has another one.
    """
    tenants = sorted({s.tenant for s in readings.signals})
    tenant_no = {tenant: number for number, tenant in enumerate(tenants)}
    lane_of = np.array(
        [
            tenant_no[s.tenant] * PARTITIONS + partition_of(s.asset_id, PARTITIONS)
            for s in readings.signals
        ],
        np.int64,
    )
    lanes = lane_of[readings.signal_ix] if len(readings) else np.empty(0, np.int64)
    for lane in np.unique(lanes):
        rows = np.flatnonzero(lanes == lane)
        tenant, partition = tenants[int(lane) // PARTITIONS], int(lane) % PARTITIONS
        for start in range(0, len(rows), MAX_READINGS):
            part = readings.take(rows[start : start + MAX_READINGS])
            yield TeleMessage(
                tenant=tenant,
                partition=partition,
                message_id=derived_id(
                    "tele",
                    epoch,
                    tenant,
                    partition,
                    _digest(part),
                ),
                data=_encoded(part, tenant, partition),
                readings=len(part),
            )


def _encoded(part: Readings, tenant: str, partition: int) -> bytes:
    used, signal_index = np.unique(part.signal_ix, return_inverse=True)
    signals = [part.signals[int(i)] for i in used]
    assets = {
        asset: number for number, asset in enumerate(dict.fromkeys(s.asset_id for s in signals))
    }
    batch = pb.ReadingBatch(
        tenant=tenant,
        partition=partition,
        asset_ids=list(assets),
        signals=[
            pb.SignalRef(
                signal_id=s.signal_id,
                asset_index=assets[s.asset_id],
                name=s.name,
                unit=s.unit,
            )
            for s in signals
        ],
        signal_index_u32=signal_index.astype("<u4").tobytes(),
        observed_at_us_i64=part.observed_us.astype("<i8").tobytes(),
        value_f64=part.value.astype("<f8").tobytes(),
        status_code_u32=part.status.astype("<u4").tobytes(),
        flags_u8=part.flags.tobytes(),
        arrived_at_us_i64=part.arrived_us.astype("<i8").tobytes(),
        recorded_at_us=int(part.recorded_us.max(initial=0)),
    )
    return batch.SerializeToString()


def _digest(part: Readings) -> str:
    places = hashlib.sha256(part.raw_seq.astype("<i8").tobytes())
    places.update(part.raw_ix.astype("<i8").tobytes())
    return places.hexdigest()
