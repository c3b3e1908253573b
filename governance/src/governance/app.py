"""Picks adapters and opens the doors."""

import asyncio
import contextlib
import logging
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi import APIRouter
from prometheus_client import Counter, Gauge
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from governance.adapters.artefacts import NatsArtefacts
from governance.adapters.event_counter import NatsEventCounter
from governance.adapters.federation import FederationComposer, warm_up
from governance.adapters.heads import FileHeads, NatsHeads
from governance.adapters.migration import migrate
from governance.adapters.nats import NatsNoticeboard
from governance.adapters.postgres import (
    PostgresLineage,
    PostgresRegistry,
    PostgresShadows,
    PostgresTrail,
    RegistryOutbox,
)
from governance.adapters.postgres.reality import PostgresReality
from governance.adapters.quarantine import NatsQuarantine
from governance.adapters.replicas import KvReplicaBoard
from governance.adapters.stream_ages import NatsStreamAges
from governance.api_grpc import GovernanceApi
from governance.api_grpc.audit_proofs import AuditApi
from governance.api_grpc.changes import ContractApi
from governance.api_grpc.deployments import DeploymentApi
from governance.api_grpc.lineage import ModelApi
from governance.api_grpc.policies import PolicyApi
from governance.api_grpc.quarantine import QuarantineApi
from governance.api_grpc.reality import RealityApi
from governance.api_grpc.retention import RetentionApi
from governance.api_grpc.shadows import ShadowApi
from governance.decide.audit_heads import private_key
from governance.decide.charter_shape import check_charter_shape
from governance.decide.drift import DriftRule
from governance.decide.promotion import PromotionRule
from governance.events import ConsumptionReports, DerivationConsumer, MeasurementConsumer
from governance.events.verdicts import VerdictHandler
from governance.http import ci_router
from governance.http.changes import add_changes
from governance.http.deployments import add_deployments
from governance.http.models import add_recalls
from governance.http.reality import add_reality
from governance.ports import ReplicaBoard
from governance.ports.audit import HeadBoard
from governance.settings import GovernanceSettings
from governance.subgraph import SCHEMA, Context, ContractChanges
from governance.usecases import (
    ForgetLineage,
    ForgetUses,
    JudgeDeployment,
    OverrideRefusals,
    Publish,
    PushContracts,
    ReadConsumers,
    ReadDeployments,
    ReadGovernance,
    ReadLineage,
    RecallModel,
    RecordConsumption,
    RecordDeployment,
    RecordDerived,
    RecordExport,
    RecordReceipts,
    ReleaseModel,
    WatchReplicas,
    Windows,
)
from governance.usecases.auditing import (
    AuditHeads,
    AuditQueue,
    EraseFromAudit,
    PublishHeads,
    ReadAudit,
    RecordAudit,
)
from governance.usecases.authority import Authority
from governance.usecases.judging import JudgeModels
from governance.usecases.policies import ChangePolicies, ReadPolicies
from governance.usecases.quarantine import AdministerQuarantine
from governance.usecases.reality import FollowVerdicts, JudgeCharters, ReadReality, ReportMeasure
from governance.usecases.retention import ObeyRetention, ReadRetention, SetRetention
from governance.usecases.retraining import AnswerRetraining
from governance.usecases.shadows import (
    Figures,
    ForgetMeasured,
    ReadShadows,
    RecordMeasured,
    Rules,
    Runners,
)
from twinmesh.governance.v1.audit_service_pb2_grpc import add_AuditServiceServicer_to_server
from twinmesh.governance.v1.contract_service_pb2_grpc import add_ContractServiceServicer_to_server
from twinmesh.governance.v1.deployment_service_pb2_grpc import (
    add_DeploymentServiceServicer_to_server,
)
from twinmesh.governance.v1.governance_service_pb2_grpc import (
    add_GovernanceServiceServicer_to_server,
)
from twinmesh.governance.v1.model_service_pb2_grpc import add_ModelServiceServicer_to_server
from twinmesh.governance.v1.policy_service_pb2_grpc import add_PolicyServiceServicer_to_server
from twinmesh.governance.v1.quarantine_service_pb2_grpc import (
    add_QuarantineServiceServicer_to_server,
)
from twinmesh.governance.v1.reality_service_pb2_grpc import add_RealityServiceServicer_to_server
from twinmesh.governance.v1.retention_service_pb2_grpc import (
    add_RetentionServiceServicer_to_server,
)
from twinmesh.governance.v1.shadow_service_pb2_grpc import add_ShadowServiceServicer_to_server
from twinmesh_sdk.adapters.nats import KvMirror
from twinmesh_sdk.adapters.nats.replicas import REPLICAS
from twinmesh_sdk.contract import Contract
from twinmesh_sdk.core.errors import TwinError
from twinmesh_sdk.runtime import TwinService

