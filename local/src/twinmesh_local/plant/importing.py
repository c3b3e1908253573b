"""Telling the registry about the plant, through its public import door."""

import csv
import io
import json
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Final

import grpc
import grpc.aio

from twinmesh.assets.v1 import asset_registry_service_pb2 as pb
from twinmesh.assets.v1 import asset_registry_service_pb2_grpc as pb_grpc
from twinmesh_local.plant.identity import TokenSource
from twinmesh_local.plant.model import PlantSpec
from twinmesh_local.plant.retrying import persistently
from twinmesh_sdk.core.errors import InvalidInputError, UnavailableError
from twinmesh_sdk.core.times import format_time, from_us

CALL_S: Final = 60.0
ROWS_PER_CALL: Final = 400
"""Of one table; keeps each call well below the door's limits."""

_RETRIED: Final = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.INTERNAL,
    }
)

Rows = list[tuple[str, ...]]
_HEADERS: Final[Mapping[str, tuple[str, ...]]] = {
    "assets": ("key", "name", "class", "valid_from"),
    "aliases": ("asset", "system", "value", "authority", "valid_from"),
    "relations": ("from", "kind", "to", "valid_from"),
    "configurations": ("asset", "label", "attributes", "valid_from"),
    "signals": (
        "asset", "name", "source_unit", "unit", "range_min", "range_max", "cadence_s", "source",
        "device", "source_signal", "time_zone", "kind", "stuck_after", "valid_from",
    ),
}  # fmt: skip
DEVICES: Final = "mqtt"
"""The naming system of devices on topics: `<source>/<device>`."""


def rows_of(plant: PlantSpec) -> dict[str, Rows]:
    """Return the plant as rows per table, header left out."""
    since = format_time(from_us(plant.valid_from_us))
    rows: dict[str, Rows] = {name: [] for name in _HEADERS}
    for asset in plant.assets:
        rows["assets"].append((asset.name, asset.name, asset.asset_class, since))
        if asset.device:
            alias = f"{asset.source}/{asset.device}"
            rows["aliases"].append((asset.name, DEVICES, alias, "plant import", since))
        for kind, other in (("LOCATED_IN", asset.located_in), ("PART_OF", asset.part_of)):
            if other:
                rows["relations"].append((asset.name, kind, other, since))
        rows["signals"] += [
            (
                asset.name, signal.name, signal.source_unit, signal.unit,
                _number(signal.range_min), _number(signal.range_max), repr(signal.cadence_s),
                asset.source, asset.device, signal.source_signal, signal.time_zone, signal.kind,
                str(signal.stuck_after), since,
            )
            for signal in asset.signals
        ]  # fmt: skip
    rows["configurations"] = [
        (
            each.asset,
            each.label,
            json.dumps(dict(each.attributes), sort_keys=True),
            format_time(from_us(each.valid_from_us)),
        )
        for each in sorted(plant.configurations, key=lambda c: (c.asset, c.valid_from_us, c.label))
    ]
    return rows


def _number(value: float | None) -> str:
    return "" if value is None else repr(float(value))


def csv_of(table: str, rows: Iterable[tuple[str, ...]]) -> str:
    """Return a table's CSV text with its header."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_HEADERS[table])
    writer.writerows(rows)
    return text.getvalue()


class ImportDoor:
    """asset-registry's import, with the plant's own token."""

    def __init__(self, address: str, tokens: TokenSource) -> None:
        self._channel = grpc.aio.insecure_channel(address)
        self._stub = pb_grpc.AssetRegistryServiceStub(self._channel)
        self._tokens = tokens

    async def close(self) -> None:
        """Hang up."""
        await self._channel.close(None)

    async def send(self, plant: PlantSpec) -> int:
        """Import the plant, and return how many rows changed something. Repeating changes nothing.

        Raises:
            InvalidInputError: The registry found problems; the message lists the first.
            UnavailableError: It stayed away.
        """
        changed = 0
        for table, rows in rows_of(plant).items():
            for first in range(0, len(rows), ROWS_PER_CALL):
                text = csv_of(table, rows[first : first + ROWS_PER_CALL])
                request = pb.ImportPlantRequest(tables={table: text})
                answer = await persistently(partial(self._call, request))
                if answer.problems:
                    raise InvalidInputError(f"import of {table}: {'; '.join(answer.problems[:3])}")
                changed += sum(answer.changed.values())
        return changed

    async def _call(self, request: pb.ImportPlantRequest) -> pb.ImportPlantResponse:
        token = await self._tokens.token()
        try:
            return await self._stub.ImportPlant(
                request, metadata=(("authorization", f"Bearer {token}"),), timeout=CALL_S
            )
        except grpc.aio.AioRpcError as error:
            if error.code() in _RETRIED:
                raise UnavailableError(f"asset-registry: {error.details()}") from error
            raise InvalidInputError(
                f"asset-registry refuses: {error.code().name} {error.details()}"
            ) from error
