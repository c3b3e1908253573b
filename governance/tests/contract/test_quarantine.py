"""Events put aside by a real consumer on the real bus, sent back, dropped, and looked at."""

import asyncio
import json
from contextlib import asynccontextmanager

import pytest
from click.testing import CliRunner

from governance import app
from governance.adapters.memory import MemoryRegistry, MemoryTrail
from governance.adapters.quarantine import NatsQuarantine
from governance.settings import GovernanceSettings
from governance.usecases.auditing import AuditQueue
from governance.usecases.authority import Authority
from governance.usecases.quarantine import AdministerQuarantine
from twinmesh.core.v1 import trust_pb2
from twinmesh_cli.main import cli
from twinmesh_sdk.adapters.nats import (
    ContractSnapshot,
    EventConsumer,
    EventPublisher,
    KvMirror,
    MeshNats,
    ensure_streams,
)
from twinmesh_sdk.adapters.nats.quarantine import GivenUp, kept_headers, kept_payload
from twinmesh_sdk.contract import Contract, descriptor_set
from twinmesh_sdk.core.errors import (
    ForbiddenError,
    InvalidInputError,
    NotFoundError,
    PreconditionFailedError,
)
from twinmesh_sdk.core.events import Envelope, EventType, event_id
from twinmesh_sdk.core.ids import Tenant
from twinmesh_sdk.testing.clock import START, SimulatedClock
from twinmesh_sdk.testing.mesh import register, running, settings_for

pytestmark = pytest.mark.stack

TYPE = EventType("core.trust.changed.v1")
ACME = Tenant("acme")
SECONDS = 15.0
CONTRACT = Contract.of(
    {
        "name": "tester",
        "version": "1.0.0",
        "kind": "foundation",
        "contract": {
            "events": [{"type": TYPE, "message": "twinmesh.core.v1.Trust"}],
            "consumes": [TYPE],
        },
    },
    "",
    descriptor_set(["twinmesh.core.v1"]),
)


class Handler:
    """Refuses while it is `broken`; remembers the rest."""

    event_types = (TYPE,)

    def __init__(self):
        self.broken = True
        self.heard = []

    async def __call__(self, envelope):
        if self.broken:
            raise InvalidInputError("the unit is unknown")
        self.heard.append((envelope.id, envelope.tenant, envelope.data))


class Inbox:
    """Knows what was handled without a failure."""

    def __init__(self):
        self.known = set()

    @asynccontextmanager
    async def once(self, source, id):
        yield (source, id) not in self.known
        self.known.add((source, id))

    async def forget_old(self):
        return 0


def event(version=1, tenant=ACME):
    return Envelope(
        id=event_id(tenant=tenant, type=TYPE, aggregate_id="a", aggregate_version=version),
        type=TYPE,
        source="tester",
        tenant=tenant,
        subject="a",
        time=START,
        data=trust_pb2.Trust(decision="trip").SerializeToString(),
    )


async def eventually(find):
    async with asyncio.timeout(SECONDS):
        while not (found := await find()):  # noqa: ASYNC110 - it is in another process
            await asyncio.sleep(0.02)
    return found


@pytest.fixture
async def bus(private_nats):
    async with MeshNats(
        private_nats.url, user=private_nats.user, password=private_nats.password
    ) as bus:
        await ensure_streams(bus)
        yield bus