log = logging.getLogger(__name__)

FORGET_EVERY_S: Final = 3600.0
WATCH_S: Final = 5.0
WATCH_PAUSE_S: Final = 0.5
LAGGING: Final = Gauge(
    "twin_model_replicas_lagging", "Processes that run other versions than the schedule says"
)
FORKED: Final = Counter(
    "twin_audit_forked_total", "Audit logs found not to continue a published tree head"
)


def main() -> None:
    """Serve, or with `migrate` prepare the database."""
    settings = GovernanceSettings()
    if sys.argv[1:] == ["migrate"]:
        asyncio.run(_migrate(settings))
    elif sys.argv[1:]:
        raise SystemExit(f"usage: {sys.argv[0]} [migrate]")
    else:
        build(settings).start()


def build(settings: GovernanceSettings) -> TwinService:
    """Return the service, not yet running."""
    service = TwinService(settings, Contract.load("governance"))
    engine = _engine(settings)
    service.add_resource("database", _opened(engine, migrating=settings.migrate_on_start))
    registry = PostgresRegistry(engine)
    board = NatsNoticeboard(service.nats, replicas=settings.nats_replicas)
    publish = Publish(
        registry,
        board,
        service.clock,
        environment=settings.environment,
        public_key=_public_key(settings),
    )
    authority = _authority(service, settings, registry)
    read = ReadGovernance(registry, service.clock, authority)
    composer, windows = FederationComposer(), _windows(settings)
    push = PushContracts(
        registry,
        composer,
        publish,
        service.clock,
        authority=authority,
        windows=windows,
        environment=settings.environment,
    )
    lineage = PostgresLineage(engine)
    release, watch, replicas = _open_model_doors(
        service, settings, publish, authority, stores=(registry, lineage)
    )
    service.add_grpc(add_GovernanceServiceServicer_to_server, GovernanceApi(push, read, release))
    reality = _reality(service, settings, registry, engine, authority)
    changes = _open_change_doors(service, settings, registry, publish, authority)
    reads = ReadLineage(lineage, authority)
    shadows = _open_shadow_doors(
        service,
        settings,
        publish,
        authority,
        stores=(registry, PostgresShadows(engine, service.clock)),
        board=replicas,
    )
    service.add_subgraph(
        SCHEMA, lambda: Context(read, reads, watch, reality, changes, shadows=shadows)
    )
    audit, queue = _audit(service, settings, engine, authority)
    quarantine = AdministerQuarantine(NatsQuarantine(service.nats), queue, authority, service.clock)
    service.add_grpc(add_QuarantineServiceServicer_to_server, QuarantineApi(quarantine))
    service.add_router(ci_router(push, read, release, audit))
    _retention(service, settings, registry, publish, authority=authority, audit=queue)

    service.add_relay(RegistryOutbox(engine))

    async def keep_published() -> None:
        """Bring back what a restart, a lost bucket or a failed publication left out."""
        warm = False
        while True:
            try:
                if written := await publish():
                    log.info("snapshot published", extra={"entries": written})
            except TwinError as error:
                log.warning("snapshot not published", extra={"error": str(error)})
            if not warm:
                await asyncio.to_thread(_warm_up)
                warm = True
            await asyncio.sleep(settings.republish_s)

    async def registry_answers() -> None:
        await registry.ping()

    service.add_worker("keep published", keep_published)
    reports = ConsumptionReports(
        service.nats,
        RecordConsumption(registry, service.clock, deprecation=_windows(settings).deprecation),
        RecordReceipts(lineage),
    )
    service.add_worker("consumption reports", reports.run)
    derivations = DerivationConsumer(service.nats, service.contracts, RecordDerived(lineage))
    service.add_worker("derivations", derivations.run)
    forget_lineage = ForgetLineage(
        lineage, service.clock, kept=timedelta(days=settings.receipts_kept_days)
    )
    service.add_worker("old receipts", lambda: _keep_forgetting(forget_lineage))
    forget = ForgetUses(registry, service.clock, kept_days=settings.uses_kept_days)
    service.add_worker("old uses", lambda: _keep_forgetting(forget))
    # In place of the runtime's: whoever registers contracts cannot wait for its own to be active.
    service.add_probe("contract", registry_answers)
    return service


