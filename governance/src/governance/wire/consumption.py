"""Reports of consumption from protobuf."""

from typing import Final

from google.protobuf.message import DecodeError

from governance.model.consumption import Report, Use, UseKind
from twinmesh.governance.v1 import consumption_pb2
from twinmesh_sdk.core.errors import InvalidInputError
from twinmesh_sdk.wire import moment

MAX_REPORT_BYTES: Final = 1_000_000
_KIND: Final = {
    consumption_pb2.USE_KIND_FIELD: UseKind.FIELD,
    consumption_pb2.USE_KIND_ARGUMENT: UseKind.ARGUMENT,
    consumption_pb2.USE_KIND_ENUM_VALUE: UseKind.ENUM_VALUE,
    consumption_pb2.USE_KIND_RPC_METHOD: UseKind.RPC_METHOD,
    consumption_pb2.USE_KIND_EVENT: UseKind.EVENT,
}


def report_from_bytes(tenant: str, reporter: str, data: bytes) -> Report:
    """Read a report as it arrived.

    Args:
        tenant: From the subject.
        reporter: From the subject: what the message says itself, anybody could say.
        data: The serialised `ConsumptionReport`.

    Raises:
        InvalidInputError: It is none, or says what cannot be.
    """
    if len(data) > MAX_REPORT_BYTES:
        raise InvalidInputError(f"a report has at most {MAX_REPORT_BYTES} bytes")
    try:
        message = consumption_pb2.ConsumptionReport.FromString(data)
    except DecodeError as error:
        raise InvalidInputError("this is no ConsumptionReport") from error
    return Report(
        tenant=tenant,
        reporter=reporter,
        instance=message.instance,
        sequence=message.sequence,
        uses=tuple(_use(use) for use in message.uses),
    )


def _use(message: consumption_pb2.ContractUse) -> Use:
    if (kind := _KIND.get(message.kind)) is None:
        raise InvalidInputError(f"no kind of use {message.kind}")
    return Use(
        client=message.client,
        kind=kind,
        coordinate=message.coordinate,
        service=message.service,
        first_at=moment(message.first_at),
        last_at=moment(message.last_at),
        count=message.count,
    )
