"""The registry over gRPC, with the signals of assets kept in hand."""

from collections import OrderedDict
from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import Final

import grpc

from maintenance_twin import wire
from maintenance_twin.model.configuration import Configurations
from maintenance_twin.model.signal import Profile
from twinmesh.assets.v1 import asset_registry_service_pb2 as pb
from twinmesh.assets.v1 import asset_registry_service_pb2_grpc as pb_grpc
from twinmesh.assets.v1 import model_pb2
from twinmesh_sdk.core.ids import AssetId, Tenant
from twinmesh_sdk.core.request import acting_for
from twinmesh_sdk.core.times import MAX_TIME, MIN_TIME
from twinmesh_sdk.wire import timestamp

MAX_IDS: Final = 1_000
MAX_PAGES: Final = 100
PAGE: Final = 1_000
MAX_PROFILES: Final = 20_000
LAST_TIME: Final = MAX_TIME - timedelta(seconds=1)
"""The latest time that a period may contain."""


class GrpcAssetDirectory:
    """An `AssetDirectory`.

    Signals change rarely and announce it by event; configurations are asked for with every batch,
    because a version that is overlooked would be judged against the wrong baseline.
    """

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = pb_grpc.AssetRegistryServiceStub(channel)
        self._profiles: OrderedDict[tuple[Tenant, AssetId], Profile] = OrderedDict()

    async def profiles(
        self, tenant: Tenant, asset_ids: Collection[AssetId]
    ) -> Mapping[AssetId, Profile]:
        """See `AssetDirectory.profiles`."""
        missing = [a for a in asset_ids if (tenant, a) not in self._profiles]
        for first in range(0, len(missing), MAX_IDS):
            await self._fetch(tenant, missing[first : first + MAX_IDS])
        while len(self._profiles) > MAX_PROFILES:
            self._profiles.popitem(last=False)
        return {a: self._profiles[tenant, a] for a in asset_ids if (tenant, a) in self._profiles}

    async def _fetch(self, tenant: Tenant, asset_ids: list[AssetId]) -> None:
        with acting_for(tenant):
            assets = await self._stub.GetAssets(pb.GetAssetsRequest(asset_ids=asset_ids))
            signals = await self._signals(asset_ids)
        by_asset: dict[str, list[model_pb2.SignalDefinition]] = {}
        for signal in signals:
            by_asset.setdefault(signal.asset_id, []).append(signal)
        for asset in assets.assets:
            profile = wire.profile_of(asset, by_asset.get(asset.asset_id, []))
            self._profiles[tenant, profile.asset_id] = profile

    async def _signals(self, asset_ids: list[AssetId]) -> list[model_pb2.SignalDefinition]:
        found: list[model_pb2.SignalDefinition] = []
        token = ""
        for _ in range(MAX_PAGES):
            page = await self._stub.ListSignals(
                pb.ListSignalsRequest(asset_ids=asset_ids, page_size=PAGE, page_token=token)
            )
            found.extend(page.signals)
            token = page.next_page_token
            if not token:
                break
        return found

    async def configurations(
        self, tenant: Tenant, asset_ids: Collection[AssetId]
    ) -> Mapping[AssetId, Configurations]:
        """See `AssetDirectory.configurations`."""
        wanted = sorted(asset_ids)
        found: list[model_pb2.ConfigurationVersion] = []
        with acting_for(tenant):
            for first in range(0, len(wanted), MAX_IDS):
                answer = await self._stub.ListConfigurations(
                    pb.ListConfigurationsRequest(
                        asset_ids=wanted[first : first + MAX_IDS],
                        start=timestamp(MIN_TIME),
                        end=timestamp(LAST_TIME),
                    )
                )
                found.extend(answer.configurations)
        return wire.configurations_of(found)

    def forget(self, tenant: Tenant, asset_id: AssetId) -> None:
        """See `AssetDirectory.forget`."""
        self._profiles.pop((tenant, asset_id), None)
