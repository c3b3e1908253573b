"""gRPC doors: `AssetRegistryService` and the `TwinService` that every twin answers."""

import json
from collections.abc import Sequence
from typing import Final

import grpc.aio
from google.protobuf.json_format import ParseDict
from google.protobuf.struct_pb2 import Struct

from asset_registry import wire
from asset_registry.model import Recorded, RelationKind, Window
from asset_registry.ports import AssetFilter, AssetStore, Mint, SignalFilter
from asset_registry.usecases import (
    AssignAlias,
    DefineSignal,
    ImportPlant,
    RecordConfiguration,
    RecordRelation,
    RegisterAsset,
)
from twinmesh.assets.v1 import asset_registry_service_pb2 as pb
from twinmesh.assets.v1 import asset_registry_service_pb2_grpc as pb_grpc
from twinmesh.twin.v1 import twin_service_pb2 as twin_pb
from twinmesh.twin.v1 import twin_service_pb2_grpc as twin_pb_grpc
from twinmesh_sdk.contract import Contract
from twinmesh_sdk.core.errors import InvalidInputError, NotFoundError
from twinmesh_sdk.core.ids import AssetId, SignalId, SubjectToken, Tenant
from twinmesh_sdk.core.request import current_principal, current_read_time
from twinmesh_sdk.core.times import MIN_TIME, OPEN_US, to_us
from twinmesh_sdk.core.trust import Trust, Verdict
from twinmesh_sdk.ports.clock import Clock
from twinmesh_sdk.wire import trust_to_pb

READ_ROLE: Final = "read"
MAX_IDS: Final = 1000
DEFAULT_PAGE: Final = 100
MAX_PAGE: Final = 1000

Context = grpc.aio.ServicerContext


class Writers:
    """The use cases that change something, bundled for the door."""

    def __init__(self, store: AssetStore, mint: Mint, clock: Clock) -> None:
        self.register_asset = RegisterAsset(store, mint)
        self.assign_alias = AssignAlias(store)
        self.record_relation = RecordRelation(store)
        self.record_configuration = RecordConfiguration(store, mint)
        self.define_signal = DefineSignal(store)
        self.import_plant = ImportPlant(store, mint, clock)


