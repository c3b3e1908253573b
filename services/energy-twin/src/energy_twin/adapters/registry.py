"""The registry over gRPC, with what it said about assets kept in hand."""

from collections import OrderedDict
from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import Final

import grpc

from energy_twin import wire
from energy_twin.model.baseline import ConfigurationPeriod
from energy_twin.model.series import SignalUse
from twinmesh.assets.v1 import asset_registry_service_pb2 as pb
from twinmesh.assets.v1 import asset_registry_service_pb2_grpc as pb_grpc
from twinmesh_sdk.core.ids import AssetId, SignalId, Tenant
from twinmesh_sdk.core.request import acting_for
from twinmesh_sdk.core.times import MAX_TIME, MIN_TIME
from twinmesh_sdk.wire import timestamp

LAST_TIME: Final = MAX_TIME - timedelta(seconds=1)
"""The latest time that the registry takes: periods exclude their end."""

PAGE: Final = 1_000
MAX_KNOWN: Final = 50_000


class GrpcAssetDirectory:
    """See `AssetDirectory`.

    Signals are asked for by id, when one is met for the first time, configurations when something
    is first learned about an asset. An event about an asset makes us forget what we know of it.
    """

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = pb_grpc.AssetRegistryServiceStub(channel)
        self._uses: OrderedDict[tuple[Tenant, SignalId], SignalUse | None] = OrderedDict()
        self._of_asset: dict[tuple[Tenant, AssetId], set[SignalId]] = {}
        self._periods: OrderedDict[tuple[Tenant, AssetId], tuple[ConfigurationPeriod, ...]] = (
            OrderedDict()
        )

    async def uses(
        self, tenant: Tenant, signals: Mapping[AssetId, Collection[SignalId]]
    ) -> Mapping[SignalId, SignalUse]:
        """See `AssetDirectory.uses`."""
        wanted = {signal: asset for asset, of in signals.items() for signal in of}
        missing = [signal for signal in wanted if (tenant, signal) not in self._uses]
        for first in range(0, len(missing), PAGE):
            await self._fetch(tenant, missing[first : first + PAGE])
        for signal, asset in wanted.items():
            self._of_asset.setdefault((tenant, asset), set()).add(signal)
        found = {s: use for s in wanted if (use := self._uses.get((tenant, s))) is not None}
        while len(self._uses) > MAX_KNOWN:
            self._uses.popitem(last=False)
        return found

    async def _fetch(self, tenant: Tenant, signals: list[SignalId]) -> None:
        with acting_for(tenant):
            answer = await self._stub.ListSignals(
                pb.ListSignalsRequest(signal_ids=signals, page_size=PAGE)
            )
        told = {definition.signal_id: definition for definition in answer.signals}
        for signal in signals:
            definition = told.get(signal)
            if definition is not None:
                self._uses[tenant, signal] = wire.use_of(definition)

    async def periods(self, tenant: Tenant, asset_id: AssetId) -> tuple[ConfigurationPeriod, ...]:
        """See `AssetDirectory.periods`."""
        if (known := self._periods.get((tenant, asset_id))) is not None:
            return known
        with acting_for(tenant):
            answer = await self._stub.ListConfigurations(
                pb.ListConfigurationsRequest(
                    asset_ids=[asset_id], start=timestamp(MIN_TIME), end=timestamp(LAST_TIME)
                )
            )
        periods = wire.periods_of(answer.configurations)
        self._periods[tenant, asset_id] = periods
        while len(self._periods) > MAX_KNOWN:
            self._periods.popitem(last=False)
        return periods

    def forget(self, tenant: Tenant, asset_id: AssetId) -> None:
        """See `AssetDirectory.forget`."""
        self._periods.pop((tenant, asset_id), None)
        for signal in self._of_asset.pop((tenant, asset_id), ()):
            self._uses.pop((tenant, signal), None)
