"""Signal definitions from asset-registry by gRPC, remembered per source."""

import time
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

import grpc

from telemetry.decide.resolve import Resolution, Wanted
from telemetry.model.signal import ForeignName, Signal
from telemetry.wire.definitions import signal_from_pb
from twinmesh.assets.v1 import asset_registry_service_pb2 as pb
from twinmesh.assets.v1 import asset_registry_service_pb2_grpc as pb_grpc
from twinmesh_sdk.core.errors import DeadlineExceededError, UnavailableError
from twinmesh_sdk.core.ids import Tenant
from twinmesh_sdk.core.request import acting_for
from twinmesh_sdk.core.times import OPEN_US, ReadTime, from_us
from twinmesh_sdk.ports.clock import Clock

PAGE: Final = 1_000
MAX_PAGES: Final = 100
MAX_SOURCES: Final = 2_000
MAX_DEFINITIONS: Final = 200_000
MAX_UNKNOWN: Final = 100_000
UNKNOWN_S: Final = 2.0
"""How long a name that the registry did not know is not asked about again."""
KNOWN_S: Final = 300.0
"""How long definitions hold without a word from the registry."""
RETRY_S: Final = 10.0
"""How soon the registry is asked again after it was away."""
PROBES: Final = 4
"""Times at which a source is looked up for one batch, at most."""


@dataclass(slots=True)
class _Source:
    """What is known of one source: every definition met, and when it was asked for."""

    asked_at: float
    definitions: dict[ForeignName, list[Signal]] = field(default_factory=dict)
    devices: set[str] = field(default_factory=set)

    def take(self, signals: Iterable[Signal]) -> None:
        """Remember definitions; one with the same start replaces what was known."""
        for signal in signals:
            name = signal.foreign_name
            known = [
                s
                for s in self.definitions.get(name, [])
                if (s.signal_id, s.valid_from_us) != (signal.signal_id, signal.valid_from_us)
            ]
            self.definitions[name] = [*known, signal]
            self.devices.add(name.device)

    def misses(self, wanted: Wanted) -> list[int]:
        """Return the ends of the span that no definition covers."""
        known = self.definitions.get(wanted.name, [])
        ends = dict.fromkeys((wanted.last_us, wanted.first_us))
        return [us for us in ends if not any(s.valid_at(us) for s in known)]


