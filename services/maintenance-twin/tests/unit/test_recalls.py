"""The word that a model version is withdrawn is given last, and only when it is true."""

from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from maintenance_twin.events import RecallFollower
from twinmesh_sdk.adapters.nats.snapshots import RecalledModel
from twinmesh_sdk.core.errors import ConflictError, UnavailableError

RECALLED = RecalledModel(
    "pump-condition", "1.0.0", datetime(2026, 1, 5, tzinfo=UTC), "leaked labels"
)


class Models:
    def recalled(self, name):
        return (RECALLED,) if name == "pump-condition" else ()

    def on_change(self, call):
        pass


@dataclass
class Steps:
    """Records what was done, and fails as told."""

    failures: list[tuple[str, Exception]]
    done: list[str] = field(default_factory=list)

    def step(self, name):
        if self.failures and self.failures[0][0] == name:
            raise self.failures.pop(0)[1]
        self.done.append(name)

    async def __call__(self, withdrawal):
        assert withdrawal.reason == "leaked labels"
        self.step("withdraw")
        return 1

    async def withdrawn(self, name, version):
        assert (name, version) == ("pump-condition", "1.0.0")
        self.step("tell")


async def test_it_is_told_once_after_everything_is_withdrawn():
    steps = Steps([])
    follower = RecallFollower(Models(), steps, steps)

    await follower.follow()
    await follower.follow()

    assert steps.done == ["withdraw", "tell"]


async def test_a_withdrawal_that_failed_half_way_is_not_told():
    steps = Steps([("withdraw", ConflictError("raced")), ("tell", UnavailableError("away"))])
    follower = RecallFollower(Models(), steps, steps)

    with pytest.raises(ConflictError):
        await follower.follow()
    assert steps.done == []
    with pytest.raises(UnavailableError):
        await follower.follow()
    await follower.follow()

    assert steps.done == ["withdraw", "withdraw", "tell"]
