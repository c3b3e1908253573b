"""The maintenance twin as its callers meet it, on the default stack."""

import asyncio
import json
from datetime import timedelta

import grpc
import pytest

from twinmesh.core.v1 import trust_pb2
from twinmesh.maintenance.v1 import events_pb2, work_item_pb2
from twinmesh.maintenance.v1 import maintenance_service_pb2 as pb
from twinmesh.maintenance.v1 import maintenance_service_pb2_grpc as pb_grpc
from twinmesh.twin.v1 import twin_service_pb2 as twin_pb
from twinmesh.twin.v1 import twin_service_pb2_grpc as twin_grpc
from twinmesh_sdk.adapters.plant_clock import WallClock
from twinmesh_sdk.core.errors import UnavailableError
from twinmesh_sdk.core.times import OPEN_US, format_time, from_us

pytestmark = pytest.mark.stack

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
CLOCK = WallClock()


async def opened(kit, door, count=1):
    async def there():
        return len(await door.items()) >= count

    await kit.until(there)
    return await door.items()


async def processed(kit, door, state):
    async def reached():
        held = await door.maintenance()
        return held is not None and held["state"] == state

    await kit.until(reached)


async def seen(kit, ask, condition):
    async def there():
        return condition(await ask())

    await kit.until(there)
    return await ask()


def lasting(item):
    """Return what of an item depends on neither the clock nor the time of asking."""
    return {k: v for k, v in item.items() if k not in {"recordedAt", "trust", "degradation"}} | {
        "from": item["degradation"]["from"]
    }


async def test_a_fault_is_one_item_at_every_door(kit, mesh):
    await mesh.release_model()
    await mesh.set_clock(1500, clock=CLOCK)
    async with mesh.service() as door:
        await mesh.send(kit.plant(1500, 800), trace=TRACE)
        (item,) = await opened(kit, door)

        assert item["failureMode"] == "LOO"
        assert item["status"] == "OPEN"
        assert item["configurationVersion"] == kit.FIRST
        assert item["modelVersion"] == "1.0.0"
        assert item["probability"]["calibration"] == "NONE"
        assert 0 < item["probability"]["value"] <= 1
        assert item["evidence"][0]["unit"] == "m3/s" or item["evidence"][0]["unit"] == "Pa"
        assert item["traceId"] == TRACE.split("-")[1]
        assert item["degradation"]["assetId"] == item["asset"]["id"] == kit.PUMP
        assert item["degradation"]["from"] < item["openedAt"]

        await processed(kit, door, "DEGRADED")
        held = await door.maintenance()
        assert held["workItems"]["nodes"] == [{"id": item["id"], "status": "OPEN"}]

        async with door.channel() as channel:
            stub = pb_grpc.MaintenanceServiceStub(channel)
            listed = await stub.ListWorkItems(pb.ListWorkItemsRequest(), metadata=door.metadata())
            got = await stub.GetWorkItems(
                pb.GetWorkItemsRequest(work_item_ids=[item["id"], "wki_none"]),
                metadata=door.metadata(),
            )
            states = await stub.GetConditions(
                pb.GetConditionsRequest(asset_ids=[kit.PUMP]), metadata=door.metadata()
            )
            twin = twin_grpc.TwinServiceStub(channel)
            told = await twin.Explain(
                twin_pb.ExplainRequest(output_id=item["id"]), metadata=door.metadata()
            )
            described = await twin.Describe(twin_pb.DescribeRequest(), metadata=door.metadata())
            generic = await twin.GetStates(
                twin_pb.GetStatesRequest(asset_ids=[kit.PUMP]), metadata=door.metadata()
            )
        assert [w.work_item_id for w in listed.work_items] == [item["id"]]
        assert [w.work_item_id for w in got.work_items] == [item["id"]]
        assert states.conditions[0].state == work_item_pb2.CONDITION_STATE_DEGRADED
        assert told.explanation["failure_mode"] == "LOO"
        assert described.name == "maintenance-twin"
        assert generic.states[0].state == "DEGRADED"

        stream = await mesh.bus.js.pull_subscribe("tm.acme.maintenance.>", durable="test-reader")
        messages = await stream.fetch(10, timeout=10)
        kinds = [m.headers["ce-type"] for m in messages]
        assert kinds.count("maintenance.work_item.opened.v1") == 1
        event = next(m for m in messages if "opened" in m.headers["ce-type"])
        message = events_pb2.WorkItemOpened.FromString(event.data)
        assert message.work_item.work_item_id == item["id"]
        assert event.headers["traceparent"].split("-")[1] == TRACE.split("-")[1]
        assert event.headers["ce-twinoutput"] == f"WorkItem;{item['id']};1;OPEN"
        assert event.headers["ce-twinmodel"] == "pump-condition;1.0.0"
        answer = await door.ask(kit.ITEMS, "acme")
        outputs = answer["extensions"]["twinmesh"]["outputs"]
        assert {
            "type": "WorkItem",
            "model": "pump-condition",
            "modelVersion": "1.0.0",
            "items": [[item["id"], 1]],
        } in outputs


