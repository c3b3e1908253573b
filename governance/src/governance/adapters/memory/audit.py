"""The audit log in memory."""

import re
import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from governance.adapters.memory.state import Log, Part, State
from governance.decide.audit_leaf import erasure, mention_of, personal_texts, pseudonym, seal
from governance.decide.merkle import Place, leaf_hash
from governance.model.audit import (
    SALT_BYTES,
    AuditEntry,
    LoggedEntry,
    LogName,
    Secret,
    SignedHead,
)

if TYPE_CHECKING:
    from governance.adapters.memory.registry import MemoryRegistry


class MemoryAudit(Part):
    """See `AuditSession`."""

    async def record(self, entry: AuditEntry) -> None:
        """See `AuditSession.record`."""
        _append(self.state, LogName(entry.tenant), [entry])


class MemoryTrail:
    """See `AuditTrail`."""

    def __init__(self, registry: "MemoryRegistry") -> None:
        self._registry = registry

    async def append(self, log: LogName, entries: Sequence[AuditEntry]) -> list[LoggedEntry]:
        """See `AuditTrail.append`."""
        async with self._registry.exclusive() as session:
            return _append(session.state, log, entries)

    async def sizes(self) -> dict[LogName, int]:
        """See `AuditTrail.sizes`."""
        return {name: log.frontier.size for name, log in self._registry.state.audit.items()}

    async def size(self, log: LogName) -> int:
        """See `AuditTrail.size`."""
        return self._log(log).frontier.size

    async def nodes(self, log: LogName, wanted: Collection[Place]) -> Mapping[Place, bytes]:
        """See `AuditTrail.nodes`."""
        nodes = self._log(log).nodes
        return {place: nodes[place] for place in wanted if place in nodes}

    async def entries(self, log: LogName, *, after: int, limit: int) -> list[LoggedEntry]:
        """See `AuditTrail.entries`."""
        return list(self._log(log).entries[after : after + limit])

    async def erase(self, person: str, told: AuditEntry) -> LoggedEntry:
        """See `AuditTrail.erase`."""
        name = LogName(told.tenant)
        async with self._registry.exclusive() as session:
            log = session.state.audit.get(name, Log())
            known = log.persons.get(person)
            alias = pseudonym(known) if known else ""
            about = re.compile(mention_of(person))
            kept = [_without(entry, alias, about) for entry in log.entries]
            gone = sum(
                len(old.personal) - len(new.personal)
                for old, new in zip(log.entries, kept, strict=True)
            )
            others = {subject: salt for subject, salt in log.persons.items() if subject != person}
            session.state.audit[name] = replace(log, entries=tuple(kept), persons=others)
            said = erasure(told, person=alias, texts=gone)
            return _append(session.state, name, [said])[0]

    def _log(self, log: LogName) -> Log:
        return self._registry.state.audit.get(log, Log())


class MemoryHeads:
    """See `HeadBoard`."""

    def __init__(self) -> None:
        self.published: list[SignedHead] = []

    async def latest(self, log: LogName) -> SignedHead | None:
        """See `HeadBoard.latest`."""
        return next((h for h in reversed(self.published) if h.head.log == log), None)

    async def publish(self, head: SignedHead) -> None:
        """See `HeadBoard.publish`."""
        self.published.append(head)

    async def heads(self, log: LogName, *, after: int, limit: int) -> list[SignedHead]:
        """See `HeadBoard.heads`."""
        found = [h for h in self.published if h.head.log == log and h.head.size > after]
        return found[:limit]


def _append(state: State, name: LogName, entries: Sequence[AuditEntry]) -> list[LoggedEntry]:
    log = state.audit.get(name, Log())
    persons = dict(log.persons)
    sealed = []
    for number, entry in enumerate(entries, log.frontier.size + 1):
        actor = persons.setdefault(entry.actor, _salted(entry.actor))
        texts = {key: _salted(text) for key, text in personal_texts(entry).items()}
        sealed.append(seal(entry, number, actor=actor, personal=texts))
    frontier, nodes = log.frontier.extended(leaf_hash(entry.leaf) for entry in sealed)
    state.audit[name] = Log(frontier, (*log.entries, *sealed), {**log.nodes, **nodes}, persons)
    return sealed


def _without(entry: LoggedEntry, person: str, about: re.Pattern[str]) -> LoggedEntry:
    """Return an entry without a person, and without what was written by or about one."""
    if person and entry.person == person:
        return replace(entry, actor=None, personal={})
    kept = {k: v for k, v in entry.personal.items() if not about.search(v.text)}
    return replace(entry, personal=kept)


def _salted(text: str) -> Secret:
    return Secret(secrets.token_bytes(SALT_BYTES), text)
