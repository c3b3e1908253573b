"""The gRPC service that every twin offers: `twinmesh.twin.v1.TwinService`."""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

import grpc
from google.protobuf.json_format import ParseDict
from google.protobuf.struct_pb2 import Struct

from twinmesh.twin.v1 import twin_service_pb2 as pb
from twinmesh.twin.v1 import twin_service_pb2_grpc as pb_grpc
from twinmesh_sdk import wire
from twinmesh_sdk.contract import Contract
from twinmesh_sdk.core.errors import LimitExceededError, NotFoundError
from twinmesh_sdk.core.ids import AssetId
from twinmesh_sdk.core.twin import Explanation, TwinState

MAX_ASSETS: Final = 1_000

States = Callable[[Sequence[AssetId]], Awaitable[Mapping[AssetId, TwinState]]]
"""Returns what the twin holds about assets, by id; those without a twin left out."""

Explain = Callable[[str], Awaitable[Explanation | None]]
"""Returns why the twin says what it says about one output; None when it has none of that id."""

Context = grpc.aio.ServicerContext[Any, Any]


class TwinApi(pb_grpc.TwinServiceServicer):
    """Answers for one twin. Tenant and times are those of the request."""

    def __init__(
        self, contract: Contract, *, states: States | None = None, explain: Explain | None = None
    ) -> None:
        self._contract = contract
        self._states = states
        self._explain = explain

    async def Describe(  # noqa: N802 - name fixed by the proto
        self, request: pb.DescribeRequest, context: Context
    ) -> pb.DescribeResponse:
        """Answer with the charter and the contract in force."""
        del request, context
        return pb.DescribeResponse(
            name=self._contract.service,
            version=self._contract.version,
            contract_digest=self._contract.digest,
            charter=_struct(self._contract.charter),
        )

    async def GetStates(  # noqa: N802 - name fixed by the proto
        self, request: pb.GetStatesRequest, context: Context
    ) -> pb.GetStatesResponse:
        """Answer in the order of the request, assets without a twin left out."""
        del context
        if len(request.asset_ids) > MAX_ASSETS:
            raise LimitExceededError(f"at most {MAX_ASSETS} assets at once")
        ids = [AssetId(text) for text in dict.fromkeys(request.asset_ids)]
        found = await self._states(ids) if self._states is not None and ids else {}
        return pb.GetStatesResponse(states=[_state(found[i]) for i in ids if i in found])

    async def Explain(  # noqa: N802 - name fixed by the proto
        self, request: pb.ExplainRequest, context: Context
    ) -> pb.ExplainResponse:
        """Answer why, or that there is no such output."""
        del context
        found = await self._explain(request.output_id) if self._explain is not None else None
        if found is None:
            raise NotFoundError(
                f"{self._contract.service} has no output {request.output_id[:80]!r}"
            )
        return pb.ExplainResponse(
            output_id=found.output_id,
            asset_id=found.asset_id,
            explanation=_struct(found.explanation),
            trust=wire.trust_to_pb(found.trust),
            configuration_version=found.configuration_version,
            model_version=found.model_version,
            recorded_at=wire.timestamp(found.recorded_at),
            trace_id=found.trace_id,
        )


def _state(state: TwinState) -> pb.State:
    return pb.State(
        asset_id=state.asset_id,
        state=state.state,
        attributes=_struct(state.attributes),
        trust=wire.trust_to_pb(state.trust),
        interval=wire.bitemporal_to_pb(
            valid_from_us=state.valid_from_us,
            valid_to_us=state.valid_to_us,
            recorded_from_us=state.recorded_from_us,
            recorded_to_us=state.recorded_to_us,
        ),
    )


def _struct(values: Mapping[str, Any]) -> Struct:
    return ParseDict(json.loads(json.dumps(values, default=str)), Struct())