async def test_a_work_item_is_told_to_its_tenant_as_it_opens(kit, mesh):
    query = (
        "subscription ($of: [ID!]) { workItemChanged(assetIds: $of) { id status asset { id } } }"
    )
    await mesh.release_model()
    await mesh.set_clock(1500, clock=CLOCK)
    async with (
        mesh.service() as door,
        door.events(query, "acme", {"of": [kit.PUMP]}) as ours,
        door.events(query, "globex") as theirs,
    ):
        waiting = asyncio.create_task(anext(theirs))
        await mesh.send(kit.plant(1500, 800))
        (item,) = await opened(kit, door)
        async with asyncio.timeout(20):
            told = (await anext(ours))["data"]["workItemChanged"]
        assert told == {"id": item["id"], "status": "OPEN", "asset": {"id": kit.PUMP}}
        assert not waiting.done()
        waiting.cancel()


async def test_another_tenant_finds_nothing(kit, mesh):
    await mesh.release_model()
    await mesh.set_clock(1500, clock=CLOCK)
    async with mesh.service() as door:
        await mesh.send(kit.plant(1500, 800))
        (item,) = await opened(kit, door)

        assert await door.items(tenant="globex") == []
        answer = await door.ask(kit.MAINTENANCE, "globex", {"of": [kit.REFERENCE]})
        assert answer["data"]["_entities"][0]["maintenance"] is None
        async with door.channel() as channel:
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await twin_grpc.TwinServiceStub(channel).Explain(
                    twin_pb.ExplainRequest(output_id=item["id"]), metadata=door.metadata("globex")
                )
        assert refused.value.code() is grpc.StatusCode.NOT_FOUND


async def test_readings_wait_for_an_approved_model(kit, mesh):
    await mesh.set_clock(1500, clock=CLOCK)
    async with mesh.service() as door:
        await mesh.send(kit.plant(1500, 800))
        await asyncio.sleep(1.0)
        assert await door.maintenance() is None

        await mesh.release_model()

        (item,) = await opened(kit, door)
        assert item["modelVersion"] == "1.0.0"


async def test_a_withdrawn_model_makes_it_abstain(kit, mesh):
    await mesh.release_model()
    await mesh.set_clock(700, clock=CLOCK)
    async with mesh.service() as door:
        await mesh.send(kit.plant(700, 9999))
        await processed(kit, door, "HEALTHY")

        await (await mesh.bus.kv("models")).delete("schedule.pump-condition")
        await processed(kit, door, "UNKNOWN")

        held = await door.maintenance()
        assert {"code": "MODEL_NOT_ACTIVE", "subject": ""} in held["reasons"]


async def test_the_version_effective_at_plant_time_decides(kit, mesh):
    await mesh.release_model(("1.0.0", None, 450), ("1.1.0", 450, None))
    await mesh.set_clock(700, clock=CLOCK)
    async with mesh.service() as door:
        await mesh.send(kit.plant(700, 9999))
        await processed(kit, door, "HEALTHY")

        at = from_us(kit.START_US)
        before = await door.maintenance(**{"tm-as-of": format_time(at + timedelta(seconds=440))})
        after = await door.maintenance(**{"tm-as-of": format_time(at + timedelta(seconds=460))})
        assert (before["state"], before["modelVersion"]) == ("HEALTHY", "1.0.0")
        assert (after["state"], after["modelVersion"]) == ("HEALTHY", "1.1.0")


async def test_a_version_that_nobody_vouches_for_decides_nothing(kit, mesh):
    await mesh.release_model(signed=False)
    await mesh.set_clock(1500, clock=CLOCK)
    async with mesh.service() as door:
        await mesh.send(kit.plant(1500, 800))
        await processed(kit, door, "UNKNOWN")

        held = await door.maintenance()
        assert "MODEL_NOT_ACTIVE" in {r["code"] for r in held["reasons"]}
        assert held["modelVersion"] == ""
        assert await door.items() == []


