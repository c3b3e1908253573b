"""The gRPC doors: `twinmesh.maintenance.v1.MaintenanceService`, `twinmesh.twin.v1.TwinService`."""

from typing import Any, Final

import grpc
from google.protobuf import json_format
from google.protobuf.struct_pb2 import Struct

from maintenance_twin import wire
from maintenance_twin.ports import ItemFilter
from maintenance_twin.usecases import (
    ConditionAnswer,
    ItemAnswer,
    ReadConditions,
    ReadWorkItems,
)
from twinmesh.maintenance.v1 import maintenance_service_pb2 as pb
from twinmesh.maintenance.v1 import maintenance_service_pb2_grpc as pb_grpc
from twinmesh.maintenance.v1 import work_item_pb2
from twinmesh.twin.v1 import twin_service_pb2 as twin_pb
from twinmesh.twin.v1 import twin_service_pb2_grpc as twin_grpc
from twinmesh_sdk import wire as sdk_wire
from twinmesh_sdk.contract import Contract
from twinmesh_sdk.core.consumption import note_output
from twinmesh_sdk.core.errors import InvalidInputError, LimitExceededError, NotFoundError
from twinmesh_sdk.core.ids import AssetId
from twinmesh_sdk.graphql import decode_cursor, encode_cursor
from twinmesh_sdk.runtime import current_principal, current_read_time, current_tenant

Context = grpc.aio.ServicerContext[Any, Any]

MAX_IDS: Final = 1_000
DEFAULT_PAGE: Final = 50
MAX_PAGE: Final = 200
READ: Final = "read"


def _limited(ids: list[str]) -> list[str]:
    if len(ids) > MAX_IDS:
        raise LimitExceededError(f"at most {MAX_IDS} ids, got {len(ids)}")
    return list(dict.fromkeys(ids))


def _item(answer: ItemAnswer) -> work_item_pb2.WorkItem:
    note_output(wire.output_of_item(answer.item))
    return wire.item_to_pb(
        answer.item,
        trust=answer.trust,
        recorded_from_us=answer.held.recorded_from_us,
        recorded_to_us=answer.held.recorded_to_us,
    )


def _condition(answer: ConditionAnswer) -> work_item_pb2.Condition:
    if (output := wire.output_of_condition(answer)) is not None:
        note_output(output)
    return wire.condition_to_pb(answer)


class MaintenanceApi(pb_grpc.MaintenanceServiceServicer):
    """Implements `twinmesh.maintenance.v1.MaintenanceService`."""

    def __init__(self, work_items: ReadWorkItems, conditions: ReadConditions) -> None:
        self._work_items = work_items
        self._conditions = conditions

    async def ListWorkItems(  # noqa: N802 - name fixed by the proto
        self, request: pb.ListWorkItemsRequest, context: Context
    ) -> pb.ListWorkItemsResponse:
        """Handle one call."""
        del context
        current_principal().require(READ)
        size = request.page_size or DEFAULT_PAGE
        if size > MAX_PAGE:
            raise InvalidInputError(f"page_size is at most {MAX_PAGE}, got {size}")
        wanted = ItemFilter(
            asset_ids=tuple(AssetId(a) for a in _limited(list(request.asset_ids))),
            statuses=frozenset(wire.status_from_pb(s) for s in request.statuses),
            opened_from_us=sdk_wire.moment_us(request.opened_from)
            if request.HasField("opened_from")
            else None,
            opened_to_us=sdk_wire.moment_us(request.opened_to)
            if request.HasField("opened_to")
            else None,
        )
        after = decode_cursor(request.page_token or None, int, str)
        found = await self._work_items.page(
            current_tenant(),
            wanted,
            current_read_time(),
            after=None if after is None else (after[0], after[1]),
            limit=size + 1,
        )
        page, more = found[:size], len(found) > size
        last = page[-1].item if page else None
        return pb.ListWorkItemsResponse(
            work_items=[_item(answer) for answer in page],
            next_page_token=encode_cursor(last.opened_us, last.work_item_id)
            if more and last
            else "",
        )

    async def GetWorkItems(  # noqa: N802 - name fixed by the proto
        self, request: pb.GetWorkItemsRequest, context: Context
    ) -> pb.GetWorkItemsResponse:
        """Handle one call."""
        del context
        current_principal().require(READ)
        ids = _limited(list(request.work_item_ids))
        found = await self._work_items.get(current_tenant(), ids, current_read_time())
        return pb.GetWorkItemsResponse(work_items=[_item(found[i]) for i in ids if i in found])

    async def GetConditions(  # noqa: N802 - name fixed by the proto
        self, request: pb.GetConditionsRequest, context: Context
    ) -> pb.GetConditionsResponse:
        """Handle one call."""
        del context
        current_principal().require(READ)
        ids = [AssetId(a) for a in _limited(list(request.asset_ids))]
        found = await self._conditions(current_tenant(), ids, current_read_time())
        return pb.GetConditionsResponse(
            conditions=[_condition(found[a]) for a in ids if a in found]
        )


