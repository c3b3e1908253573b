"""Calls of `twinmesh.governance.v1.RetentionService`."""

from governance.api_grpc.context import Context
from governance.model.retention import DataClass, Retention
from governance.usecases.retention import ReadRetention, SetRetention
from twinmesh.governance.v1 import retention_service_pb2 as pb
from twinmesh.governance.v1 import retention_service_pb2_grpc as pb_grpc
from twinmesh_sdk.core.errors import InvalidInputError
from twinmesh_sdk.core.request import current_principal
from twinmesh_sdk.wire import timestamp


class RetentionApi(pb_grpc.RetentionServiceServicer):
    """Implements `twinmesh.governance.v1.RetentionService`."""

    def __init__(self, read: ReadRetention, change: SetRetention) -> None:
        self._read = read
        self._change = change

    async def ListRetention(  # noqa: N802 - name fixed by the proto
        self, request: pb.ListRetentionRequest, context: Context
    ) -> pb.ListRetentionResponse:
        """See `ReadRetention`."""
        del request, context
        found = await self._read(current_principal())
        return pb.ListRetentionResponse(policies=[_pb(each) for each in found])

    async def SetRetention(  # noqa: N802 - name fixed by the proto
        self, request: pb.SetRetentionRequest, context: Context
    ) -> pb.SetRetentionResponse:
        """See `SetRetention`."""
        del context
        made = await self._change(
            current_principal(),
            _class(request.data_class),
            request.keep_days,
            reason=request.reason,
        )
        return pb.SetRetentionResponse(policy=_pb(made))


def _class(text: str) -> DataClass:
    try:
        return DataClass(text)
    except ValueError as error:
        known = ", ".join(each.value for each in DataClass)
        fault = f"no class of data {text[:40]!r}"
        raise InvalidInputError(fault, hint=f"one of {known}") from error


def _pb(policy: Retention) -> pb.Retention:
    return pb.Retention(
        data_class=policy.data_class.value,
        keep_days=policy.keep_days,
        reason=policy.reason,
        set_by=policy.set_by,
        set_at=timestamp(policy.set_at),
    )