async def test_a_recall_withdraws_what_is_open_and_lets_another_version_go_on(kit, mesh):
    await mesh.release_model()
    await mesh.set_clock(1500, clock=CLOCK)
    columns = kit.plant(3000, 800)
    async with mesh.service() as door:
        await mesh.send(columns, 0, 1500)
        (item,) = await opened(kit, door)
        assert not item["withdrawn"]
        # All rows are decided: the recall has the last word, not a row that nobody may judge.
        await seen(kit, door.maintenance, lambda held: held["trust"]["ageS"] < 30)

        await mesh.release_model(("1.0.0", None, 1500), ("2.0.0", 1500, None))
        await mesh.recall_model("1.0.0")
        (item,) = await seen(kit, door.items, lambda items: items[0]["status"] != "OPEN")
        assert (item["status"], item["withdrawn"], item["version"]) == ("WITHDRAWN", True, 2)
        assert "a test" in item["correction"]
        held = await door.maintenance()
        assert {"code": "MODEL_RECALLED", "subject": "1.0.0"} in held["reasons"]
        said = json.loads((await (await mesh.bus.kv("replicas")).get(await mesh.replica())).value)
        assert said["models"]["pump-condition"]["withdrawn"] == ["1.0.0"]

        await mesh.set_clock(3000, clock=CLOCK)
        await mesh.send(columns, 1500, 3000)
        again, first = await seen(kit, door.items, lambda items: len(items) == 2)
        assert first["id"] == item["id"]
        assert (again["status"], again["modelVersion"]) == ("OPEN", "2.0.0")
        assert again["id"] != item["id"]


async def test_silence_turns_healthy_into_unknown_without_a_message(kit, mesh):
    await mesh.release_model()
    await mesh.set_clock(640, clock=CLOCK)
    columns = kit.plant(700, 9999)
    async with mesh.service() as door:
        await mesh.send(columns, 0, 635)
        await processed(kit, door, "HEALTHY")

        await mesh.set_clock(700, clock=CLOCK)
        await processed(kit, door, "UNKNOWN")

        held = await door.maintenance()
        assert held["trust"]["verdict"] == "STALE"
        assert {r["code"] for r in held["reasons"]} == {"STALE_INPUT"}
        assert {r["subject"] for r in held["reasons"]} == {"flow", "power", "pressure"}

        stream = await mesh.bus.js.pull_subscribe(
            "tm.acme.maintenance.state.changed.v1", durable="test-reader"
        )

        async def told():
            try:
                for message in await stream.fetch(10, timeout=0.5):
                    seen.append(events_pb2.StateChanged.FromString(message.data))
                    await message.ack()
            except TimeoutError:
                pass
            return bool(seen) and seen[-1].current == last

        seen, last = [], work_item_pb2.CONDITION_STATE_UNKNOWN
        await kit.until(told)
        assert [r.code for r in seen[-1].reasons] == ["STALE_INPUT"] * 3
        assert isinstance(seen[-1].reasons[0], trust_pb2.Reason)

        await mesh.send(columns, 635, 700)
        await processed(kit, door, "HEALTHY")
        last = work_item_pb2.CONDITION_STATE_HEALTHY
        await kit.until(told)
        past = await door.maintenance(
            tm_as_of=format_time(from_us(kit.START_US + 698 * kit.SECOND))
        )
        assert past["state"] == "UNKNOWN"


async def test_a_configuration_recorded_late_supersedes_and_keeps_the_old_answer(kit, mesh):
    await mesh.release_model()
    await mesh.set_clock(2000, clock=CLOCK)
    async with mesh.service() as door:
        await mesh.send(kit.plant(2000, 800))
        (item,) = await opened(kit, door)
        await processed(kit, door, "DEGRADED")
        known_before = format_time(CLOCK.wall_now())
        change_us = kit.START_US + 800 * kit.SECOND
        mesh.registry.spans = [
            (kit.FIRST, 0, change_us),
            (kit.LATE, change_us, OPEN_US),
        ]

        await mesh.configuration_recorded(1, 1)

        async def corrected():
            return (await door.items())[0]["status"] == "SUPERSEDED"

        await kit.until(corrected)
        (now,) = await door.items()
        (then,) = await door.items(tm_known_at=item["recordedAt"])
        assert now["id"] == then["id"] == item["id"]
        assert kit.LATE in now["correction"]
        assert then["status"] == "OPEN"
        assert then["recordedUntil"] == now["recordedAt"]
        await processed(kit, door, "HEALTHY")
        held = await door.maintenance()
        assert held["configurationVersion"] == kit.LATE
        before = await door.maintenance(tm_known_at=known_before)
        assert before["configurationVersion"] == kit.FIRST
        assert before["state"] == "DEGRADED"


