"""What versions do on live events: kept once, judged once, carried out, audited and told."""

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.ext.asyncio import create_async_engine

from governance.adapters.memory import MemoryRegistry, MemoryShadows
from governance.adapters.migration import migrate
from governance.adapters.postgres import PostgresRegistry, PostgresShadows, RegistryOutbox
from governance.decide import drift
from governance.decide.drift import Drifting, DriftRule, RollbackRule
from governance.decide.promotion import Continue, PromotionRule
from governance.model.contracts import Contract, ContractState, Version
from governance.model.releases import (
    Activation,
    ArtefactDigest,
    BackTest,
    ModelName,
    ModelState,
    ModelVersion,
    Scope,
)
from governance.model.replicas import Heartbeat
from governance.model.shadow import Comparison, MeasuredWindow, Measurement, RulingKind
from governance.ports.shadows import Measured
from governance.usecases.authority import Authority
from governance.usecases.judging import JudgeModels
from governance.usecases.retraining import AnswerRetraining
from governance.usecases.shadows import (
    Figures,
    ForgetMeasured,
    ReadShadows,
    Rules,
    Runners,
    Watchman,
)
from twinmesh_sdk.core.errors import ConflictError, ForbiddenError, NotFoundError
from twinmesh_sdk.core.ids import AssetId, Tenant
from twinmesh_sdk.testing.clock import SimulatedClock

NOW = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
START = NOW - timedelta(days=3)
WINDOW = timedelta(minutes=10)
ACME, GLOBEX = Tenant("acme"), Tenant("globex")
MODEL = ModelName("pump-condition")
V0, V1, V2, V3 = (Version.parse(f"1.{n}.0") for n in range(4))
RULES = Rules(
    promotion=PromotionRule(least_windows=20, least_span=timedelta(hours=2)),
    drift=DriftRule(learned_windows=10, calm_windows=3),
    rollback=RollbackRule(),
)


class Published:
    """Counts publications."""

    def __init__(self):
        self.times = 0

    async def __call__(self):
        self.times += 1
        return 1


def version(number, state, *periods, scope=None):
    return ModelVersion(
        name=MODEL,
        version=number,
        artefact_digest=ArtefactDigest("sha256:" + "0" * 64),
        scope=scope or Scope(),
        back_test=BackTest(reference="bt"),
        description="",
        submitted_by="author",
        submitted_at=START,
        state=state,
        approved_by="reviewer",
        approved_at=START,
        approval_expires_at=NOW + timedelta(days=30),
        activations=tuple(Activation(a, b, "reviewer", a) for a, b in periods),
    )


ACTIVE = version(V1, ModelState.ACTIVE, (START, None))
SHADOW = version(V2, ModelState.SHADOW)


def window(
    n, number=V1, *, tenant=ACME, asset=0, error=1.0, residual=0.0, beside=None, domain="pump"
):
    asset_id = AssetId("ast_" + str(asset) * 26)
    start = START + n * WINDOW
    measured = Measurement(asset_id, start, start + WINDOW, 500, error, residual)
    challengers = {
        other: Comparison(asset_id, start, start + WINDOW, 400, error, their, 400, 0)
        for other, their in (beside or {}).items()
    }
    return MeasuredWindow(tenant, domain, MODEL, number, asset_id, "cfg", measured, challengers)


class Board:
    """Heartbeats of processes that run the model."""

    def __init__(self, *services):
        self.services = services

    def heartbeats(self):
        return [Heartbeat(name, "i", NOW, {str(MODEL): {}}, {}) for name in self.services]


def asked(tenant=ACME, number=V1, *domains):
    return Measured(tenant, frozenset(domains or ("pump",)), MODEL, number)


async def compared_with(store, tenant=ACME, *domains):
    return await store.compared(asked(tenant, V1, *domains), V2, since=START, limit=100)