class AssetRegistryApi(pb_grpc.AssetRegistryServiceServicer):
    """Implements `twinmesh.assets.v1.AssetRegistryService`."""

    def __init__(self, store: AssetStore, writers: Writers, mint: Mint) -> None:
        self._store = store
        self._writers = writers
        self._mint = mint

    async def RegisterAsset(  # noqa: N802 - name fixed by the proto
        self,
        request: pb.RegisterAssetRequest,
        context: Context[pb.RegisterAssetRequest, pb.RegisterAssetResponse],
    ) -> pb.RegisterAssetResponse:
        """Handle one call. `TwinError`s leave through the SDK's interceptor."""
        del context
        outcome = await self._writers.register_asset(
            current_principal(), wire.registration_from_pb(request, _now_us())
        )
        return pb.RegisterAssetResponse(
            asset=wire.asset_to_pb(outcome.record), changed=isinstance(outcome, Recorded)
        )

    async def AssignAlias(  # noqa: N802 - name fixed by the proto
        self,
        request: pb.AssignAliasRequest,
        context: Context[pb.AssignAliasRequest, pb.AssignAliasResponse],
    ) -> pb.AssignAliasResponse:
        """Handle one call."""
        del context
        outcome = await self._writers.assign_alias(
            current_principal(), wire.alias_from_pb(request.alias, _now_us())
        )
        return pb.AssignAliasResponse(
            alias=wire.alias_to_pb(outcome.record), changed=isinstance(outcome, Recorded)
        )

    async def RecordRelation(  # noqa: N802 - name fixed by the proto
        self,
        request: pb.RecordRelationRequest,
        context: Context[pb.RecordRelationRequest, pb.RecordRelationResponse],
    ) -> pb.RecordRelationResponse:
        """Handle one call."""
        del context
        outcome = await self._writers.record_relation(
            current_principal(), wire.relation_from_pb(request.relation, _now_us())
        )
        return pb.RecordRelationResponse(
            relation=wire.relation_to_pb(outcome.record), changed=isinstance(outcome, Recorded)
        )

    async def RecordConfiguration(  # noqa: N802 - name fixed by the proto
        self,
        request: pb.RecordConfigurationRequest,
        context: Context[pb.RecordConfigurationRequest, pb.RecordConfigurationResponse],
    ) -> pb.RecordConfigurationResponse:
        """Handle one call."""
        del context
        outcome = await self._writers.record_configuration(
            current_principal(), wire.configuring_from_pb(request, _now_us())
        )
        return pb.RecordConfigurationResponse(
            configuration=wire.configuration_to_pb(outcome.record),
            changed=isinstance(outcome, Recorded),
        )

    async def DefineSignal(  # noqa: N802 - name fixed by the proto
        self,
        request: pb.DefineSignalRequest,
        context: Context[pb.DefineSignalRequest, pb.DefineSignalResponse],
    ) -> pb.DefineSignalResponse:
        """Handle one call."""
        del context
        given = SignalId(request.signal.signal_id) if request.signal.signal_id else None
        statement = wire.signal_from_pb(
            request.signal, _now_us(), minted=given or self._mint.signal_id()
        )
        outcome = await self._writers.define_signal(current_principal(), statement, given=given)
        return pb.DefineSignalResponse(
            signal=wire.signal_to_pb(outcome.record), changed=isinstance(outcome, Recorded)
        )

    async def ImportPlant(  # noqa: N802 - name fixed by the proto
        self,
        request: pb.ImportPlantRequest,
        context: Context[pb.ImportPlantRequest, pb.ImportPlantResponse],
    ) -> pb.ImportPlantResponse:
        """Handle one call."""
        del context
        plan = await self._writers.import_plant(
            current_principal(), dict(request.tables), dry_run=request.dry_run
        )
        return pb.ImportPlantResponse(
            changed=plan.changed, unchanged=plan.unchanged, problems=plan.problems
        )

    async def GetAssets(  # noqa: N802 - name fixed by the proto
        self,
        request: pb.GetAssetsRequest,
        context: Context[pb.GetAssetsRequest, pb.GetAssetsResponse],
    ) -> pb.GetAssetsResponse:
        """Handle one call."""
        del context
        tenant, window = _reader(), Window.of(current_read_time())
        asks = [(asset, window) for asset in wire.asset_ids(request.asset_ids)]
        found = await self._store.assets(tenant, asks)
        return pb.GetAssetsResponse(
            assets=[wire.asset_to_pb(record) for record in found if record is not None]
        )

    async def ListAssets(  # noqa: N802 - name fixed by the proto
        self,
        request: pb.ListAssetsRequest,
        context: Context[pb.ListAssetsRequest, pb.ListAssetsResponse],
    ) -> pb.ListAssetsResponse:
        """Handle one call."""
        del context
        size = _page_size(request.page_size)
        page = await self._store.asset_page(
            _reader(),
            AssetFilter(asset_class=request.asset_class or None),
            Window.of(current_read_time()),
            after=AssetId(request.page_token) if request.page_token else None,
            limit=size + 1,
        )
        return pb.ListAssetsResponse(
            assets=[wire.asset_to_pb(record) for record in page[:size]],
            next_page_token=page[size - 1].fact.asset_id if len(page) > size else "",
        )

    async def ResolveAliases(  # noqa: N802 - name fixed by the proto
        self,
        request: pb.ResolveAliasesRequest,
        context: Context[pb.ResolveAliasesRequest, pb.ResolveAliasesResponse],
    ) -> pb.ResolveAliasesResponse:
        """Handle one call. A name with several candidates resolves to none of them."""
        del context
        tenant, window = _reader(), Window.of(current_read_time())
        keys = wire.alias_keys(request.keys)
        answers = await self._store.candidates(tenant, [(key, window) for key in keys])
        return pb.ResolveAliasesResponse(
            aliases=[wire.alias_to_pb(found[0]) for found in answers if len(found) == 1],
            ambiguous=[
                pb.AliasKey(system=key.system, value=key.value)
                for key, found in zip(keys, answers, strict=True)
                if len(found) > 1
            ],
        )

    async def ListConfigurations(  # noqa: N802 - name fixed by the proto
        self,
        request: pb.ListConfigurationsRequest,
        context: Context[pb.ListConfigurationsRequest, pb.ListConfigurationsResponse],
    ) -> pb.ListConfigurationsResponse:
        """Handle one call."""
        del context
        tenant, window = _reader(), _window(request)
        asks = [(asset, window) for asset in wire.asset_ids(request.asset_ids)]
        answers = await self._store.configurations(tenant, asks)
        return pb.ListConfigurationsResponse(
            configurations=[wire.configuration_to_pb(r) for found in answers for r in found]
        )

    async def ListRelations(  # noqa: N802 - name fixed by the proto
        self,
        request: pb.ListRelationsRequest,
        context: Context[pb.ListRelationsRequest, pb.ListRelationsResponse],
    ) -> pb.ListRelationsResponse:
        """Handle one call. Relations in both directions, each once."""
        del context
        tenant, window = _reader(), Window.of(current_read_time())
        kind: RelationKind | None = None
        if request.kind:
            kind = wire.relation_kind_from_pb(request.kind)
        asks = [(asset, window) for asset in wire.asset_ids(request.asset_ids)]
        answers = await self._store.relations(tenant, asks, kind=kind)
        once = {record.version_id: record for found in answers for record in found}
        return pb.ListRelationsResponse(relations=[wire.relation_to_pb(r) for r in once.values()])

    async def ListSignals(  # noqa: N802 - name fixed by the proto
        self,
        request: pb.ListSignalsRequest,
        context: Context[pb.ListSignalsRequest, pb.ListSignalsResponse],
    ) -> pb.ListSignalsResponse:
        """Handle one call."""
        del context
        size = _page_size(request.page_size)
        page = await self._store.signal_page(
            _reader(),
            SignalFilter(
                assets=wire.asset_ids(request.asset_ids),
                signals=_signal_ids(request.signal_ids),
                source=SubjectToken(request.source) if request.source else None,
            ),
            Window.of(current_read_time()),
            after=SignalId(request.page_token) if request.page_token else None,
            limit=size + 1,
        )
        return pb.ListSignalsResponse(
            signals=[wire.signal_to_pb(record) for record in page[:size]],
            next_page_token=page[size - 1].fact.signal_id if len(page) > size else "",
        )


