"""One suite for every adapter of `Registry`."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine

from governance.adapters.memory import MemoryRegistry
from governance.adapters.migration import migrate
from governance.adapters.postgres import PostgresRegistry, RegistryOutbox
from governance.decide import releases
from governance.model.audit import AuditEntry
from governance.model.changes import Deprecation, Override, OverrideId, UsedPartDeprecated
from governance.model.consumption import ClientOwner, Report, Use, UseKind
from governance.model.contracts import Contract, ContractState, ServiceName, Supergraph, Version
from governance.model.deployments import Deployment, DeploymentState, Environment
from governance.model.findings import Finding, Severity
from governance.model.releases import (
    ArtefactDigest,
    BackTest,
    Bound,
    ModelField,
    ModelName,
    ModelSchema,
    ModelVersion,
    Recall,
    Scope,
)
from twinmesh.governance.v1.contract_events_pb2 import ContractDeprecated
from twinmesh_sdk.core.errors import UnavailableError


@pytest.fixture
def memory():
    return MemoryRegistry()


@pytest.fixture
async def engine(database_url):
    engine = create_async_engine(database_url)
    await migrate(engine)
    yield engine
    await engine.dispose()


@pytest.fixture
def postgres(engine):
    return PostgresRegistry(engine)


@pytest.fixture(params=["memory", pytest.param("postgres", marks=pytest.mark.stack)])
def registry(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def contract(bundle, protos, now):
    made = bundle(
        sdl="type Query { a: Int }",
        descriptors=protos(Opened=["id"]),
        events=[("pump.work_item.opened.v1", "twinmesh.pump.v1.Opened")],
        consumes=["a.b.c.v1"],
    )
    finding = Finding("CODE", "subject", "message", "hint", "other", Severity.WARNING)
    return Contract(made, ContractState.ACTIVE, now, "ci", (finding,))


@pytest.fixture
def model(now):
    submitted = ModelVersion(
        name=ModelName("pump-condition"),
        version=Version.parse("1.0.0"),
        artefact_digest=ArtefactDigest("sha256:" + "a" * 64),
        scope=Scope(
            frozenset({"pump"}),
            frozenset({"north"}),
            frozenset({"cfg_1"}),
            frozenset({Bound("flow", 0.0, 0.5)}),
        ),
        back_test=BackTest("bt-1", "F1", 0.8, "age only", 0.5, "d", 0.7),
        training_data="none: a test",
        signature=ModelSchema(
            (ModelField("flow", "double", "m3/s"),), (ModelField("p", "double"),)
        ),
        description="EWMA",
        submitted_by="author",
        submitted_at=now,
    )
    approval = releases.Approval("reviewer", now, "fine", now + timedelta(days=9), "00")
    return releases.approve(submitted, approval).model


def entry(now, tenant="acme", **parts):
    made = AuditEntry(now, "ci", tenant, "contract.push", "x", "ACCEPTED", {"a": [1]})
    return replace(made, **parts)


async def test_a_contract_comes_back_as_it_was_saved(registry, contract):
    async with registry.exclusive() as session:
        await session.save_contracts([contract])
    mesh, _ = await registry.read()

    assert mesh.contracts == (contract,)


async def test_a_saved_version_is_replaced_not_doubled(registry, contract):
    async with registry.exclusive() as session:
        await session.save_contracts([contract])
        await session.save_contracts([contract.now(ContractState.ACCEPTED)])
    mesh, _ = await registry.read()

    assert [c.state for c in mesh.contracts] == [ContractState.ACCEPTED]


async def test_the_last_supergraph_is_in_force(registry):
    one = Supergraph("1", "type Query { a: Int }", {"a": "http://a"}, {"a": "d"})
    async with registry.exclusive() as session:
        await session.save_supergraph(one)
        await session.save_supergraph(replace(one, digest="2"))
    mesh, _ = await registry.read()

    assert mesh.supergraph == replace(one, digest="2")


async def test_a_model_comes_back_as_it_was_saved(registry, model, now):
    active = releases.activate(model, [], effective_from=now, by="reviewer", at=now).model
    async with registry.exclusive() as session:
        await session.save_models([model])
        await session.save_models([active])
        found = await session.models("pump-condition")
        others = await session.models("other")

    assert found == [active]
    assert others == []


async def test_a_recalled_model_comes_back_as_it_was_saved(registry, model, now):
    active = releases.activate(model, [], effective_from=now, by="reviewer", at=now).model
    later = now + timedelta(hours=1)
    recalled = releases.recall(active, recall=Recall("reviewer", later, "bad"), now=later).model
    async with registry.exclusive() as session:
        await session.save_models([recalled])
        found = await session.models("pump-condition")

    assert found == [recalled]
    assert found[0].activation.effective_to == later


async def test_nothing_stays_of_a_block_that_raises(registry, contract, model, now):
    async def fail():
        async with registry.exclusive() as session:
            await session.save_contracts([contract])
            await session.save_models([model])
            await session.record(entry(now))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()

    mesh, models = await registry.read()
    assert (mesh.contracts, models) == ((), [])
    assert await registry.audit("acme", before=None, limit=10) == []


async def test_writers_take_turns(registry, contract):
    async def bump():
        async with registry.exclusive() as session:
            mesh = await session.mesh()
            held = mesh.contracts[0]
            await asyncio.sleep(0)
            await session.save_contracts([at(held, int(held.bundle.subgraph_url[9:]) + 1)])

    def at(held, number):
        return replace(held, bundle=replace(held.bundle, subgraph_url=f"http://a/{number}"))

    async with registry.exclusive() as session:
        await session.save_contracts([at(contract, 0)])
    await asyncio.gather(*(bump() for _ in range(8)))
    mesh, _ = await registry.read()

    assert mesh.contracts[0].bundle.subgraph_url == "http://a/8"


async def test_the_audit_log_counts_without_gaps_and_shows_a_tenant_only_its_own(registry, now):
    for number in range(6):
        try:
            async with registry.exclusive() as session:
                await session.record(entry(now, tenant="acme" if number % 2 else "globex"))
                if number == 2:
                    raise ZeroDivisionError
        except ZeroDivisionError:
            pass
    acme = await registry.audit("acme", before=None, limit=10)
    globex = await registry.audit("globex", before=None, limit=10)

    assert [e.sequence for e in acme] == [3, 2, 1]
    assert [e.sequence for e in globex] == [2, 1]
    assert {e.tenant for e in acme} == {"acme"}
    assert await registry.audit("acme", before=acme[0].sequence, limit=1) == [acme[1]]


@pytest.mark.stack
async def test_two_persons_are_required_in_the_database_too(postgres, model):
    with pytest.raises(Exception, match="did not answer"):
        async with postgres.exclusive() as session:
            await session.save_models([replace(model, approved_by="author")])


@pytest.mark.stack
async def test_migrating_twice_and_at_once_is_harmless(database_url):
    engines = [create_async_engine(database_url) for _ in range(3)]
    await asyncio.gather(*(migrate(engine) for engine in engines))
    await migrate(engines[0])
    for engine in engines:
        await engine.dispose()


async def test_a_store_that_is_not_there_is_unavailable():
    engine = create_async_engine("postgresql+asyncpg://nobody:x@127.0.0.1:1/none")
    registry = PostgresRegistry(engine)

    with pytest.raises(UnavailableError):
        await registry.read()
    with pytest.raises(UnavailableError):
        await registry.ping()
    with pytest.raises(UnavailableError):
        await registry.audit("acme", before=None, limit=1)
    await engine.dispose()


def used(now, client="erp-app", coordinate="Pump.state", **parts):
    made = Use(client, UseKind.FIELD, coordinate, "pump-twin", now, now, 1)
    return replace(made, **parts)


async def test_uses_add_up_over_reports_and_tenants(registry, now):
    later = now + timedelta(hours=1)
    async with registry.consumption() as session:
        await session.add_uses("acme", [used(now), used(now, coordinate="Pump.since")])
        more = [used(later, count=3), used(now, client="svc-energy-twin")]
        assert await session.add_uses("acme", more) == more[1:]
    async with registry.consumption() as session:
        await session.add_uses("globex", [used(later, count=5)])
    async with registry.snapshot() as session:
        found = await session.uses(since=now)
        none = await session.uses(since=later + timedelta(seconds=1))
        others = await session.uses(since=now, service="energy-twin")
        since = await session.observed_since()

    joined = next(u for u in found if u.client == "erp-app" and u.coordinate == "Pump.state")
    assert len(found) == 3
    assert joined == used(now, last_at=later, count=9)
    assert (none, others, since) == ([], [], now)


async def test_a_report_is_counted_once(registry):
    report = Report("acme", "gateway", "abc", 7)
    async with registry.consumption() as session:
        assert await session.first_time(report)
    async with registry.consumption() as session:
        assert not await session.first_time(report)
        assert await session.first_time(replace(report, sequence=8))
        assert await session.first_time(replace(report, instance="other"))


async def test_old_uses_are_forgotten(registry, now):
    async with registry.consumption() as session:
        await session.add_uses("acme", [used(now), used(now + timedelta(days=9), "other")])
        gone = await session.forget(
            uses_before=now + timedelta(days=1), reports_before=now, at_most=10, limit=10
        )
    async with registry.snapshot() as session:
        left = await session.uses(since=now)

    assert (gone, [use.client for use in left]) == (1, ["other"])


async def test_of_too_many_uses_the_longest_unseen_are_forgotten(registry, now):
    seen = [used(now + timedelta(days=day), f"client-{day}") for day in range(4)]
    async with registry.consumption() as session:
        await session.add_uses("acme", seen)
        gone = await session.forget(uses_before=now, reports_before=now, at_most=3, limit=10)
    async with registry.snapshot() as session:
        left = await session.uses(since=now)

    assert (gone, [use.client for use in left]) == (1, ["client-1", "client-2", "client-3"])


async def test_a_clients_owner_is_kept(registry):
    owner = ClientOwner("erp-app", "Finance", "finance@example.com")
    async with registry.exclusive() as session:
        await session.save_owner(replace(owner, team="before"))
        await session.save_owner(owner)
    async with registry.snapshot() as session:
        assert await session.owners() == [owner]


async def test_deployments_come_back_by_environment(registry, now):
    prod = Deployment(
        Environment("prod"),
        ServiceName("pump-twin"),
        Version.parse("1.0.0"),
        "d",
        DeploymentState.READY,
        now,
        now,
        "ci",
    )
    staging = replace(prod, environment=Environment("staging"))
    async with registry.exclusive() as session:
        await session.save_deployments([prod, staging])
        await session.save_deployments([replace(prod, state=DeploymentState.RETIRED)])
    async with registry.snapshot() as session:
        assert await session.deployments("prod") == [replace(prod, state=DeploymentState.RETIRED)]
        assert len(await session.deployments()) == 2


async def test_deprecations_of_a_service_are_replaced_as_a_whole(registry, now):
    own = Deprecation("pump-twin", "Pump.a", now, "1.0.0", "why")
    other = Deprecation("other", "Other.a", now, "1.0.0")
    async with registry.exclusive() as session:
        await session.replace_deprecations("pump-twin", [own, replace(own, coordinate="Pump.b")])
        await session.replace_deprecations("other", [other])
        await session.replace_deprecations("pump-twin", [own])
    async with registry.consumption() as session:
        assert await session.deprecated({"Pump.a", "Pump.z"}) == [own]
    async with registry.snapshot() as session:
        assert await session.deprecations("pump-twin") == [own]
        assert await session.deprecations() == [other, own]


async def test_an_override_is_kept_until_it_expires_and_after(registry, now):
    asked = Override(
        OverrideId("ovr_" + "0" * 32),
        "pump-twin",
        Version.parse("1.1.0"),
        "d",
        (("FIELD_REMOVED", "Pump.a"),),
        "reason",
        "ann",
        now,
        now + timedelta(hours=1),
    )
    granted = asked.approved(by="bob", at=now)
    async with registry.exclusive() as session:
        await session.save_override(asked)
        await session.save_override(granted)
    async with registry.snapshot() as session:
        assert await session.overrides(unexpired_at=now) == [granted]
        assert await session.overrides(unexpired_at=now + timedelta(hours=2)) == []
        assert await session.overrides() == [granted]


async def test_uses_are_told_apart_by_tenant_where_it_matters(registry, now):
    async with registry.consumption() as session:
        await session.add_uses("acme", [used(now), used(now, service="")])
    async with registry.consumption() as session:
        await session.add_uses("globex", [used(now, service="other")])
    async with registry.snapshot() as session:
        found = await session.uses_by_tenant(since=now, service="pump-twin")

    assert {tenant: len(uses) for tenant, uses in found.items()} == {"acme": 2}


@pytest.mark.stack
async def test_what_is_announced_waits_once_for_the_relay(engine, now):
    fact = UsedPartDeprecated(
        "acme", Deprecation("pump-twin", "Pump.a", now, "1.0.0"), used(now), now, now, "Finance"
    )
    async with PostgresRegistry(engine).exclusive() as session:
        await session.announce([fact, fact])
    outbox = RegistryOutbox(engine)
    (waiting,) = await outbox.pending(10)
    message = ContractDeprecated.FromString(waiting.envelope.data)
    await outbox.delete([waiting.key])

    assert waiting.envelope.type == "governance.contract.deprecated.v1"
    assert (message.client, message.team, message.coordinate) == ("erp-app", "Finance", "Pump.a")
    assert await outbox.pending(10) == []


@pytest.mark.stack
async def test_the_store_lets_nobody_change_or_remove_a_registered_contract(
    engine, contract, bundle
):
    other = replace(contract, bundle=bundle(sdl="type Query { b: Int }"))
    async with PostgresRegistry(engine).exclusive() as session:
        await session.save_contracts([contract])
        await session.save_contracts([contract.now(ContractState.SUPERSEDED)])

    with pytest.raises(UnavailableError):
        async with PostgresRegistry(engine).exclusive() as session:
            await session.save_contracts([other])
    with pytest.raises(DBAPIError, match="never changes"):
        async with engine.begin() as connection:
            await connection.execute(text("DELETE FROM contracts"))
