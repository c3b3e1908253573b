"""Receipts as messages, and back."""

from typing import Final

from google.protobuf.message import DecodeError

from governance.model.lineage import Receipt
from twinmesh.governance.v1 import consumption_pb2
from twinmesh_sdk.core.consumption import Door, Output
from twinmesh_sdk.core.errors import InvalidInputError
from twinmesh_sdk.wire import moment, timestamp

DOOR_TO_PB: Final = {
    Door.GATEWAY: consumption_pb2.DOOR_GATEWAY,
    Door.EVENT: consumption_pb2.DOOR_EVENT,
    Door.RPC: consumption_pb2.DOOR_RPC,
    Door.EXPORT: consumption_pb2.DOOR_EXPORT,
}
_DOOR_FROM_PB: Final = {pb: door for door, pb in DOOR_TO_PB.items()}


def receipts_from_bytes(data: bytes) -> list[Receipt]:
    """Return the receipts of a report as it arrived.

    Raises:
        InvalidInputError: It is none, or says what cannot be.
    """
    try:
        report = consumption_pb2.ConsumptionReport.FromString(data)
    except DecodeError as error:
        raise InvalidInputError("this is no ConsumptionReport") from error
    return [receipt_from_pb(receipt) for receipt in report.receipts]


def receipt_from_pb(message: consumption_pb2.Receipt) -> Receipt:
    """Return the receipt in a message.

    Raises:
        InvalidInputError: It is none.
    """
    door = _DOOR_FROM_PB.get(message.door)
    if door is None:
        raise InvalidInputError("a receipt names its door")
    return Receipt(
        client=message.client,
        door=door,
        output=Output(
            type=message.output_type,
            id=message.output_id,
            version=message.output_version,
            model=message.model,
            model_version=message.model_version,
        ),
        operation=message.operation,
        first_at=moment(message.first_at),
        last_at=moment(message.last_at),
        count=message.count,
    )


def receipt_to_pb(receipt: Receipt) -> consumption_pb2.Receipt:
    """Return a receipt's message."""
    output = receipt.output
    return consumption_pb2.Receipt(
        client=receipt.client,
        door=DOOR_TO_PB[receipt.door],
        output_type=output.type,
        output_id=output.id,
        output_version=output.version,
        model=output.model,
        model_version=output.model_version,
        operation=receipt.operation,
        first_at=timestamp(receipt.first_at),
        last_at=timestamp(receipt.last_at),
        count=receipt.count,
    )
