"""No decision is made with a withdrawn model after the withdrawal was acknowledged."""

import asyncio
import random
import time
from dataclasses import dataclass

import pytest

from maintenance_twin.decide.twin import new_twin
from maintenance_twin.model.condition import Axis, Condition, State
from maintenance_twin.model.configuration import Configurations
from maintenance_twin.model.signal import Profile, Role, Signal
from maintenance_twin.model.tuning import DEFAULT
from maintenance_twin.ports import Change, ConditionRewrite, Withdrawal
from maintenance_twin.usecases import WithdrawModel, Workbench
from twinmesh_sdk.core.errors import ConflictError
from twinmesh_sdk.core.ids import AssetId, SignalId, Tenant
from twinmesh_sdk.core.times import to_us
from twinmesh_sdk.testing.clock import START

pytestmark = pytest.mark.stack
ACME = Tenant("acme")
START_US = to_us(START)
WRITERS, DECISIONS = 6, 40
WITHDRAWAL = Withdrawal("1.0.0", "a test", START_US)


@dataclass(frozen=True)
class Operation:
    """One entry of the recorded history; times of the monotonic clock."""

    version: str
    invoked: float
    responded: float
    saved: bool


def fresh_twin(number):
    asset_id = AssetId(f"ast_{number:026d}")
    signals = (
        Signal(SignalId(f"sig_{2 * number:026d}"), "flow", "m3/s", Role.FLOW, 1.0),
        Signal(SignalId(f"sig_{2 * number + 1:026d}"), "power", "W", Role.POWER, 1.0),
    )
    twin = new_twin(ACME, Profile(asset_id, "pump", signals), Configurations(), DEFAULT)
    twin.first_us = START_US
    return twin


async def decide(store, twin, n, version):
    """Save one decision by a version, and record when it was asked for and answered."""
    condition = Condition(State.HEALTHY, START_US + n, model_version=version)
    change = Change(
        twin=twin,
        rewrites=[ConditionRewrite(Axis.CONDITION, condition.from_us, (condition,))],
        models=frozenset({version}),
    )
    invoked = time.monotonic()
    try:
        await store.save([change])
        saved = True
    except ConflictError:
        saved = False
    return Operation(version, invoked, time.monotonic(), saved)


@pytest.mark.parametrize("seed", range(4))
async def test_what_was_saved_was_saved_before_the_acknowledgement(store, scalar, seed):
    random_ = random.Random(seed)
    history: list[Operation] = []
    withdrawing = asyncio.Event()

    async def writer(number):
        twin = fresh_twin(number)
        for n in range(1, DECISIONS + 1):
            # It believes in 1.0.0 for ever: the store alone must stop it.
            history.append(await decide(store, twin, n, "1.0.0"))
            if len(history) > random_.randint(20, 60):
                withdrawing.set()
            await asyncio.sleep(random_.random() / 500)

    async def withdraw():
        await withdrawing.wait()
        invoked = time.monotonic()
        await store.withdraw(WITHDRAWAL)
        acknowledged = time.monotonic()
        counted = await scalar("SELECT count(*) FROM condition")
        return invoked, acknowledged, counted

    *_, (invoked, acknowledged, counted) = await asyncio.gather(
        *(writer(n) for n in range(WRITERS)), withdraw()
    )

    assert await scalar("SELECT count(*) FROM condition") == counted, "one was saved afterwards"
    for operation in history:
        if operation.invoked > acknowledged:
            assert not operation.saved
        if operation.responded < invoked:
            assert operation.saved
    saved = [operation for operation in history if operation.saved]
    refused = [operation for operation in history if not operation.saved]
    assert saved, "decisions before the withdrawal"
    assert refused, "decisions after it"
    # A refusal is never followed, in real time, by a decision: there is one order of them all.
    first_refusal = min(operation.responded for operation in refused)
    assert all(operation.invoked <= first_refusal for operation in saved)


async def test_another_version_goes_on_deciding(store):
    twin = fresh_twin(1)
    await store.withdraw(WITHDRAWAL)
    await store.withdraw(WITHDRAWAL)

    assert not (await decide(store, twin, 1, "1.0.0")).saved
    assert (await decide(store, twin, 2, "2.0.0")).saved
    assert await store.withdrawn() == {"1.0.0"}


async def test_a_withdrawal_marks_everything_that_was_decided_while_it_came(store):
    bench = Workbench(store)
    twins = [fresh_twin(n) for n in range(250)]
    for twin in twins:
        twin.evaluation.condition = Condition(State.HEALTHY, START_US, model_version="1.0.0")
    rewrites = [
        ConditionRewrite(Axis.CONDITION, START_US, (t.evaluation.condition,)) for t in twins
    ]
    await store.save([Change(twin=t, rewrites=[r]) for t, r in zip(twins, rewrites, strict=True)])

    assert await WithdrawModel(store, bench)(WITHDRAWAL) == 250
    assert await WithdrawModel(store, bench)(WITHDRAWAL) == 0

    assert await store.decided_by("1.0.0", limit=10) == []
    held = (await store.load(ACME, [twins[7].asset_id]))[twins[7].asset_id]
    assert held.evaluation.condition.state is State.UNKNOWN
