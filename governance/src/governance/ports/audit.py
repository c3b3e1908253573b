"""What governance needs for its audit log."""

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from governance.decide.merkle import Place
from governance.model.audit import AuditEntry, LoggedEntry, LogName, SignedHead


class AuditSession(Protocol):
    """The audit log in a transaction."""

    async def record(self, entry: AuditEntry) -> None:
        """Append to the audit log, together with what else the transaction saves.

        The sequence of a log has no gaps.
        """
        ...


class AuditTrail(Protocol):
    """The audit log by itself: appends that accompany nothing else, proofs, erasure."""

    async def append(self, log: LogName, entries: Sequence[AuditEntry]) -> list[LoggedEntry]:
        """Append to one log, all or nothing; on disk when this returns.

        Raises:
            UnavailableError: The store does not answer.
        """
        ...

    async def sizes(self) -> dict[LogName, int]:
        """Return how many entries each log holds."""
        ...

    async def size(self, log: LogName) -> int:
        """Return how many entries a log holds; 0 when it was never written."""
        ...

    async def nodes(self, log: LogName, wanted: Collection[Place]) -> Mapping[Place, bytes]:
        """Return the hashes of perfect subtrees; without those that are not complete."""
        ...

    async def entries(self, log: LogName, *, after: int, limit: int) -> list[LoggedEntry]:
        """Return entries with a sequence above `after`, oldest first."""
        ...

    async def erase(self, person: str, told: AuditEntry) -> LoggedEntry:
        """Erase a person and all that was kept of and about them, and record that it was done.

        What the log holds stays, and so does every proof.

        Args:
            person: Subject of the person's token.
            told: The entry that records it, in the log that is erased from.
        """
        ...


class HeadBoard(Protocol):
    """A place outside the log's own store where signed heads are published, and stay."""

    async def latest(self, log: LogName) -> SignedHead | None:
        """Return the last head published here; None before the first.

        Raises:
            UnavailableError: It does not answer.
            InvalidInputError: What it holds is no head.
        """
        ...

    async def publish(self, head: SignedHead) -> None:
        """Publish a head; on disk when this returns.

        Raises:
            UnavailableError: It does not answer.
        """
        ...

    async def heads(self, log: LogName, *, after: int, limit: int) -> list[SignedHead]:
        """Return published heads of more than `after` entries, in the order of their sizes.

        Raises:
            UnavailableError: It does not answer.
        """
        ...
