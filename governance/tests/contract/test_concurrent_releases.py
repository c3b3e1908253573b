"""Effective intervals never overlap, whoever activates at the same time, on the real store."""

import asyncio
import itertools
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import create_async_engine

from governance.adapters.memory import MemoryLineage, MemoryNoticeboard
from governance.adapters.migration import migrate
from governance.adapters.postgres import PostgresRegistry
from governance.model.contracts import Version
from governance.model.releases import BackTest, ModelName, ModelState, Scope
from governance.usecases import Publish, ReadLineage, ReleaseModel, Submission
from governance.usecases.authority import Authority
from twinmesh_sdk.core.errors import NotFoundError, TwinError
from twinmesh_sdk.testing.clock import SimulatedClock

pytestmark = pytest.mark.stack

T0 = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
VERSIONS = [Version.parse(f"1.{n}.0") for n in range(4)]
SCOPES = [
    Scope(),
    Scope(frozenset({"pump"})),
    Scope(frozenset({"fan"})),
    Scope(frozenset({"pump", "fan"})),
    Scope(frozenset({"pump"}), configurations=frozenset({"cfg_1"})),
]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(VERSIONS),
        st.sampled_from(["activate", "activate", "activate", "retire", "roll back", "recall"]),
        st.integers(0, 12),
    ),
    min_size=4,
    max_size=14,
)
names = itertools.count()


class Artefacts:
    """See `ArtefactStore`."""

    def __init__(self):
        self.held = {}

    async def put(self, digest, data):
        self.held[digest] = data

    async def get(self, digest):
        if digest not in self.held:
            raise NotFoundError("no artefact")
        return self.held[digest]


@asynccontextmanager
async def opened(url):
    engine = create_async_engine(url, pool_size=10)
    try:
        yield engine
    finally:
        await engine.dispose()


async def prepare(url):
    async with opened(url) as engine:
        await migrate(engine)


def releaser(registry):
    """Return one replica of governance: they share the store, and nothing else."""
    clock = SimulatedClock(T0)
    return ReleaseModel(
        registry,
        Publish(registry, MemoryNoticeboard(), clock),
        clock,
        Authority(),
        artefacts=ARTEFACTS,
        lineage=ReadLineage(MemoryLineage()),
        key=Ed25519PrivateKey.from_private_bytes(bytes(range(32))),
    )


ARTEFACTS = Artefacts()


async def approved(release, who, name, scopes):
    for version, scope in zip(VERSIONS, scopes, strict=True):
        given_ = Submission(
            name=name,
            version=version,
            digest=None,
            artefact=str(version).encode(),
            scope=scope,
            back_test=BackTest("bt", "F1", 0.9, "age only", 0.5, threshold=0.8),
            training_data="none: a test",
        )
        await release.submit(who("author", "models.submit"), given_)
        await release.approve(
            who("reviewer", "models.approve"), name=name, version=version, note=""
        )


async def step(release, reviewer, name, what):
    version, action, hour = what
    try:
        if action == "activate":
            await release.activate(
                reviewer, name=name, version=version, effective_from=T0 + hour * HOUR
            )
        elif action == "retire":
            await release.retire(reviewer, name=name, version=version)
        elif action == "recall":
            await release.recall(reviewer, name=name, version=version, reason="a test")
        else:
            await release.roll_back(reviewer, name=name, version=version)
    except TwinError:
        return False
    return True


async def concurrently(url, who, steps, scopes):
    """Take all steps at once, on three replicas; returns how many were taken, and what stands."""
    async with opened(url) as engine:
        registry, name = PostgresRegistry(engine), ModelName(f"m{next(names)}")
        replicas = [releaser(registry) for _ in range(3)]
        await approved(replicas[0], who, name, scopes)
        reviewer = who("reviewer", "models.approve", "read")
        outcomes = await asyncio.gather(
            *(step(replicas[n % 3], reviewer, name, what) for n, what in enumerate(steps))
        )
        async with registry.snapshot() as session:
            return sum(outcomes), await session.models(str(name))


def test_effective_intervals_never_overlap_under_concurrent_activation(database_url, who):
    asyncio.run(prepare(database_url))
    taken = []

    @settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
    @given(STEPS, st.lists(st.sampled_from(SCOPES), min_size=4, max_size=4))
    def check_one(steps, scopes):
        count, models = asyncio.run(concurrently(database_url, who, steps, scopes))
        taken.append(count)
        check(models)

    check_one()
    assert sum(taken) > 10, "steps were taken"


def check(models):
    periods = [
        (model, period)
        for model in models
        if model.state is not ModelState.RECALLED
        for period in model.activations
    ]
    for (one, first), (other, second) in itertools.combinations(periods, 2):
        if not one.scope.overlaps(other.scope):
            continue
        start = max(first.effective_from, second.effective_from)
        ends = [p.effective_to for p in (first, second) if p.effective_to is not None]
        assert ends, (one.version, other.version)
        assert start >= min(ends), (one.version, other.version)