@pytest.fixture
async def mesh(bus):
    """Two services that consume one event type: `one` refuses it, `two` takes it."""
    mirrors = {b: KvMirror(bus, b) for b in ("contracts", "plant-clock")}
    contracts, clock = ContractSnapshot(mirrors["contracts"]), SimulatedClock()
    handlers = {"one": Handler(), "two": Handler()}
    handlers["two"].broken = False
    consumers = [
        EventConsumer(
            bus=bus, contracts=contracts, clock=clock, service=name, event_type=TYPE,
            handler=handler, inbox=Inbox(),
        )
        for name, handler in handlers.items()
    ]  # fmt: skip
    tasks = [asyncio.create_task(m.run()) for m in mirrors.values()]
    await asyncio.gather(*(m.wait_synced() for m in mirrors.values()))
    await register(bus, CONTRACT)

    async def known():
        return contracts.event_schema(TYPE)

    await eventually(known)
    tasks += [asyncio.create_task(c.run()) for c in consumers]
    handlers["publish"] = EventPublisher(bus, contracts, CONTRACT.event_schemas).publish
    yield handlers
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture
async def rig(bus):
    registry = MemoryRegistry()
    queue = AuditQueue(MemoryTrail(registry))
    task = asyncio.create_task(queue.run())
    box = NatsQuarantine(bus)
    administer = AdministerQuarantine(box, queue, Authority(registry), SimulatedClock())
    administer.registry = registry
    yield administer
    task.cancel()


async def waiting(rig, who, count, **filters):
    given = {"service": "", "type": "", "after": 0, "limit": 100} | filters

    async def enough():
        page = await rig.page(who("oona", "quarantine.write"), **given)
        return page if len(page.events) == count else None

    return await eventually(enough)


async def test_an_event_goes_back_once_to_the_consumer_that_put_it_aside_and_to_no_other(
    mesh, rig, who
):
    oona = who("oona", "quarantine.write")
    await mesh["publish"](event())
    put_aside = (await waiting(rig, who, 1)).events[0]
    assert (put_aside.service, put_aside.code) == ("one", "INVALID_INPUT")
    assert put_aside.reason == "the unit is unknown"
    assert put_aside.whole

    shown = await rig.show(oona, put_aside.id)
    assert shown.payload == event().data
    assert shown.headers["ce-id"] == event().id

    mesh["one"].broken = False
    assert await rig.replay(oona, [put_aside.id]) == 1
    with pytest.raises(NotFoundError):
        await rig.replay(oona, [put_aside.id])

    async def heard():
        return mesh["one"].heard

    assert await eventually(heard) == [(event().id, ACME, event().data)]
    await mesh["publish"](event(2))

    async def second():
        return len(mesh["one"].heard) == len(mesh["two"].heard) == 2

    await eventually(second)
    assert [e for e, _, _ in mesh["two"].heard] == [event().id, event(2).id]
    assert await waiting(rig, who, 0)
    audit = await rig.registry.audit("acme", before=None, limit=9)
    assert [(e.action, e.outcome, e.actor) for e in audit] == [
        ("quarantine.replay", "ACCEPTED", "oona")
    ]


async def test_sending_back_twice_is_handling_once(mesh, rig, bus, who):
    await mesh["publish"](event())
    put_aside = (await waiting(rig, who, 1)).events[0]
    mesh["one"].broken = False
    whole = await rig.show(who("oona", "quarantine.write"), put_aside.id)
    box = NatsQuarantine(bus)
    await asyncio.gather(*(box.send_back(whole) for _ in range(3)))

    async def heard():
        return mesh["one"].heard

    await eventually(heard)
    assert (await bus.js.stream_info("REPLAY")).state.messages == 1
    assert len(mesh["one"].heard) == 1


async def test_what_fails_again_comes_back_under_a_new_number(mesh, rig, who):
    await mesh["publish"](event())
    first = (await waiting(rig, who, 1)).events[0]
    await rig.replay(who("oona", "quarantine.write"), [first.id])

    async def back():
        page = await rig.page(
            who("oona", "quarantine.write"), service="one", type=TYPE, after=first.id, limit=9
        )
        return page.events

    again = (await eventually(back))[0]
    assert again.event_id == first.event_id
    assert again.digest == first.digest
    whole = await rig.show(who("oona", "quarantine.write"), again.id)
    assert whole.headers["tm-subject"] == f"tm.acme.{TYPE}"


