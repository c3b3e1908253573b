"""How fast the audit log grows, every entry on disk: `make bench-audit`.

A PostgreSQL of its own with `fsync` and `synchronous_commit` on. Entries that share transactions
(what services report); entries with a change of state, one transaction each (a model submitted and
approved, as governance decides it, without the publication on the bus); proofs out of the log that
this made; the offline verifier on its export.
"""

import asyncio
import contextlib
import secrets
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from governance.adapters.memory import MemoryLineage, MemoryNoticeboard
from governance.adapters.migration import migrate
from governance.adapters.postgres import PostgresRegistry, PostgresTrail
from governance.decide import audit_export, merkle
from governance.model.audit import AuditEntry, LogName
from governance.model.contracts import Version
from governance.model.releases import ArtefactDigest, BackTest, ModelName
from governance.usecases import Publish, ReadLineage, ReleaseModel, Submission
from governance.usecases.auditing import AuditHeads, AuditQueue
from governance.usecases.authority import Authority
from twinmesh_local.ports import choose
from twinmesh_local.stores.postgres import PostgresStore
from twinmesh_local.testing import running
from twinmesh_sdk.core.ids import Tenant
from twinmesh_sdk.core.principal import Principal
from twinmesh_sdk.testing.clock import SimulatedClock

ENTRIES = 20_000
AT_ONCE = 500
APPROVALS = 60
PROOFS = 200
NOW = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)
LOG = LogName("acme")


def main() -> None:
    """Print the figures."""
    with _database() as url:
        asyncio.run(_measure(url))


async def _measure(url: str) -> None:
    engine = create_async_engine(url, pool_size=4)
    await migrate(engine)
    async with engine.connect() as connection:
        fsync = (await connection.execute(text("SHOW fsync"))).scalar_one()
    _say(f"fsync is {fsync}, synchronous_commit on")
    trail = PostgresTrail(engine)
    await _throughput(trail)
    await _approvals(PostgresRegistry(engine))
    await _proofs(trail)
    await engine.dispose()


async def _throughput(trail: PostgresTrail) -> None:
    queue = AuditQueue(trail)
    worker = asyncio.create_task(queue.run())
    waited: list[float] = []

    async def caller(number: int) -> None:
        for each in range(ENTRIES // AT_ONCE):
            entry = AuditEntry(
                NOW, f"person-{number % 20}", str(LOG), "readings.replay", f"batch {each}",
                "ACCEPTED", {"rows": each, "recorded_by": "svc-telemetry"},
            )  # fmt: skip
            started = time.perf_counter()
            await queue.append(entry)
            waited.append(time.perf_counter() - started)

    started = time.perf_counter()
    await asyncio.gather(*(caller(n) for n in range(AT_ONCE)))
    seconds = time.perf_counter() - started
    worker.cancel()
    _say(f"{ENTRIES} entries by {AT_ONCE} callers at once: {ENTRIES / seconds:.0f} entries/s")
    _percentiles("  each acknowledged when on disk", waited)


async def _approvals(registry: PostgresRegistry) -> None:
    clock = SimulatedClock(NOW)
    publish = Publish(registry, MemoryNoticeboard(), clock)
    lineage, key = ReadLineage(MemoryLineage()), Ed25519PrivateKey.generate()
    release = ReleaseModel(
        registry, publish, clock, Authority(), artefacts=_Artefacts(), lineage=lineage, key=key
    )
    people = {
        name: Principal(name, name, Tenant("acme"), frozenset({role}))
        for name, role in (("author", "models.submit"), ("reviewer", "models.approve"))
    }
    name = ModelName("pump-condition")
    waited = []
    for number in range(APPROVALS):
        version = Version.parse(f"1.0.{number}")
        await release.submit(
            people["author"],
            Submission(
                name, version, None, b"weights", training_data="none: a benchmark",
                back_test=BackTest("bt", "F1", 0.9, "age only", 0.5, "d", 0.8),
            ),
        )  # fmt: skip
        started = time.perf_counter()
        await release.approve(people["reviewer"], name=name, version=version, note="beats it")
        waited.append(time.perf_counter() - started)
    _percentiles(f"{APPROVALS} approvals of a model, one after the other", waited)


class _Artefacts:
    """See `ArtefactStore`: what the bus would hold."""

    def __init__(self) -> None:
        self._held: dict[ArtefactDigest, bytes] = {}

    async def put(self, digest: ArtefactDigest, data: bytes) -> None:
        self._held[digest] = data

    async def get(self, digest: ArtefactDigest) -> bytes:
        return self._held[digest]


async def _proofs(trail: PostgresTrail) -> None:
    key = Ed25519PrivateKey.generate()
    heads = AuditHeads(trail, key, SimulatedClock(NOW))
    size = await trail.size(LOG)
    waited = []
    for number in range(PROOFS):
        index = number * (size // PROOFS)
        started = time.perf_counter()
        await heads.proof(LOG, merkle.inclusion_ranges(index, size))
        waited.append(time.perf_counter() - started)
    _percentiles(f"inclusion proof in a log of {size}", waited)
    signed = await heads.sign(LOG)
    lines = [audit_export.header_line(LOG)]
    while entries := await trail.entries(LOG, after=len(lines) - 1, limit=1000):
        lines += map(audit_export.entry_line, entries)
    started = time.perf_counter()
    report = audit_export.verify(lines, [signed], key.public_key().public_bytes_raw())
    seconds = time.perf_counter() - started
    assert report.sound
    _say(f"offline verification: {report.entries / seconds:.0f} entries/s")


@contextlib.contextmanager
def _database() -> Iterator[str]:
    """Give the address of an empty database of a server that lives as long as the block."""
    with tempfile.TemporaryDirectory(prefix="twinmesh-bench-") as made:
        folder = Path(made)
        folder.chmod(0o755)  # the server drops to an account of its own when started by root
        password = secrets.token_hex(12)
        store = PostgresStore(folder / "pg", port=choose({"pg": 0})["pg"], password=password)
        store.prepare()
        with running(store.program(), folder):
            asyncio.run(store.ensure({"bench": password}))
            yield store.url("bench", password)


def _percentiles(what: str, seconds: list[float]) -> None:
    ordered = sorted(seconds)
    p95 = ordered[int(len(ordered) * 0.95)]
    _say(f"{what}: p50 {statistics.median(ordered) * 1e3:.1f} ms, p95 {p95 * 1e3:.1f} ms")


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")


if __name__ == "__main__":
    main()