class TwinApi(twin_grpc.TwinServiceServicer):
    """Implements `twinmesh.twin.v1.TwinService`, which every twin answers."""

    def __init__(
        self, contract: Contract, work_items: ReadWorkItems, conditions: ReadConditions
    ) -> None:
        self._contract = contract
        self._work_items = work_items
        self._conditions = conditions

    async def Describe(  # noqa: N802 - name fixed by the proto
        self, request: twin_pb.DescribeRequest, context: Context
    ) -> twin_pb.DescribeResponse:
        """Handle one call."""
        del request, context
        charter = Struct()
        charter.update(dict(self._contract.charter))
        return twin_pb.DescribeResponse(
            name=self._contract.service,
            version=self._contract.version,
            contract_digest=self._contract.digest,
            charter=charter,
        )

    async def GetStates(  # noqa: N802 - name fixed by the proto
        self, request: twin_pb.GetStatesRequest, context: Context
    ) -> twin_pb.GetStatesResponse:
        """Handle one call."""
        del context
        current_principal().require(READ)
        ids = [AssetId(a) for a in _limited(list(request.asset_ids))]
        found = await self._conditions(current_tenant(), ids, current_read_time())
        return twin_pb.GetStatesResponse(states=[_state(found[a]) for a in ids if a in found])

    async def Explain(  # noqa: N802 - name fixed by the proto
        self, request: twin_pb.ExplainRequest, context: Context
    ) -> twin_pb.ExplainResponse:
        """Handle one call."""
        del context
        current_principal().require(READ)
        found = await self._work_items.get(
            current_tenant(), [request.output_id], current_read_time()
        )
        answer = found.get(request.output_id)
        if answer is None:
            raise NotFoundError(f"no output {request.output_id[:80]!r} of this twin")
        message = _item(answer)
        explanation = Struct()
        explanation.update(
            {
                "failure_mode": answer.item.failure_mode.value,
                "probability": json_format.MessageToDict(message.probability),
                "evidence": [json_format.MessageToDict(e) for e in message.evidence],
                "degradation": json_format.MessageToDict(message.degradation),
                "status": answer.item.status.value,
                "correction": answer.item.correction,
            }
        )
        return twin_pb.ExplainResponse(
            output_id=answer.item.work_item_id,
            asset_id=answer.item.asset_id,
            explanation=explanation,
            trust=message.trust,
            configuration_version=answer.item.configuration_id,
            model_version=answer.item.model_version,
            recorded_at=sdk_wire.timestamp_us(answer.held.recorded_from_us),
            trace_id=message.trace_id,
        )


def _state(answer: ConditionAnswer) -> twin_pb.State:
    message = _condition(answer)
    attributes = Struct()
    attributes.update(
        {
            "work_item_id": answer.condition.work_item_id,
            "configuration_version": answer.condition.configuration_id,
            "model_version": answer.condition.model_version,
        }
    )
    return twin_pb.State(
        asset_id=answer.asset_id,
        state=answer.condition.state.value,
        attributes=attributes,
        trust=message.trust,
        interval=message.interval,
    )