def _model_key(settings: GovernanceSettings) -> Ed25519PrivateKey | None:
    seed = settings.model_key.get_secret_value()
    return private_key(seed) if seed else None


def _public_key(settings: GovernanceSettings) -> str:
    key = _model_key(settings)
    return "" if key is None else key.public_key().public_bytes_raw().hex()


def _authority(
    service: TwinService, settings: GovernanceSettings, registry: PostgresRegistry
) -> Authority:
    """Add the policies' door, and a worker that takes up what another replica changed."""
    authority = Authority(registry)

    async def keep_up() -> None:
        while True:
            try:
                if await authority.refresh():
                    log.info("policies taken up", extra={"version": authority.in_force.version})
            except TwinError as error:
                log.warning("policies not read", extra={"error": str(error)})
            await asyncio.sleep(settings.policy_refresh_s)

    service.add_worker("keep up with policies", keep_up)
    service.add_grpc(
        add_PolicyServiceServicer_to_server,
        PolicyApi(
            ReadPolicies(registry, authority),
            ChangePolicies(registry, authority, service.clock),
            authority,
        ),
    )
    return authority


def _audit(
    service: TwinService, settings: GovernanceSettings, engine: AsyncEngine, authority: Authority
) -> tuple[ReadAudit, AuditQueue]:
    """Add the audit log's door and its workers; returns what reads it and what appends to it."""
    trail = PostgresTrail(engine)
    seed = settings.audit_key.get_secret_value()
    heads = AuditHeads(trail, private_key(seed) if seed else None, service.clock)
    boards: list[HeadBoard] = [NatsHeads(service.nats)]
    if settings.audit_heads_file is not None:
        boards.append(FileHeads(settings.audit_heads_file))
    read = ReadAudit(trail, heads, boards[0], authority)
    queue = AuditQueue(trail)
    publish = PublishHeads(trail, heads, boards)

    async def publish_heads() -> None:
        """Let what was recorded be vouched for outside the database, soon after."""
        while True:
            try:
                for forked in await publish():
                    FORKED.inc()
                    log.critical(
                        "audit log does not continue a published tree head",
                        extra={"log": forked.log, "size": forked.size},
                    )
            except TwinError as error:
                log.warning("tree heads not published", extra={"error": str(error)})
            await asyncio.sleep(settings.audit_heads_s)

    service.add_worker("append to the audit log", queue.run)
    if seed:
        service.add_worker("publish tree heads", publish_heads)
    else:
        log.error("TWIN_AUDIT_KEY is not set: the audit log's tree heads are not signed")
    service.add_grpc(
        add_AuditServiceServicer_to_server,
        AuditApi(
            read,
            RecordAudit(queue, service.clock, authority),
            EraseFromAudit(trail, service.clock, authority),
        ),
    )
    return read, queue