class RegistrySignalDirectory:
    """Implements `SignalDirectory`.

    One call returns all signals of a source that are valid at a time; what is remembered is
    forgotten when the registry announces a change, and after KNOWN_S in any case.

    Args:
        channel: Leads to the registry.
        clock: Plant time, as of which definitions are asked for.
    """

    def __init__(self, channel: grpc.aio.Channel, clock: Clock) -> None:
        self._stub = pb_grpc.AssetRegistryServiceStub(channel)
        self._clock = clock
        self._sources: OrderedDict[tuple[str, str], _Source] = OrderedDict()
        self._by_id: OrderedDict[tuple[str, str], tuple[float, Signal]] = OrderedDict()
        self._unknown: OrderedDict[ForeignName, float] = OrderedDict()
        self.calls = 0

    async def resolve(self, wanted: Sequence[Wanted]) -> list[Resolution]:
        """See `SignalDirectory.resolve`."""
        by_source: dict[tuple[str, str], list[Wanted]] = {}
        for one in wanted:
            by_source.setdefault((one.name.tenant, one.name.source), []).append(one)
        for key, names in by_source.items():
            await self._learn(key, names)
        resolutions: list[Resolution] = []
        for one in wanted:
            source = self._sources.get((one.name.tenant, one.name.source))
            definitions = source.definitions.get(one.name, []) if source else []
            resolutions.append(
                Resolution(
                    definitions=tuple(definitions),
                    device_known=source is not None and one.name.device in source.devices,
                )
            )
        return resolutions

    async def _learn(self, key: tuple[str, str], names: list[Wanted]) -> None:
        """Ask the registry about the times at which names are missing, a few at most."""
        now = time.monotonic()
        source = await self._source(key, now)
        asked: set[int] = set()
        for _ in range(PROBES):
            moment = next(
                (
                    us
                    for one in names
                    if now - self._unknown.get(one.name, -UNKNOWN_S) >= UNKNOWN_S
                    for us in source.misses(one)
                    if us not in asked
                ),
                None,
            )
            if moment is None:
                break
            asked.add(moment)
            source.take(await self._list(key[0], moment, source=key[1]))
        for one in names:
            if source.misses(one) and asked:
                self._unknown[one.name] = now
                self._unknown.move_to_end(one.name)
                if len(self._unknown) > MAX_UNKNOWN:
                    self._unknown.popitem(last=False)

    async def _source(self, key: tuple[str, str], now: float) -> _Source:
        """Return what is known of a source; what is old is asked for again.

        An old answer serves on while the registry is away: it would have announced a change.
        """
        source = self._sources.get(key)
        if source is None:
            source = self._sources[key] = _Source(asked_at=now)
            if len(self._sources) > MAX_SOURCES:
                self._sources.popitem(last=False)
        elif now - source.asked_at > KNOWN_S:
            source.asked_at = now - KNOWN_S + RETRY_S
            with suppress(UnavailableError, DeadlineExceededError):
                fresh = _Source(asked_at=now)
                fresh.take(await self._list(key[0], None, source=key[1]))
                source = self._sources[key] = fresh
        return source

    async def definitions(self, tenant: str, signal_ids: Sequence[str]) -> dict[str, Signal]:
        """See `SignalDirectory.definitions`."""
        now = time.monotonic()
        known = {
            one: self._by_id[tenant, one]
            for one in dict.fromkeys(signal_ids)
            if (tenant, one) in self._by_id
        }
        missing = [
            one
            for one in dict.fromkeys(signal_ids)
            if one not in known or now - known[one][0] > KNOWN_S
        ]
        try:
            for at in range(0, len(missing), PAGE):
                for signal in await self._list(tenant, None, signal_ids=missing[at : at + PAGE]):
                    known[signal.signal_id] = (now, signal)
                    self._by_id[tenant, signal.signal_id] = (now, signal)
        except (UnavailableError, DeadlineExceededError):
            if any(one not in known for one in missing):
                raise  # what was never known cannot be answered
        while len(self._by_id) > MAX_DEFINITIONS:
            self._by_id.popitem(last=False)
        return {one: signal for one, (_, signal) in known.items()}

    async def signals_of(self, tenant: str, asset_ids: Sequence[str]) -> list[Signal]:
        """See `SignalDirectory.signals_of`."""
        found = await self._list(tenant, None, asset_ids=asset_ids) if asset_ids else []
        now = time.monotonic()
        self._by_id |= {(tenant, s.signal_id): (now, s) for s in found}
        return found

    def forget(self, tenant: str, source: str = "") -> None:
        """See `SignalDirectory.forget`."""
        for key in [k for k in self._sources if k[0] == tenant and source in {"", k[1]}]:
            del self._sources[key]
        for name in [n for n in self._unknown if n.tenant == tenant and source in {"", n.source}]:
            del self._unknown[name]
        for one in [k for k in self._by_id if k[0] == tenant]:
            del self._by_id[one]

    async def _list(
        self,
        tenant: str,
        as_of_us: int | None,
        *,
        source: str = "",
        signal_ids: Sequence[str] = (),
        asset_ids: Sequence[str] = (),
    ) -> list[Signal]:
        """Return definitions as of a plant time, by default now; all pages."""
        now = self._clock.plant_now(Tenant(tenant))
        as_of = now if as_of_us is None else from_us(min(as_of_us, OPEN_US - 1))
        found: list[Signal] = []
        token = ""
        with acting_for(Tenant(tenant), ReadTime(now=now, as_of=as_of)):
            for _ in range(MAX_PAGES):
                self.calls += 1
                request = pb.ListSignalsRequest(
                    source=source,
                    signal_ids=signal_ids,
                    asset_ids=asset_ids,
                    page_size=PAGE,
                    page_token=token,
                )
                response = await self._stub.ListSignals(request)
                found.extend(signal_from_pb(tenant, s) for s in response.signals)
                token = response.next_page_token
                if not token:
                    break
        return found
