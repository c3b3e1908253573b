"""The mesh's shared messages to the core's types and back."""

from datetime import datetime
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp

from twinmesh.core.v1 import interval_pb2, trust_pb2
from twinmesh_sdk.core.times import OPEN_US, Period, from_us, to_us
from twinmesh_sdk.core.trust import Quality, Reason, Trust, Verdict

VERDICT_TO_PB: Final = {
    Verdict.FRESH: trust_pb2.VERDICT_FRESH,
    Verdict.LATE: trust_pb2.VERDICT_LATE,
    Verdict.STALE: trust_pb2.VERDICT_STALE,
    Verdict.ABSENT: trust_pb2.VERDICT_ABSENT,
    Verdict.UNASSESSED: trust_pb2.VERDICT_UNASSESSED,
}
VERDICT_FROM_PB: Final = {pb: verdict for verdict, pb in VERDICT_TO_PB.items()}
QUALITY_TO_PB: Final = {
    Quality.GOOD: trust_pb2.QUALITY_GOOD,
    Quality.UNCERTAIN: trust_pb2.QUALITY_UNCERTAIN,
    Quality.BAD: trust_pb2.QUALITY_BAD,
}
QUALITY_FROM_PB: Final = {pb: quality for quality, pb in QUALITY_TO_PB.items()}


def timestamp(moment: datetime | None) -> Timestamp | None:
    """Return a protobuf timestamp; None stays None, which leaves a field unset."""
    return None if moment is None else timestamp_us(to_us(moment))


def timestamp_us(us: int | None) -> Timestamp | None:
    """Return a protobuf timestamp of UTC microseconds; None and the open bound leave it unset."""
    if us is None or us >= OPEN_US:
        return None
    seconds, rest = divmod(us, 1_000_000)
    return Timestamp(seconds=seconds, nanos=rest * 1000)


def moment_us(message: Timestamp) -> int:
    """Return UTC microseconds of a protobuf timestamp; finer digits are cut off."""
    return message.seconds * 1_000_000 + message.nanos // 1000


def moment(message: Timestamp) -> datetime:
    """Return the aware UTC time of a protobuf timestamp; finer digits are cut off."""
    return from_us(moment_us(message))


def period_to_pb(period: Period) -> interval_pb2.Period:
    """Return the message of a period; an open end stays unset."""
    return interval_pb2.Period(start=timestamp(period.start), end=timestamp(period.end))


def period_from_pb(message: interval_pb2.Period) -> Period:
    """Return the period of a message.

    Raises:
        InvalidInputError: It ends before it starts.
    """
    end = moment(message.end) if message.HasField("end") else None
    return Period(moment(message.start), end)


def bitemporal_to_pb(
    *,
    valid_from_us: int,
    valid_to_us: int = OPEN_US,
    recorded_from_us: int,
    recorded_to_us: int = OPEN_US,
) -> interval_pb2.Bitemporal:
    """Return the four bounds as a message; open ones stay unset."""
    return interval_pb2.Bitemporal(
        valid_from=timestamp_us(valid_from_us),
        valid_to=timestamp_us(valid_to_us),
        recorded_from=timestamp_us(recorded_from_us),
        recorded_to=timestamp_us(recorded_to_us),
    )


def trust_to_pb(trust: Trust) -> trust_pb2.Trust:
    """Return the message of a trust."""
    return trust_pb2.Trust(
        verdict=VERDICT_TO_PB[trust.verdict],
        quality=QUALITY_TO_PB[trust.quality],
        status_code=trust.status_code,
        observed_at=timestamp(trust.observed_at),
        arrived_at=timestamp(trust.arrived_at),
        decision=trust.decision,
        budget_s=trust.budget_s or 0.0,
        age_s=trust.age_s or 0.0,
        configuration_version=trust.configuration_version,
        model_version=trust.model_version,
        reasons=[
            trust_pb2.Reason(code=r.code, subject=r.subject, detail=r.detail) for r in trust.reasons
        ],
    )


def trust_from_pb(message: trust_pb2.Trust) -> Trust:
    """Return the trust of a message. An unspecified verdict or quality is read as the worst."""
    seen = message.HasField("observed_at")
    return Trust(
        verdict=VERDICT_FROM_PB.get(message.verdict, Verdict.ABSENT),
        quality=QUALITY_FROM_PB.get(message.quality, Quality.BAD),
        status_code=message.status_code,
        observed_at=moment(message.observed_at) if seen else None,
        arrived_at=moment(message.arrived_at) if message.HasField("arrived_at") else None,
        decision=message.decision,
        budget_s=message.budget_s or None,
        age_s=message.age_s if seen else None,
        configuration_version=message.configuration_version,
        model_version=message.model_version,
        reasons=tuple(Reason(r.code, r.subject, r.detail) for r in message.reasons),
    )