class Mesh:
    """A registry, a store and what judges."""

    def __init__(self, registry, store, clock, pending):
        self.registry, self.store, self.clock = registry, store, clock
        self.figures = Figures(store, Runners(registry, Board("pump-twin")))
        self.pending = pending
        self.published = Published()

    def judge(self, rules=RULES):
        return JudgeModels(self.registry, self.figures, self.published, self.clock, rules)()

    def read(self):
        return ReadShadows(self.registry, self.figures, self.clock, RULES)

    async def holds(self, *models):
        async with self.registry.exclusive() as session:
            await session.save_models(models)

    async def versions(self):
        async with self.registry.snapshot() as session:
            return {m.version: m for m in await session.models(str(MODEL))}

    async def audited(self, tenant=ACME):
        entries = await self.registry.audit(str(tenant), before=None, limit=50)
        return [(e.action, e.subject, e.outcome, e.actor) for e in entries]

    async def told(self):
        return [e.type.removeprefix("governance.model.") for e in await self.pending()]


@pytest.fixture
def clock():
    return SimulatedClock(NOW)


@pytest.fixture
def memory(clock):
    registry = MemoryRegistry()

    async def pending():
        return list(registry.state.announced.values())

    return Mesh(registry, MemoryShadows(clock), clock, pending)


@pytest.fixture
async def postgres(database_url, clock):
    engine = create_async_engine(database_url)
    await migrate(engine)

    async def pending():
        return [entry.envelope for entry in await RegistryOutbox(engine).pending(100)]

    yield Mesh(PostgresRegistry(engine), PostgresShadows(engine, clock), clock, pending)
    await engine.dispose()