class TwinApi(twin_pb_grpc.TwinServiceServicer):
    """Implements `twinmesh.twin.v1.TwinService`."""

    def __init__(self, store: AssetStore, contract: Contract) -> None:
        self._store = store
        self._contract = contract

    async def Describe(  # noqa: N802 - name fixed by the proto
        self,
        request: twin_pb.DescribeRequest,
        context: Context[twin_pb.DescribeRequest, twin_pb.DescribeResponse],
    ) -> twin_pb.DescribeResponse:
        """Return the charter and contract in force."""
        del request, context
        return twin_pb.DescribeResponse(
            name=self._contract.service,
            version=self._contract.version,
            contract_digest=self._contract.digest,
            charter=ParseDict(json.loads(json.dumps(self._contract.charter)), Struct()),
        )

    async def GetStates(  # noqa: N802 - name fixed by the proto
        self,
        request: twin_pb.GetStatesRequest,
        context: Context[twin_pb.GetStatesRequest, twin_pb.GetStatesResponse],
    ) -> twin_pb.GetStatesResponse:
        """Return each asset's place in its life, with its configuration."""
        del context
        tenant, window = _reader(), Window.of(current_read_time())
        asks = [(asset, window) for asset in wire.asset_ids(request.asset_ids)]
        assets = await self._store.assets(tenant, asks)
        configurations = await self._store.configurations(tenant, asks)
        states = []
        for record, active in zip(assets, configurations, strict=True):
            if record is None:
                continue
            current = active[-1].fact if active else None
            states.append(
                twin_pb.State(
                    asset_id=record.fact.asset_id,
                    state=record.fact.lifecycle,
                    attributes=ParseDict(
                        {
                            "name": record.fact.name,
                            "asset_class": record.fact.asset_class,
                            "configuration": current.label if current else None,
                        },
                        Struct(),
                    ),
                    trust=trust_to_pb(
                        Trust(
                            Verdict.UNASSESSED,
                            observed_at=current_read_time().as_of,
                            configuration_version=current.configuration_id if current else "",
                        )
                    ),
                    interval=wire.interval_to_pb(record.interval),
                )
            )
        return twin_pb.GetStatesResponse(states=states)

    async def Explain(  # noqa: N802 - name fixed by the proto
        self,
        request: twin_pb.ExplainRequest,
        context: Context[twin_pb.ExplainRequest, twin_pb.ExplainResponse],
    ) -> twin_pb.ExplainResponse:
        """Refuse: the registry records what it is told, and derives nothing."""
        del context
        _reader()
        raise NotFoundError(
            f"no derived output {request.output_id[:80]!r}",
            hint="the registry derives nothing; ask ListConfigurations who recorded what",
        )


def _reader() -> Tenant:
    caller = current_principal()
    caller.require(READ_ROLE)
    return caller.tenant


def _now_us() -> int:
    return to_us(current_read_time().now)


def _page_size(asked: int) -> int:
    if asked > MAX_PAGE:
        raise InvalidInputError(f"page_size is at most {MAX_PAGE}, got {asked}")
    return asked or DEFAULT_PAGE


def _signal_ids(values: Sequence[str]) -> tuple[SignalId, ...]:
    if len(values) > MAX_IDS:
        raise InvalidInputError(f"at most {MAX_IDS} ids at once, got {len(values)}")
    return tuple(dict.fromkeys(SignalId(value) for value in values))


def _window(request: pb.ListConfigurationsRequest) -> Window:
    """Return the stretch asked about; the request's as-of when none is given."""
    times = current_read_time()
    if not request.HasField("start") and not request.HasField("end"):
        return Window.of(times)
    start = wire.time_from_pb(request.start) if request.HasField("start") else to_us(MIN_TIME)
    end = wire.time_from_pb(request.end) if request.HasField("end") else OPEN_US
    return Window(start, end, times.known_at_us)
