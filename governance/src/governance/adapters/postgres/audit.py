"""The audit log in PostgreSQL: trees that grow inside the transaction of what they record."""

import secrets
from collections import defaultdict
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from sqlalchemy import Select, and_, delete, or_, select, text, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as SqlTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from governance.adapters.postgres.transaction import Transaction, with_deadlines
from governance.adapters.rows.audit import entry_of, entry_rows, frontier_of
from governance.adapters.tables.audit import (
    AUDIT_ENTRIES,
    AUDIT_LOGS,
    AUDIT_NODES,
    AUDIT_PERSONS,
    AUDIT_TEXTS,
)
from governance.decide.audit_leaf import erasure, mention_of, personal_texts, pseudonym, seal
from governance.decide.merkle import Frontier, Place, leaf_hash
from governance.model.audit import SALT_BYTES, AuditEntry, LoggedEntry, LogName, Secret
from twinmesh_sdk.core.errors import UnavailableError

MAX_NODES_AT_ONCE: Final = 512


class PostgresAudit(Transaction):
    """See `AuditSession`."""

    async def record(self, entry: AuditEntry) -> None:
        """See `AuditSession.record`."""
        await append(self.connection, LogName(entry.tenant), [entry])


class PostgresTrail:
    """See `AuditTrail`."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def append(self, log: LogName, entries: Sequence[AuditEntry]) -> list[LoggedEntry]:
        """See `AuditTrail.append`."""
        async with self._begin() as connection:
            return await append(connection, log, entries)

    async def sizes(self) -> dict[LogName, int]:
        """See `AuditTrail.sizes`."""
        async with self._begin() as connection:
            found = await connection.execute(select(AUDIT_LOGS.c.log, AUDIT_LOGS.c.size))
            return {LogName(log): size for log, size in found}

    async def size(self, log: LogName) -> int:
        """See `AuditTrail.size`."""
        query = select(AUDIT_LOGS.c.size).where(AUDIT_LOGS.c.log == log)
        async with self._begin() as connection:
            return (await connection.execute(query)).scalar_one_or_none() or 0

    async def nodes(self, log: LogName, wanted: Collection[Place]) -> Mapping[Place, bytes]:
        """See `AuditTrail.nodes`."""
        if len(wanted) > MAX_NODES_AT_ONCE:
            raise ValueError("a proof needs fewer subtrees")
        place = tuple_(AUDIT_NODES.c.level, AUDIT_NODES.c.index)
        query = select(AUDIT_NODES.c.level, AUDIT_NODES.c.index, AUDIT_NODES.c.hash).where(
            AUDIT_NODES.c.log == log, place.in_(sorted(wanted))
        )
        async with self._begin() as connection:
            return {(level, at): digest for level, at, digest in await connection.execute(query)}

    async def entries(self, log: LogName, *, after: int, limit: int) -> list[LoggedEntry]:
        """See `AuditTrail.entries`."""
        query = _joined().where(AUDIT_ENTRIES.c.log == log, AUDIT_ENTRIES.c.sequence > after)
        async with self._begin() as connection:
            return await _entries(connection, query.order_by(AUDIT_ENTRIES.c.sequence).limit(limit))

    async def erase(self, person: str, told: AuditEntry) -> LoggedEntry:
        """See `AuditTrail.erase`."""
        log = LogName(told.tenant)
        async with self._begin() as connection:
            # The log's row first, as every append does: entries being appended wait.
            await _frontier(connection, log)
            known = and_(AUDIT_PERSONS.c.log == log, AUDIT_PERSONS.c.subject == person)
            found = (await connection.execute(select(AUDIT_PERSONS.c.person).where(known))).first()
            theirs = select(AUDIT_ENTRIES.c.sequence).where(
                AUDIT_ENTRIES.c.log == log, AUDIT_ENTRIES.c.person == (found[0] if found else "")
            )
            about = AUDIT_TEXTS.c.text.op("~")(mention_of(person))
            texts = await connection.execute(
                delete(AUDIT_TEXTS).where(
                    AUDIT_TEXTS.c.log == log, or_(AUDIT_TEXTS.c.sequence.in_(theirs), about)
                )
            )
            await connection.execute(delete(AUDIT_PERSONS).where(known))
            said = erasure(told, person=found[0] if found else "", texts=texts.rowcount)
            return (await append(connection, log, [said]))[0]

    @asynccontextmanager
    async def _begin(self) -> AsyncIterator[AsyncConnection]:
        try:
            async with self._engine.begin() as connection:
                await with_deadlines(connection)
                yield connection
        except (DBAPIError, SqlTimeoutError, OSError, TimeoutError) as error:
            raise UnavailableError("the audit log's store did not answer") from error


async def newest(
    connection: AsyncConnection, log: LogName, *, before: int | None, limit: int
) -> list[LoggedEntry]:
    """Return a log's entries, newest first, with a sequence below `before`."""
    query = _joined().where(AUDIT_ENTRIES.c.log == log)
    if before is not None:
        query = query.where(AUDIT_ENTRIES.c.sequence < before)
    query = query.order_by(AUDIT_ENTRIES.c.sequence.desc()).limit(limit)
    return await _entries(connection, query)


