"""Append to the audit log, prove what it holds, erase a person from what is kept beside it."""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from governance.decide import audit_heads, merkle
from governance.decide.audit_leaf import check_entry
from governance.model.audit import (
    AuditEntry,
    ConsistencyProof,
    InclusionProof,
    LoggedEntry,
    LogName,
    SignedHead,
    TreeHead,
)
from governance.model.policies import Thing
from governance.ports.audit import AuditTrail, HeadBoard
from governance.usecases.authority import Authority
from twinmesh_sdk.core.errors import (
    InvalidInputError,
    LimitExceededError,
    NotFoundError,
    PreconditionFailedError,
    TwinError,
    UnavailableError,
)
from twinmesh_sdk.core.principal import Principal
from twinmesh_sdk.ports.clock import Clock

OUTCOMES: Final = ("ACCEPTED", "UNCHANGED", "PENDING", "REFUSED")
MAX_GROUP: Final = 500
MAX_WAITING: Final = 10_000
MAX_PAGE: Final = 1_000
MAX_ACTION: Final = 64


class AuditQueue:
    """Appends that accompany no change of state, many in one transaction.

    Whoever waits in `append` is told when its entry is on disk. While one transaction runs, the
    next ones gather: one sync of the disk then serves them all.
    """

    def __init__(self, trail: AuditTrail) -> None:
        self._trail = trail
        self._waiting: deque[tuple[AuditEntry, asyncio.Future[LoggedEntry]]] = deque()
        self._some = asyncio.Event()

    async def append(self, entry: AuditEntry) -> LoggedEntry:
        """Append an entry; on disk when this returns.

        Raises:
            LimitExceededError: Too many are waiting.
            InvalidInputError: It cannot be recorded.
            UnavailableError: The store does not answer.
        """
        if len(self._waiting) >= MAX_WAITING:
            raise LimitExceededError("too many audit entries are waiting", hint="try again later")
        check_entry(entry)  # refused here, before it could spoil others' transaction
        done: asyncio.Future[LoggedEntry] = asyncio.get_running_loop().create_future()
        self._waiting.append((entry, done))
        self._some.set()
        return await done

    async def run(self) -> None:
        """Write what waits, until cancelled."""
        while True:
            await self._some.wait()
            group = [self._waiting.popleft() for _ in range(min(MAX_GROUP, len(self._waiting)))]
            if not self._waiting:
                self._some.clear()
            by_log: dict[str, list[tuple[AuditEntry, asyncio.Future[LoggedEntry]]]] = {}
            for entry, done in group:
                by_log.setdefault(entry.tenant, []).append((entry, done))
            try:
                for log, members in by_log.items():
                    await self._write(LogName(log), members)
            finally:
                for _, done in group:
                    if not done.done():
                        done.set_exception(UnavailableError("governance is stopping"))

    async def _write(
        self, log: LogName, members: Sequence[tuple[AuditEntry, "asyncio.Future[LoggedEntry]"]]
    ) -> None:
        """Write one log's entries; a transaction never holds two logs, so none waits in a ring."""
        try:
            logged = await self._trail.append(log, [entry for entry, _ in members])
        except TwinError as error:
            for _, done in members:
                if not done.done():
                    done.set_exception(error)
            return
        for (_, done), entry in zip(members, logged, strict=True):
            if not done.done():
                done.set_result(entry)