def _reality(
    service: TwinService,
    settings: GovernanceSettings,
    registry: PostgresRegistry,
    engine: AsyncEngine,
    authority: Authority,
) -> ReadReality:
    """Hold charters against reality; returns what shows where they stand."""
    store = PostgresReality(engine)
    read = ReadReality(store, authority)
    judge = JudgeCharters(
        registry,
        store,
        NatsEventCounter(service.nats),
        service.clock,
        patience=timedelta(seconds=settings.reality_patience_s),
    )

    async def keep_judging() -> None:
        while True:
            try:
                if turned := await judge():
                    log.warning("promises of charters turned", extra={"promises": turned})
            except TwinError as error:
                log.warning("charters cannot be judged", extra={"error": str(error)})
            await asyncio.sleep(settings.reality_s)

    service.on_event(VerdictHandler(FollowVerdicts(store)))
    service.add_worker("charter against reality", keep_judging)
    report = ReportMeasure(store, authority, service.clock)
    service.add_grpc(add_RealityServiceServicer_to_server, RealityApi(read, report))
    router = APIRouter(prefix="/v1", tags=["governance"])
    add_reality(router, read)
    service.add_router(router)
    return read


def _retention(
    service: TwinService,
    settings: GovernanceSettings,
    registry: PostgresRegistry,
    publish: Publish,
    *,
    authority: Authority,
    audit: AuditQueue,
) -> None:
    """Add the door for retention policies, and the worker that lets the bus obey them."""
    change = SetRetention(registry, publish, authority, service.clock)
    service.add_grpc(
        add_RetentionServiceServicer_to_server,
        RetentionApi(ReadRetention(registry, authority), change),
    )
    obey = ObeyRetention(registry, NatsStreamAges(service.nats), audit, service.clock)

    async def keep_obeying() -> None:
        while True:
            try:
                if changed := await obey():
                    log.info("streams keep for another time now", extra={"streams": changed})
            except TwinError as error:
                log.warning("retention cannot be applied", extra={"error": str(error)})
            await asyncio.sleep(settings.republish_s)

    service.add_worker("retention on the bus", keep_obeying)


@contextlib.asynccontextmanager
async def _opened(engine: AsyncEngine, *, migrating: bool) -> AsyncIterator[AsyncEngine]:
    try:
        if migrating:
            await migrate(engine)
        yield engine
    finally:
        await engine.dispose()


def _windows(settings: GovernanceSettings) -> Windows:
    return Windows(
        use=timedelta(days=settings.use_window_days),
        deprecation=timedelta(days=settings.deprecation_window_days),
    )


def _open_change_doors(
    service: TwinService,
    settings: GovernanceSettings,
    registry: PostgresRegistry,
    publish: Publish,
    authority: Authority,
) -> ContractChanges:
    """Open the doors for uses, deprecations, overrides and deployments; returns what reads them."""
    composer, windows, here = FederationComposer(), _windows(settings), settings.environment
    consumers = ReadConsumers(registry, service.clock, windows, authority)
    overrides = OverrideRefusals(registry, composer, service.clock, windows, authority)
    judge = JudgeDeployment(registry, composer, service.clock, windows, authority, environment=here)
    record = RecordDeployment(
        registry, composer, publish, service.clock, authority, environment=here
    )
    read = ReadDeployments(registry)
    service.add_grpc(add_ContractServiceServicer_to_server, ContractApi(consumers, overrides))
    service.add_grpc(add_DeploymentServiceServicer_to_server, DeploymentApi(judge, record, read))
    router = APIRouter(prefix="/v1", tags=["governance"])
    add_changes(router, consumers, overrides)
    add_deployments(router, judge, record, read)
    service.add_router(router)
    return ContractChanges(consumers, overrides, read)