async def test_events_are_dropped_with_a_reason_and_seen_by_their_tenant_only(mesh, rig, who):
    oona = who("oona", "quarantine.write")
    for version in range(3):
        await mesh["publish"](event(version))
    await mesh["publish"](event(tenant=Tenant("globex")))
    await waiting(rig, who, 3)
    page = await rig.page(oona, service="", type="", after=0, limit=2)
    assert page.remaining == 1
    ids = [e.id for e in page.events]

    with pytest.raises(InvalidInputError):
        await rig.drop(oona, ids, reason=" ")
    with pytest.raises(NotFoundError):
        await rig.drop(who("x", "quarantine.write", tenant="globex"), ids, reason="r")
    with pytest.raises(ForbiddenError):
        await rig.drop(who("x", "quarantine.read"), ids, reason="r")
    assert await rig.drop(oona, ids, reason="a test device") == 2
    assert len((await waiting(rig, who, 1)).events) == 1

    audit = await rig.registry.audit("acme", before=None, limit=9)
    assert [(e.outcome, e.detail["reason"][:13]) for e in reversed(audit)] == [
        ("REFUSED", "x may not qua"),
        ("ACCEPTED", "a test device"),
        ("ACCEPTED", "a test device"),
    ]


async def test_what_was_too_large_to_be_kept_whole_is_not_sent_back(rig, bus, who):
    data = b"x" * 1_000_000
    headers = {f"h{n}": "v" * 5000 for n in range(60)}
    given_up = GivenUp("INVALID_INPUT", "too large", 7, 1, "2026-01-05T08:00:00Z")
    kept = kept_headers(headers, f"tm.acme.{TYPE}", data, given_up)
    await bus.publish(f"quarantine.one.acme.{TYPE}", kept_payload(data), headers=kept)
    page = await waiting(rig, who, 1)

    assert not page.events[0].whole
    assert page.events[0].size == 1_000_000
    with pytest.raises(PreconditionFailedError):
        await rig.replay(who("oona", "quarantine.write"), [page.events[0].id])


async def test_it_is_administered_from_the_command_line(database_url, issuer, private_nats, bus):
    settings = settings_for(
        GovernanceSettings,
        nats_url=private_nats.url,
        issuer=issuer.url,
        nats_user=private_nats.user,
        nats_password=private_nats.password,
        database_url=database_url,
        client_id="svc-governance",
        client_secret=issuer.secrets["svc-governance"],
    )
    given_up = GivenUp("INVALID_INPUT", "unknown unit", 7, 1, "2026-01-05T08:00:00Z")
    for tenant in ("acme", "acme", "globex"):
        subject = f"tm.{tenant}.{TYPE}"
        await bus.publish(
            f"quarantine.one.{tenant}.{TYPE}", b"p",
            headers=kept_headers({"ce-id": "evt"}, subject, b"p", given_up),
        )  # fmt: skip
    async with running(app.build(settings)) as service:
        environment = {
            "TWIN_GOVERNANCE_ADDR": f"127.0.0.1:{service.grpc_port}",
            "TWIN_TOKEN": issuer.token("auditor"),
        }

        async def run(*arguments):
            return await asyncio.to_thread(
                CliRunner().invoke, cli, ["quarantine", *arguments], env=environment
            )

        listed = json.loads((await run("list", "--json")).output)
        assert [(e["id"], e["reason"]) for e in listed] == [
            ("1", "unknown unit"), ("2", "unknown unit"),
        ]  # fmt: skip
        assert json.loads((await run("show", "1")).output)["headers"]["ce-id"] == "evt"
        assert (await run("show", "3")).exit_code == 1
        assert (await run("drop", "1", "--reason", "old")).output == "1 dropped\n"
        assert (await run("replay", "--service", "one")).output == "1 sent back\n"
        assert (await run("replay")).exit_code == 2
        assert (await run("list")).output == ""
    assert (await bus.js.stream_info("REPLAY")).state.messages == 1