async def test_a_configuration_recorded_late_finds_what_it_uncovers(kit, mesh):
    await mesh.release_model()
    await mesh.set_clock(2000, clock=CLOCK)
    async with mesh.service() as door:
        await mesh.send(kit.plant(2000, 1200))
        (item,) = await opened(kit, door)
        await processed(kit, door, "DEGRADED")
        change_us = kit.START_US + 500 * kit.SECOND
        mesh.registry.spans = [(kit.FIRST, 0, change_us), (kit.LATE, change_us, OPEN_US)]

        await mesh.configuration_recorded(1, 1)

        async def corrected():
            return len(await door.items()) == 2

        await kit.until(corrected)
        by_status = {i["status"]: i for i in await door.items()}
        assert by_status["SUPERSEDED"]["id"] == item["id"]
        assert by_status["SUPERSEDED"]["supersededBy"] == by_status["OPEN"]["id"]
        assert by_status["OPEN"]["configurationVersion"] == kit.LATE
        codes = {r["code"] for r in by_status["OPEN"]["trust"]["reasons"]}
        assert "CONFIGURATION_RECORDED_LATE" in codes


async def test_a_mode_that_arrives_late_revises_and_keeps_the_old_answer(kit, mesh):
    mesh.registry.with_mode = True
    await mesh.release_model()
    await mesh.set_clock(1500, clock=CLOCK)
    async with mesh.service() as door:
        await mesh.send(kit.plant(1500, 800))

        async def named():
            held = await door.maintenance()
            return held is not None and held["reasons"] == [
                {"code": "MISSING_CONTEXT", "subject": "operating_mode"}
            ]

        await kit.until(named)
        assert await door.items() == []
        known_before = format_time(CLOCK.wall_now())

        await mesh.bus.publish(
            f"tele.acme.{kit.partition_of(kit.PUMP, 4)}", kit.modes_of(1500, "acme")
        )

        (item,) = await opened(kit, door)
        assert item["failureMode"] == "LOO"
        assert {"code": "CONTEXT_ARRIVED_LATE"} in item["trust"]["reasons"]
        assert (await door.maintenance())["state"] == "DEGRADED"
        assert (await door.maintenance(tm_known_at=known_before))["state"] == "UNKNOWN"
        assert await door.items(tm_known_at=known_before) == []


async def test_the_bus_dying_in_between_changes_no_item(kit, mesh, nats):
    await mesh.release_model()
    await mesh.set_clock(1500, clock=CLOCK)
    columns = kit.plant(1500, 800)
    async with mesh.service() as door:
        await mesh.send(columns, 0, 900)
        await nats.kill()
        await nats.start()

        async def sent():
            try:
                await mesh.send(columns, 900)
            except UnavailableError:
                return False
            return True

        await kit.until(sent)
        (item,) = await opened(kit, door)
        assert item["status"] == "OPEN"


async def test_stopping_anywhere_changes_no_item(kit, mesh, postgres_server):
    await mesh.release_model()
    await mesh.set_clock(2200, clock=CLOCK)
    columns = kit.plant(2200, 800)
    async with mesh.service() as door:
        await mesh.send(columns, step=37)
        (undisturbed,) = await opened(kit, door)
    async with mesh.service() as door:
        assert [lasting(i) for i in await door.items()] == [lasting(undisturbed)]

    other = postgres_server.make_database()
    mesh.settings = mesh.settings.model_copy(
        update={"database_url": type(mesh.settings.database_url)(other)}
    )
    for partition in range(4):
        await mesh.bus.js.delete_consumer("TELE", f"maintenance-twin-tele-{partition}")
    for _ in range(4):
        async with mesh.service(ready=False):
            await asyncio.sleep(0.4)
    async with mesh.service() as door:
        (again,) = await opened(kit, door)
    assert lasting(again) == lasting(undisturbed)
    postgres_server.drop_database(other)


async def test_hostile_input_is_refused_by_name(kit, mesh):
    await mesh.release_model()
    async with mesh.service() as door:
        subject = "tele.acme.0"
        await mesh.bus.publish(subject, b"\xff\xff\xff")
        await mesh.bus.publish(subject, kit.message_of(kit.plant(20, 10), 0, 20, "globex"))
        too_many = await door.ask("{ workItems(first: 201) { nodes { id } } }")
        cursor = await door.ask('{ workItems(after: "x") { nodes { id } } }')
        asset = await door.ask(
            kit.MAINTENANCE, variables={"of": [{"__typename": "Asset", "id": "ast_bad"}]}
        )
        async with door.channel() as channel:
            stub = pb_grpc.MaintenanceServiceStub(channel)
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await stub.GetConditions(
                    pb.GetConditionsRequest(asset_ids=["ast_" + "0" * 26] * 1001),
                    metadata=door.metadata(),
                )
            with pytest.raises(grpc.aio.AioRpcError) as anonymous:
                await stub.ListWorkItems(pb.ListWorkItemsRequest())

        assert too_many["errors"][0]["extensions"]["code"] == "INVALID_INPUT"
        assert cursor["errors"][0]["extensions"]["code"] == "INVALID_INPUT"
        assert asset["errors"][0]["extensions"]["code"] == "INVALID_INPUT"
        assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert anonymous.value.code() is grpc.StatusCode.UNAUTHENTICATED