@pytest.fixture(params=["memory", pytest.param("postgres", marks=pytest.mark.stack)])
def backend(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
async def mesh(backend, bundle, protos):
    """A mesh in which `pump-twin` announces `pump.model.measured.v1`, and runs the model."""
    mesh = backend
    contract = bundle(
        descriptors=protos(Measured=["id"]),
        protos=["twinmesh.pump.v1"],
        events=[("pump.model.measured.v1", "twinmesh.pump.v1.Measured")],
    )
    async with mesh.registry.exclusive() as session:
        await session.save_contracts(
            [Contract(bundle=contract, state=ContractState.ACTIVE, pushed_at=START, pushed_by="ci")]
        )
    return mesh


async def test_a_window_is_kept_once(mesh):
    first = window(0, beside={V2: 0.9})
    await mesh.store.add([first, window(1)])
    await mesh.store.add([replace(first, challengers={}), window(0, error=9.0)])

    (compared,) = await compared_with(mesh.store)
    assert (compared.gain, compared.pairs) == (pytest.approx(0.1 / 1.9), 400)
    figures = await mesh.store.figures(asked(), since=START, limit=5)
    assert [(f.at, f.log_error) for f in figures] == [(START, 0.0), (START + WINDOW, 0.0)]
    assert await mesh.store.measured() == [(ACME, MODEL)]
    assert await mesh.store.figures(asked(), before=START + WINDOW, limit=5) == figures[:1]
    assert await mesh.store.figures(asked(), limit=1) == figures[1:]
    assert await mesh.store.figures(asked(), first=True, limit=1) == figures[:1]
    assert await compared_with(mesh.store, GLOBEX) == []


async def test_assets_of_one_window_are_one_observation(mesh):
    await mesh.store.add(
        [
            window(0, asset=0, error=1.0, residual=1.0, beside={V2: 0.5}),
            window(0, asset=1, error=4.0, residual=-0.5, beside={V2: 4.0}),
            window(1, asset=1, beside={V2: 0.0}),
        ]
    )
    first, second = await compared_with(mesh.store)
    assert (first.gain, first.pairs) == (pytest.approx(0.5 / 1.5 / 2), 800)
    assert (second.gain, second.pairs) == (1.0, 400)
    figures = await mesh.store.figures(asked(), limit=9)
    assert figures[0].residual == 0.25
    assert figures[0].log_error == pytest.approx(math.log(4.0) / 2)


async def test_a_challenger_that_errs_less_takes_over_once(mesh):
    await mesh.holds(ACTIVE, SHADOW)
    await mesh.store.add([window(n, beside={V2: 0.5}) for n in range(60)])

    (ruling,) = await mesh.judge()
    assert await mesh.judge() == []

    held = await mesh.versions()
    assert (ruling.kind, ruling.version, ruling.against) == (RulingKind.PROMOTED, V2, V1)
    assert ruling.carried_out
    assert ruling.figures["low"] > 0
    assert held[V2].state is ModelState.ACTIVE
    assert held[V2].activation.effective_from == NOW
    assert held[V1].activation.effective_to == NOW
    assert await mesh.audited() == [
        ("model.promote", "pump-condition 1.2.0", "ACCEPTED", "governance")
    ]
    assert await mesh.told() == ["ruled.v1"]
    assert mesh.published.times == 1


async def test_a_challenger_that_errs_more_is_rejected_and_stays_a_shadow(mesh, who):
    await mesh.holds(ACTIVE, SHADOW)
    await mesh.store.add([window(n, beside={V2: 1.5}) for n in range(60)])

    (ruling,) = await mesh.judge()

    assert (ruling.kind, ruling.why, ruling.carried_out) == (
        RulingKind.REJECTED, "NOT_WORTH_IT", False,
    )  # fmt: skip
    assert (await mesh.versions())[V2].state is ModelState.SHADOW
    view = await mesh.read().view(who("reader", "read"), MODEL, V2)
    assert [r.kind for r in view.rulings] == [RulingKind.REJECTED]
    assert mesh.published.times == 0


async def test_a_model_takes_over_for_all_tenants_or_for_none(mesh):
    await mesh.holds(ACTIVE, SHADOW)
    await mesh.store.add([window(n, beside={V2: 0.5}) for n in range(60)])
    await mesh.store.add([window(n, tenant=GLOBEX, beside={V2: 0.5}) for n in range(5)])
    assert await mesh.judge() == []

    await mesh.store.add([window(n, tenant=GLOBEX, beside={V2: 0.5}) for n in range(5, 60)])
    assert [r.kind for r in await mesh.judge()] == [RulingKind.PROMOTED]


async def test_what_others_say_about_a_model_does_not_count(mesh):
    """A twin that does not run the model can neither promote nor topple a version of it."""
    await mesh.holds(ACTIVE, SHADOW)
    await mesh.store.add([window(n, beside={V2: 0.5}, domain="water") for n in range(60)])
    assert await mesh.judge() == []
    await mesh.store.add([window(n, beside={V2: 1.0}) for n in range(10)])
    assert [w.gain for w in await compared_with(mesh.store)] == [0.0] * 10
    assert len(await compared_with(mesh.store, ACME, "pump", "water")) == 60
    assert await Runners(mesh.registry, Board("water-twin")).domains(MODEL) == frozenset()


async def test_the_last_window_is_not_judged_before_the_next_one_began(mesh):
    await mesh.holds(ACTIVE, SHADOW)
    rules = replace(RULES, promotion=replace(RULES.promotion, least_windows=40))
    await mesh.store.add([window(n, beside={V2: 0.2}) for n in range(40)])
    assert await mesh.judge(rules) == []
    await mesh.store.add([window(40, beside={V2: 0.2})])
    assert [r.kind for r in await mesh.judge(rules)] == [RulingKind.PROMOTED]


async def test_advice_changes_nothing_and_is_told(mesh):
    await mesh.holds(ACTIVE, SHADOW)
    await mesh.store.add([window(n, beside={V2: 0.5}) for n in range(60)])
    (ruling,) = await mesh.judge(replace(RULES, automatic=False))
    assert (ruling.carried_out, ruling.why) == (False, "EVIDENCE,ADVICE_ONLY")
    assert (await mesh.versions())[V2].state is ModelState.SHADOW
    assert await mesh.told() == ["ruled.v1"]


async def test_what_stands_in_the_way_of_a_promotion_is_recorded(mesh):
    expired = replace(SHADOW, approval_expires_at=NOW - timedelta(days=1))
    await mesh.holds(ACTIVE, expired)
    await mesh.store.add([window(n, beside={V2: 0.5}) for n in range(60)])
    (ruling,) = await mesh.judge()
    assert not ruling.carried_out
    assert "expire" in ruling.why
    ((action, _, outcome, _),) = await mesh.audited()
    assert (action, outcome) == ("model.promote", "REFUSED")
    assert (await mesh.versions())[V2].state is ModelState.SHADOW


async def test_a_version_that_errs_more_than_the_one_before_it_falls_and_does_not_swing(mesh):
    """1.0.0 decided a day, 1.1.0 since: it errs three times as much, so 1.0.0 decides again."""
    change = START + 144 * WINDOW
    old = version(V0, ModelState.ACTIVE, (START, change))
    new = version(V1, ModelState.ACTIVE, (change, None))
    await mesh.holds(old, new)
    await mesh.store.add([window(n, V0, error=1.0 + 0.01 * (n % 3)) for n in range(100, 144)])
    await mesh.store.add([window(n, V1, error=3.0) for n in range(144, 200)])

    (ruling,) = await mesh.judge()
    held = await mesh.versions()

    assert (ruling.kind, ruling.version, ruling.against) == (RulingKind.ROLLED_BACK, V1, V0)
    assert (ruling.why, ruling.carried_out) == ("ERROR", True)
    assert held[V0].activation.covers(NOW)
    assert held[V1].state is ModelState.APPROVED
    assert held[V1].activation.effective_to == NOW
    assert ("model.roll_back", "pump-condition 1.1.0", "ACCEPTED", "governance") in (
        await mesh.audited()
    )

    # 1.0.0 errs now as well: nothing falls back to what fell.
    later = NOW + timedelta(days=2)
    mesh.clock.advance(2 * 86_400)
    await mesh.store.add([window(n, V0, error=9.0) for n in range(440, 500)])
    assert later > held[V0].activation.effective_from
    assert [r.kind for r in await mesh.judge()] == []
    assert (await mesh.versions())[V0].activation.covers(later)


async def test_drift_asks_for_one_retraining_and_a_draft_answers_it(mesh, who):
    await mesh.holds(ACTIVE)
    values = [0.1 * (-1) ** n for n in range(20)] + [2.0] * 40
    await mesh.store.add([window(n, residual=value) for n, value in enumerate(values)])

    assert await mesh.judge() == []  # nothing before it to go back to
    await mesh.judge()

    author = who("author", "models.submit", "read")
    (request,) = await mesh.read().retrainings(author)
    assert (request.version, request.answered_by) == (V1, None)
    assert request.since >= START + 19 * WINDOW
    assert await mesh.told() == ["drifted.v1"]

    answer = AnswerRetraining(mesh.registry, mesh.clock, Authority())
    with pytest.raises(NotFoundError):
        await answer(author, request.id, V2)
    await mesh.holds(version(V2, ModelState.DRAFT), version(V3, ModelState.DRAFT))
    assert (await answer(author, request.id, V2)).answered_by == V2
    assert (await answer(author, request.id, V2)).answered_by == V2
    with pytest.raises(ConflictError):
        await answer(author, request.id, V3)
    with pytest.raises(ForbiddenError):
        await answer(who("reader", "read"), request.id, V2)
    with pytest.raises(NotFoundError):
        await answer(who("other", "models.submit", tenant="globex"), request.id, V2)
    assert [a for a, *_ in await mesh.audited()] == [
        "model.answer_retraining", "model.ask_retraining",
    ]  # fmt: skip


async def test_the_first_windows_teach_however_many_follow(mesh, monkeypatch):
    """A slow drift does not teach what is normal once its beginning is out of sight."""
    monkeypatch.setattr(drift, "MAX_WINDOWS", 20)
    await mesh.holds(ACTIVE)
    values = [0.01 * (-1) ** n for n in range(10)] + [0.02 * n for n in range(200)]
    await mesh.store.add([window(n, residual=value) for n, value in enumerate(values)])
    seen, _ = await Watchman(mesh.figures, RULES.drift).look(ACME, ACTIVE, [])
    assert isinstance(seen, Drifting)


async def test_another_tenant_sees_none_of_it(mesh, who):
    await mesh.holds(ACTIVE, SHADOW)
    await mesh.store.add([window(n, beside={V2: 0.9}) for n in range(10)])
    mine = await mesh.read().view(who("reader", "read"), MODEL, V2)
    theirs = await mesh.read().view(who("other", "read", tenant="globex"), MODEL, V2)
    (_, seen), (_, unseen) = (*mine.against, *theirs.against)
    assert isinstance(seen, Continue)
    assert (seen.evidence.windows, unseen.evidence.windows) == (9, 0)
    assert theirs.rulings == ()
    with pytest.raises(NotFoundError):
        await mesh.read().view(who("reader", "read"), MODEL, V3)


async def test_old_windows_are_forgotten(mesh):
    await mesh.store.add([window(n, beside={V2: 0.9}) for n in range(3)])
    forget = ForgetMeasured(mesh.store, mesh.clock, kept=timedelta(days=1))
    assert await forget() == 0
    mesh.clock.advance(2 * 86_400)
    assert await forget() > 0
    assert await mesh.store.measured() == []
