"""Plant time: who moves it, and when episodes begin."""

import pytest

from twinmesh_local.plant import feeding
from twinmesh_local.plant.clock import Pacer
from twinmesh_local.plant.feeding import FIRST_DAY_US, Begin, Doors, PlantRun
from twinmesh_local.plant.journal import Journal, Phase
from twinmesh_local.plant.simulator import EPISODE_S

WALL_US = 1_795_000_000_000_000


class MemoryClockStore:
    """Keeps the clock in memory."""

    def __init__(self):
        self.clock = None

    async def read(self):
        return self.clock

    async def write(self, clock):
        self.clock = clock


@pytest.fixture
def store():
    return MemoryClockStore()


@pytest.fixture
def pacer(store):
    return Pacer(store, wall=lambda: WALL_US)


@pytest.fixture
def plant(pacer, tmp_path):
    doors = Doors(feeds={}, backfill=None, registry=None, pacer=pacer)
    return PlantRun(
        doors,
        feeding.empty_recordings(),
        Journal(run="r", seed=5),
        path=tmp_path / "plant.json",
        speed=None,
        wall=lambda: WALL_US,
    )


async def test_a_replay_of_the_past_leaves_the_clock_alone(store, pacer):
    await pacer.jump(WALL_US, speed=60.0)
    ahead = store.clock
    await pacer.jump(10**15, speed=300.0)
    assert store.clock == ahead
    assert pacer.due_us() == 10**15
    await pacer.set_speed(1.0)
    assert store.clock.at(WALL_US) == ahead.at(WALL_US)
    assert store.clock.speed == 1.0


async def test_a_clock_that_passed_the_first_row_but_not_the_last_is_the_pace(store, pacer):
    await pacer.jump(10**15 + 2 * 10**6, speed=1.0)
    await pacer.jump(10**15, speed=60.0, until_us=10**15 + 10**9)
    assert store.clock.at(WALL_US) == 10**15 + 2 * 10**6, "it never goes back"
    assert store.clock.speed == 60.0
    assert pacer.pace == store.clock, "no row is due before its time has come for everyone"


async def test_a_clock_that_passed_the_last_row_is_left_alone(store, pacer):
    await pacer.jump(10**15 + 10**9, speed=1.0)
    ahead = store.clock
    await pacer.jump(10**15, speed=60.0, until_us=10**15 + 10**9)
    assert store.clock == ahead
    assert pacer.due_us() == 10**15


async def test_a_plant_that_lived_in_wall_time_never_goes_behind_it(store, pacer):
    pacer.lived = True
    await pacer.jump(10**15, speed=300.0)
    assert store.clock is None
    assert await pacer.plant_now_us() == WALL_US


async def test_a_new_plant_starts_its_clock_where_its_recording_begins(store, pacer):
    assert await pacer.plant_now_us() is None
    await pacer.jump(10**15, speed=300.0)
    assert store.clock.at(WALL_US) == 10**15


async def test_living_uses_wall_time_and_writes_no_clock(store, pacer):
    await pacer.catch_up(1.0)
    await pacer.follow()
    assert store.clock is None
    assert pacer.due_us() == WALL_US


async def test_a_clock_that_is_behind_catches_up_and_one_ahead_stays(store, pacer):
    await pacer.jump(10**15, speed=60.0)
    await pacer.catch_up(1.0)
    assert store.clock.at(WALL_US) == WALL_US
    await pacer.jump(WALL_US + 10**9, speed=60.0)
    ahead = store.clock
    await pacer.catch_up(1.0)
    assert store.clock == ahead


async def begin(plant, kind):
    episode = await plant._plan_episode(kind, 60.0)
    plant._next_episode()
    plant.journal.episodes = 0
    return episode


async def test_the_same_seed_gives_the_same_episode_on_every_new_plant(plant):
    first = await begin(plant, Begin.REPRODUCIBLE)
    assert first.start_us == FIRST_DAY_US
    assert first.seed == 5


async def test_a_repeated_seed_repeats_and_another_one_begins_later(plant, pacer):
    first = await begin(plant, Begin.REPRODUCIBLE)
    await pacer.jump(first.end_us + 7 * 10**9, speed=1.0)
    assert await begin(plant, Begin.REPRODUCIBLE) == first
    plant.journal.seed = 6
    assert (await begin(plant, Begin.REPRODUCIBLE)).start_us == first.end_us + 7 * 10**9


async def test_an_introduction_ends_before_the_present(plant):
    episode = await begin(plant, Begin.ENDING_NOW)
    real_s = EPISODE_S / 60.0
    assert episode.end_us <= WALL_US + real_s * 1e6
    assert episode.end_us > WALL_US + (real_s - 10) * 1e6


async def test_a_living_plant_begins_now(plant):
    assert (await begin(plant, Begin.LIVE)).start_us == WALL_US


async def test_later_episodes_have_seeds_of_their_own(plant):
    first = await plant._plan_episode(Begin.LIVE, 1.0)
    plant._next_episode()
    second = await plant._plan_episode(Begin.LIVE, 1.0)
    assert second.seed != first.seed
    assert second.label != first.label


def test_what_happened_for_ever_is_carried_to_the_next_run():
    last = Journal(run="a", seed=1, starts={"1": 7}, lived=True, phase=Phase.DONE, sent=9)
    fresh = feeding.new_journal("b", seed=None, last=last)
    assert (fresh.starts, fresh.lived, fresh.phase, fresh.sent) == (
        {"1": 7}, True, Phase.IMPORTING, 0,
    )  # fmt: skip
    seeds = {feeding.new_journal("b", seed=None, last=None).seed for _ in range(20)}
    assert len(seeds) > 15