def _open_model_doors(
    service: TwinService,
    settings: GovernanceSettings,
    publish: Publish,
    authority: Authority,
    *,
    stores: tuple[PostgresRegistry, PostgresLineage],
) -> tuple[ReleaseModel, WatchReplicas, ReplicaBoard]:
    """Open the doors for recalls and lineage; returns what releases, what watches, and where."""
    registry, store = stores
    lineage, key = ReadLineage(store, authority), _model_key(settings)
    if key is None:
        log.error("TWIN_MODEL_KEY is not set: no model can be approved")
    release = ReleaseModel(
        registry,
        publish,
        service.clock,
        authority,
        artefacts=NatsArtefacts(service.nats),
        lineage=lineage,
        key=key,
    )
    bucket = KvMirror(service.nats, REPLICAS)
    board = KvReplicaBoard(bucket)
    watch = WatchReplicas(registry, board, service.clock, authority)
    recall = RecallModel(release, board, lineage, service.clock, wait_s=settings.recall_wait_s)
    export = RecordExport(RecordReceipts(store), service.clock, authority)
    service.add_grpc(
        add_ModelServiceServicer_to_server, ModelApi(release, recall, lineage, watch, export)
    )
    router = APIRouter(prefix="/v1", tags=["governance"])
    add_recalls(router, recall, lineage)
    service.add_router(router)

    async def watch_replicas() -> None:
        """Look whenever a process speaks, at least every WATCH_S."""
        while True:
            try:
                for alarm in await watch():
                    log.error(
                        "a process runs other model versions than the schedule says",
                        extra={
                            "service": alarm.service,
                            "instance": alarm.instance,
                            "model": alarm.model,
                            "running": sorted(alarm.running),
                            "expected": sorted(alarm.expected),
                        },
                    )
            except TwinError as error:
                log.warning("replicas cannot be watched", extra={"error": str(error)})
            LAGGING.set(len(watch.alarms))
            await asyncio.gather(board.changed(within_s=WATCH_S), asyncio.sleep(WATCH_PAUSE_S))

    service.add_worker("heartbeats", bucket.run)
    service.add_worker("watch replicas", watch_replicas)
    return release, watch, board


def _rules(settings: GovernanceSettings) -> Rules:
    return Rules(
        promotion=PromotionRule(
            least_windows=settings.promotion_least_windows,
            least_span=timedelta(seconds=settings.promotion_least_span_s),
        ),
        drift=DriftRule(learned_windows=settings.drift_learned_windows),
        automatic=settings.model_rulings == "automatic",
    )


def _open_shadow_doors(
    service: TwinService,
    settings: GovernanceSettings,
    publish: Publish,
    authority: Authority,
    *,
    stores: tuple[PostgresRegistry, PostgresShadows],
    board: ReplicaBoard,
) -> ReadShadows:
    """Hear what twins measure of versions, judge it, and open the doors to it."""
    (registry, store), rules = stores, _rules(settings)
    figures, changed = Figures(store, Runners(registry, board)), asyncio.Event()
    consumer = MeasurementConsumer(service.nats, RecordMeasured(store), changed)
    judge = JudgeModels(registry, figures, publish, service.clock, rules)
    read = ReadShadows(registry, figures, service.clock, rules, authority)
    answer = AnswerRetraining(registry, service.clock, authority)

    async def judge_models() -> None:
        """Judge when something was measured; after an outage, again."""
        changed.set()
        while True:
            await changed.wait()
            changed.clear()
            try:
                await judge()
            except TwinError as error:
                changed.set()
                log.warning("models cannot be judged", extra={"error": str(error)})
            await asyncio.sleep(settings.model_judge_s)

    kept = timedelta(days=settings.measurements_kept_days)
    forget = ForgetMeasured(store, service.clock, kept=kept)
    service.add_worker("measured windows", consumer.run)
    service.add_worker("judge models", judge_models)
    service.add_worker("old windows", lambda: _keep_forgetting(forget))
    service.add_grpc(add_ShadowServiceServicer_to_server, ShadowApi(read, answer))
    return read


async def _keep_forgetting(forget: Callable[[], Awaitable[int]]) -> None:
    """Forget what is older than is kept, a bounded number every hour."""
    while True:
        try:
            if gone := await forget():
                log.info("old records forgotten", extra={"records": gone})
        except TwinError as error:
            log.warning("old records cannot be forgotten", extra={"error": str(error)})
        await asyncio.sleep(FORGET_EVERY_S)


def _warm_up() -> None:
    """Do what the first push would otherwise wait for, after the doors are open."""
    check_charter_shape("", {})
    warm_up()


async def _migrate(settings: GovernanceSettings) -> None:
    async with _opened(_engine(settings), migrating=True):
        log.info("database is at this release's schema")


def _engine(settings: GovernanceSettings) -> AsyncEngine:
    return create_async_engine(
        settings.database_url.get_secret_value(),
        pool_size=settings.database_pool,
        pool_timeout=settings.call_timeout_s,
        pool_pre_ping=True,
        connect_args={"timeout": settings.call_timeout_s},
    )
