"""gRPC doors: `TelemetryService`, and the `TwinService` that every twin answers."""

from typing import Final

import grpc.aio
from google.protobuf.json_format import ParseDict
from google.protobuf.struct_pb2 import Struct

from telemetry.usecases.quarantine import ListQuarantine, ReplayQuarantine
from telemetry.usecases.reads import (
    MAX_POINTS,
    HistoryQuery,
    ReadAssets,
    ReadHistory,
    ReadIngestStatus,
    ReadLatest,
)
from telemetry.wire.answers import (
    counts_to_pb,
    history_to_pb,
    latest_to_pb,
    quarantine_to_pb,
    state_to_pb,
)
from twinmesh.telemetry.v1 import telemetry_service_pb2 as pb
from twinmesh.telemetry.v1 import telemetry_service_pb2_grpc as pb_grpc
from twinmesh.twin.v1 import twin_service_pb2 as twin_pb
from twinmesh.twin.v1 import twin_service_pb2_grpc as twin_pb_grpc
from twinmesh_sdk.contract import Contract
from twinmesh_sdk.core.errors import InvalidInputError, NotFoundError
from twinmesh_sdk.core.ids import AssetId, Tenant
from twinmesh_sdk.core.request import current_principal, current_read_time
from twinmesh_sdk.core.times import Period, from_us
from twinmesh_sdk.wire import moment

READ: Final = "read"
WRITE: Final = "readings.write"
DEFAULT_PAGE: Final = 100
DEFAULT_POINTS: Final = 1_000

Context = grpc.aio.ServicerContext


def _reader() -> Tenant:
    principal = current_principal()
    principal.require(READ)
    return principal.tenant


class TelemetryApi(pb_grpc.TelemetryServiceServicer):
    """Implements `twinmesh.telemetry.v1.TelemetryService`."""

    def __init__(
        self,
        *,
        latest: ReadLatest,
        history: ReadHistory,
        status: ReadIngestStatus,
        quarantine: ListQuarantine,
        replay: ReplayQuarantine,
    ) -> None:
        self._latest = latest
        self._history = history
        self._status = status
        self._quarantine = quarantine
        self._replay = replay

    async def GetLatest(  # noqa: N802 - name fixed by the proto
        self,
        request: pb.GetLatestRequest,
        context: Context[pb.GetLatestRequest, pb.GetLatestResponse],
    ) -> pb.GetLatestResponse:
        """Handle one call. `TwinError`s leave through the SDK's interceptor."""
        del context
        found = await self._latest(
            _reader(), list(request.signal_ids), request.decision, current_read_time()
        )
        return pb.GetLatestResponse(values=[latest_to_pb(one) for one in found.values()])

    async def GetHistory(  # noqa: N802 - name fixed by the proto
        self,
        request: pb.GetHistoryRequest,
        context: Context[pb.GetHistoryRequest, pb.GetHistoryResponse],
    ) -> pb.GetHistoryResponse:
        """Handle one call; the page token is where the next page starts."""
        del context
        if not request.HasField("start"):
            raise InvalidInputError("a history needs a start")
        start = moment(request.start)
        if token := request.page_token:
            if not (token.lstrip("-").isdigit() and token.isascii() and len(token) <= 17):
                raise InvalidInputError("the page token is not one of this history")
            start = from_us(int(token))
        query = HistoryQuery(
            signal_id=request.signal_id,
            period=Period(start, moment(request.end) if request.HasField("end") else None),
            step_s=request.step_s,
            limit=min(request.page_size or DEFAULT_POINTS, MAX_POINTS),
        )
        return history_to_pb(await self._history(_reader(), query, current_read_time()))

    async def GetIngestCounts(  # noqa: N802 - name fixed by the proto
        self,
        request: pb.GetIngestCountsRequest,
        context: Context[pb.GetIngestCountsRequest, pb.GetIngestCountsResponse],
    ) -> pb.GetIngestCountsResponse:
        """Handle one call."""
        del request, context
        return counts_to_pb(await self._status(_reader()))

    async def ListQuarantine(  # noqa: N802 - name fixed by the proto
        self,
        request: pb.ListQuarantineRequest,
        context: Context[pb.ListQuarantineRequest, pb.ListQuarantineResponse],
    ) -> pb.ListQuarantineResponse:
        """Handle one call."""
        del context
        page = await self._quarantine(
            _reader(),
            reason=request.reason,
            after=request.page_token,
            limit=request.page_size or DEFAULT_PAGE,
        )
        return quarantine_to_pb(page)

    async def ReplayQuarantine(  # noqa: N802 - name fixed by the proto
        self,
        request: pb.ReplayQuarantineRequest,
        context: Context[pb.ReplayQuarantineRequest, pb.ReplayQuarantineResponse],
    ) -> pb.ReplayQuarantineResponse:
        """Handle one call."""
        del context
        principal = current_principal()
        principal.require(WRITE)
        replayed = await self._replay(
            principal.tenant, ids=list(request.quarantine_ids), reason=request.reason
        )
        return pb.ReplayQuarantineResponse(replayed=replayed)


class TwinApi(twin_pb_grpc.TwinServiceServicer):
    """Implements `twinmesh.twin.v1.TwinService`."""

    def __init__(self, *, assets: ReadAssets, contract: Contract) -> None:
        self._assets = assets
        self._contract = contract

    async def Describe(  # noqa: N802 - name fixed by the proto
        self,
        request: twin_pb.DescribeRequest,
        context: Context[twin_pb.DescribeRequest, twin_pb.DescribeResponse],
    ) -> twin_pb.DescribeResponse:
        """Handle one call."""
        del request, context
        contract = self._contract
        return twin_pb.DescribeResponse(
            name=contract.service,
            version=contract.version,
            contract_digest=contract.digest,
            charter=ParseDict(dict(contract.charter), Struct()),
        )

    async def GetStates(  # noqa: N802 - name fixed by the proto
        self,
        request: twin_pb.GetStatesRequest,
        context: Context[twin_pb.GetStatesRequest, twin_pb.GetStatesResponse],
    ) -> twin_pb.GetStatesResponse:
        """Handle one call: an asset's state is the worst freshness of its signals."""
        del context
        ids = [AssetId(one) for one in dict.fromkeys(request.asset_ids)]
        found = await self._assets(_reader(), ids, current_read_time())
        return twin_pb.GetStatesResponse(
            states=[
                state_to_pb(asset_id, *found[asset_id]) for asset_id in ids if asset_id in found
            ]
        )

    async def Explain(  # noqa: N802 - name fixed by the proto
        self,
        request: twin_pb.ExplainRequest,
        context: Context[twin_pb.ExplainRequest, twin_pb.ExplainResponse],
    ) -> twin_pb.ExplainResponse:
        """Handle one call: telemetry measures, it derives nothing that would need explaining."""
        del context
        _reader()
        raise NotFoundError(f"telemetry has no output {request.output_id[:80]!r}")
