"""What reads return, as protobuf messages."""

from google.protobuf.json_format import ParseDict
from google.protobuf.struct_pb2 import Struct

from telemetry.model.history import IngestStatus
from telemetry.model.quarantine import QuarantineRow
from telemetry.ports import Page
from telemetry.usecases.reads import HistoryPart, Latest
from twinmesh.telemetry.v1 import telemetry_service_pb2 as pb
from twinmesh.twin.v1 import twin_service_pb2 as twin_pb
from twinmesh_sdk.core.times import format_time
from twinmesh_sdk.core.trust import Trust
from twinmesh_sdk.wire import timestamp, timestamp_us, trust_to_pb


def latest_to_pb(latest: Latest) -> pb.LatestValue:
    """Return a latest value; the value is 0 and the trust ABSENT when there is none."""
    return pb.LatestValue(
        signal_id=latest.signal.signal_id,
        asset_id=latest.signal.asset_id,
        value=latest.reading.value if latest.reading else 0.0,
        unit=latest.signal.unit,
        trust=trust_to_pb(latest.trust),
    )


def history_to_pb(part: HistoryPart) -> pb.GetHistoryResponse:
    """Return a part of a history."""
    return pb.GetHistoryResponse(
        points=[
            pb.HistoryPoint(
                at=timestamp_us(point.at_us),
                mean=point.mean,
                minimum=point.minimum,
                maximum=point.maximum,
                count=point.count,
                completeness_ratio=completeness or 0.0,
                status_code=point.status,
            )
            for point, completeness in zip(part.points, part.completeness, strict=True)
        ],
        next_page_token="" if part.next_us is None else str(part.next_us),
        unit=part.signal.unit,
    )


def counts_to_pb(status: IngestStatus) -> pb.GetIngestCountsResponse:
    """Return the counts."""
    counts = status.counts
    return pb.GetIngestCountsResponse(
        received=counts.received,
        stored=counts.stored,
        duplicate=counts.duplicate,
        quarantined=counts.quarantined,
        processed_sequence=status.processed_sequence,
        received_sequence=status.received_sequence,
    )


def quarantine_to_pb(page: Page) -> pb.ListQuarantineResponse:
    """Return a page of the quarantine."""
    return pb.ListQuarantineResponse(
        readings=[_row_to_pb(row) for row in page.rows],
        next_page_token=page.next_token,
        total=page.total,
    )


def _row_to_pb(row: QuarantineRow) -> pb.QuarantinedReading:
    return pb.QuarantinedReading(
        quarantine_id=row.quarantine_id,
        source=row.source,
        name=row.name,
        reason=row.reason.value,
        detail=row.detail,
        payload=row.payload,
        arrived_at=timestamp(row.arrived_at),
        status=row.status.value,
        readings=row.readings,
        headers=row.headers,
    )


def state_to_pb(asset_id: str, latest: list[Latest], trust: Trust) -> twin_pb.State:
    """Return what telemetry holds about one asset: its signals, and the worst of their trusts."""
    signals = {
        one.signal.name: {
            "signal_id": str(one.signal.signal_id),
            "value": one.reading.value if one.reading else None,
            "unit": one.signal.unit,
            "verdict": one.trust.verdict.value,
            "observed_at": one.trust.observed_at and format_time(one.trust.observed_at),
        }
        for one in latest
    }
    return twin_pb.State(
        asset_id=asset_id,
        state=trust.verdict.value,
        attributes=ParseDict({"signals": signals}, Struct()),
        trust=trust_to_pb(trust),
    )