class AuditHeads:
    """Signs tree heads."""

    def __init__(self, trail: AuditTrail, key: Ed25519PrivateKey | None, clock: Clock) -> None:
        self._trail = trail
        self._key = key
        self._clock = clock

    @property
    def public_key(self) -> bytes:
        """The raw public key.

        Raises:
            PreconditionFailedError: Governance has no signing key.
        """
        return self._signing_key().public_key().public_bytes_raw()

    async def root(self, log: LogName, size: int) -> bytes:
        """Return the root of a log's first `size` entries.

        Raises:
            NotFoundError: The log is shorter.
        """
        if size > await self._trail.size(log):
            raise NotFoundError(f"the log {log} has no {size} entries")
        return (await self.proof(log, [(0, size)]))[0]

    async def sign(self, log: LogName, size: int | None = None) -> SignedHead:
        """Return the signed head of a log, of its first `size` entries or of all.

        Raises:
            NotFoundError: The log is shorter.
            PreconditionFailedError: Governance has no signing key.
        """
        key = self._signing_key()
        length = await self._trail.size(log) if size is None else size
        head = TreeHead(log, length, await self.root(log, length), self._clock.wall_now())
        return audit_heads.sign(head, key)

    async def proof(self, log: LogName, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        """Return the roots of ranges of a log's entries."""
        return merkle.proof(ranges, await self._trail.nodes(log, merkle.wanted(ranges)))

    def _signing_key(self) -> Ed25519PrivateKey:
        if self._key is None:
            raise PreconditionFailedError(
                "governance has no key to sign tree heads with",
                hint="set TWIN_AUDIT_KEY, for example to the output of `openssl rand -hex 32`",
            )
        return self._key


class ReadAudit:
    """Prove what the log holds, and hand it out whole."""

    def __init__(
        self, trail: AuditTrail, heads: AuditHeads, board: HeadBoard, authority: Authority
    ) -> None:
        self._authority = authority
        self._trail = trail
        self._heads = heads
        self._board = board

    def public_key(self) -> bytes:
        """Return the raw public key with which heads are signed.

        Raises:
            PreconditionFailedError: Governance has no signing key.
        """
        return self._heads.public_key

    async def head(self, principal: Principal, *, mesh: bool) -> SignedHead:
        """Return the signed head of all that the log holds now.

        Raises:
            ForbiddenError: The caller may not read the mesh's own log.
        """
        return await self._heads.sign(self._authority.log(principal, "audit.read", mesh=mesh))

    async def published(
        self, principal: Principal, *, mesh: bool, after: int, limit: int
    ) -> list[SignedHead]:
        """Return heads as published, of more than `after` entries."""
        log = self._authority.log(principal, "audit.read", mesh=mesh)
        return await self._board.heads(log, after=after, limit=_page(limit))

    async def inclusion(
        self, principal: Principal, *, mesh: bool, sequence: int, size: int | None
    ) -> InclusionProof:
        """Prove that the log holds an entry.

        Args:
            principal: Who asks.
            mesh: Of the mesh's own log instead of the caller's tenant's.
            sequence: The entry's number.
            size: Length of the tree to prove it in; by default all of it.

        Raises:
            NotFoundError: There is no such entry in a tree of this size.
        """
        log = self._authority.log(principal, "audit.read", mesh=mesh)
        head = await self._heads.sign(log, size)
        if not 0 < sequence <= head.head.size:
            raise NotFoundError(f"the log {log} has no entry {sequence} of {head.head.size}")
        entries = await self._trail.entries(log, after=sequence - 1, limit=1)
        path = await self._heads.proof(log, merkle.inclusion_ranges(sequence - 1, head.head.size))
        return InclusionProof(entries[0], head, tuple(path))

    async def consistency(
        self, principal: Principal, *, mesh: bool, first: int, second: int | None
    ) -> ConsistencyProof:
        """Prove that the log still begins as it was when it had `first` entries.

        Raises:
            InvalidInputError: `first` is larger than `second`, or not positive.
            NotFoundError: The log is shorter.
        """
        log = self._authority.log(principal, "audit.read", mesh=mesh)
        head = await self._heads.sign(log, second)
        if not 0 < first <= head.head.size:
            raise InvalidInputError(f"first is from 1 to {head.head.size}")
        path = await self._heads.proof(log, merkle.consistency_ranges(first, head.head.size))
        return ConsistencyProof(first, await self._heads.root(log, first), head, tuple(path))

    async def export(
        self, principal: Principal, *, mesh: bool, after: int, limit: int
    ) -> tuple[LogName, list[LoggedEntry]]:
        """Return entries with a number above `after`, oldest first, with what is kept beside."""
        log = self._authority.log(principal, "audit.read", mesh=mesh)
        return log, await self._trail.entries(log, after=after, limit=_page(limit))


class RecordAudit:
    """Take in what other services did for a tenant."""

    def __init__(self, queue: AuditQueue, clock: Clock, authority: Authority) -> None:
        self._authority = authority
        self._queue = queue
        self._clock = clock

    async def __call__(
        self,
        principal: Principal,
        *,
        action: str,
        subject: str,
        outcome: str,
        actor: str,
        detail: dict[str, Any],
    ) -> LoggedEntry:
        """Record that a service did, or refused, something for somebody; on disk when it returns.

        Raises:
            ForbiddenError: The caller is no service of the mesh.
            InvalidInputError: The entry cannot be recorded.
        """
        tenant = str(principal.tenant)
        self._authority.require(principal, "audit.record", Thing("Log", tenant, tenant))
        if not action or len(action) > MAX_ACTION:
            raise InvalidInputError(f"an action has 1 to {MAX_ACTION} characters")
        if outcome not in OUTCOMES:
            raise InvalidInputError(f"an outcome is one of {', '.join(OUTCOMES)}")
        entry = AuditEntry(
            recorded_at=self._clock.wall_now(),
            actor=actor or principal.subject,
            tenant=str(principal.tenant),
            action=action,
            subject=subject,
            outcome=outcome,
            detail=detail | {"recorded_by": principal.subject},
        )
        return await self._queue.append(entry)


class EraseFromAudit:
    """Erase a person from what is kept beside the log."""

    def __init__(self, trail: AuditTrail, clock: Clock, authority: Authority) -> None:
        self._authority = authority
        self._trail = trail
        self._clock = clock

    async def __call__(
        self, principal: Principal, person: str, *, reason: str, mesh: bool
    ) -> LoggedEntry:
        """Erase a person's name and words; the log keeps its length, its roots and its proofs.

        Raises:
            ForbiddenError: The caller may not.
            InvalidInputError: No person or no reason is given.
        """
        log = self._authority.log(principal, "audit.erase", mesh=mesh)
        if not person.strip() or not reason.strip():
            raise InvalidInputError("an erasure names a person and a reason")
        told = AuditEntry(
            recorded_at=self._clock.wall_now(),
            actor=principal.subject,
            tenant=str(log),
            action="audit.erase",
            subject="",
            outcome="ACCEPTED",
            detail={"reason": reason},
        )
        return await self._trail.erase(person, told)


@dataclass(frozen=True, slots=True)
class Forked:
    """A published head that the log does not continue: one of the two was changed afterwards."""

    log: LogName
    size: int


class PublishHeads:
    """Publish signed heads on boards outside the log's store; repeating it changes nothing."""

    def __init__(self, trail: AuditTrail, heads: AuditHeads, boards: Sequence[HeadBoard]) -> None:
        self._trail = trail
        self._heads = heads
        self._boards = boards
        self._last: dict[tuple[int, LogName], int] = {}
        self._forked: set[tuple[int, LogName]] = set()

    async def __call__(self) -> list[Forked]:
        """Publish a head of every log that has grown since the last one.

        The first time in a process, what a board shows last is compared with the log. A log that
        does not continue it gets no further head there: somebody has to look.

        Returns:
            Logs found not to continue what was published, each once.

        Raises:
            UnavailableError: The store or a board does not answer.
        """
        found: list[Forked] = []
        for log, size in (await self._trail.sizes()).items():
            signed: SignedHead | None = None
            for number, board in enumerate(self._boards):
                key = (number, log)
                if key in self._forked:
                    continue
                if key not in self._last:
                    found += await self._compare(key, board)
                if key in self._forked or self._last[key] >= size:
                    continue
                signed = signed or await self._heads.sign(log, size)
                await board.publish(signed)
                self._last[key] = size
        return found

    async def _compare(self, key: tuple[int, LogName], board: HeadBoard) -> list[Forked]:
        log = key[1]
        latest = await board.latest(log)
        self._last[key] = latest.head.size if latest else 0
        if latest is None:
            return []
        try:
            same = await self._heads.root(log, latest.head.size) == latest.head.root
        except NotFoundError:
            same = False  # the log is shorter than what was published
        if same:
            return []
        self._forked.add(key)
        return [Forked(log, latest.head.size)]


def _page(limit: int) -> int:
    if not 0 < limit <= MAX_PAGE:
        raise InvalidInputError(f"a page has 1 to {MAX_PAGE} entries")
    return limit