async def append(
    connection: AsyncConnection, log: LogName, entries: Sequence[AuditEntry]
) -> list[LoggedEntry]:
    """Append to a log in the transaction of this connection; appends to it wait for its end."""
    # Whatever the server's default: what is acknowledged is on disk.
    await connection.execute(text("SET LOCAL synchronous_commit = on"))
    frontier = await _frontier(connection, log)
    persons = await _persons(connection, log, {entry.actor for entry in entries})
    sealed = [
        seal(
            entry,
            frontier.size + number,
            actor=persons[entry.actor],
            personal={name: _salted(value) for name, value in personal_texts(entry).items()},
        )
        for number, entry in enumerate(entries, 1)
    ]
    frontier, nodes = frontier.extended(leaf_hash(entry.leaf) for entry in sealed)
    split = [entry_rows(entry) for entry in sealed]
    await connection.execute(AUDIT_ENTRIES.insert(), [row for row, _ in split])
    if texts := [row for _, beside in split for row in beside]:
        await connection.execute(AUDIT_TEXTS.insert(), texts)
    await connection.execute(
        AUDIT_NODES.insert(),
        [
            {"log": str(log), "level": level, "index": index, "hash": digest}
            for (level, index), digest in nodes.items()
        ],
    )
    await connection.execute(
        update(AUDIT_LOGS)
        .where(AUDIT_LOGS.c.log == log)
        .values(size=frontier.size, peaks=list(frontier.peaks))
    )
    return sealed


async def _frontier(connection: AsyncConnection, log: LogName) -> Frontier:
    """Return a log's frontier, and keep others from appending until the transaction ends."""
    query = select(AUDIT_LOGS).where(AUDIT_LOGS.c.log == log).with_for_update()
    row = (await connection.execute(query)).mappings().first()
    if row is None:
        await connection.execute(
            insert(AUDIT_LOGS).values(log=str(log), size=0, peaks=[]).on_conflict_do_nothing()
        )
        row = (await connection.execute(query)).mappings().one()
    return frontier_of(dict(row))


async def _persons(
    connection: AsyncConnection, log: LogName, subjects: set[str]
) -> dict[str, Secret]:
    """Return each actor with the salt that it has in this log; new ones get one."""
    query = select(AUDIT_PERSONS.c.subject, AUDIT_PERSONS.c.salt).where(
        AUDIT_PERSONS.c.log == log, AUDIT_PERSONS.c.subject.in_(sorted(subjects))
    )
    known = {s: Secret(salt, s) for s, salt in await connection.execute(query)}
    if new := {subject: _salted(subject) for subject in sorted(subjects - known.keys())}:
        await connection.execute(
            AUDIT_PERSONS.insert(),
            [
                {"log": str(log), "person": pseudonym(s), "subject": s.text, "salt": s.salt}
                for s in new.values()
            ],
        )
    return known | new


def _salted(text: str) -> Secret:
    return Secret(secrets.token_bytes(SALT_BYTES), text)


def _joined() -> Select[Any]:
    return select(AUDIT_ENTRIES, AUDIT_PERSONS.c.subject, AUDIT_PERSONS.c.salt).outerjoin(
        AUDIT_PERSONS,
        and_(
            AUDIT_PERSONS.c.log == AUDIT_ENTRIES.c.log,
            AUDIT_PERSONS.c.person == AUDIT_ENTRIES.c.person,
        ),
    )


async def _entries(connection: AsyncConnection, query: Select[Any]) -> list[LoggedEntry]:
    found = (await connection.execute(query)).mappings().all()
    if not found:
        return []
    texts: dict[int, dict[str, Secret]] = defaultdict(dict)
    beside = select(AUDIT_TEXTS).where(
        AUDIT_TEXTS.c.log == found[0]["log"],
        AUDIT_TEXTS.c.sequence.between(
            min(row["sequence"] for row in found), max(row["sequence"] for row in found)
        ),
    )
    for row in (await connection.execute(beside)).mappings():
        texts[row["sequence"]][row["name"]] = Secret(row["salt"], row["text"])
    return [entry_of(dict(row), texts.get(row["sequence"], {})) for row in found]
