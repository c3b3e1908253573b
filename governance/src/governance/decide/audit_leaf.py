"""An audit entry as the log holds it: canonical, without anything that may have to be erased.

Source of the canonical form: RFC 8785 (JSON Canonicalization Scheme).
"""

import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import rfc8785

from governance.model.audit import (
    MAX_DETAIL_BYTES,
    MAX_PERSONAL,
    MAX_PERSONAL_CHARS,
    MAX_TEXT,
    PERSONAL_WORDS,
    SALT_BYTES,
    AuditEntry,
    LoggedEntry,
    LogName,
    Secret,
)
from twinmesh_sdk.core.errors import InvalidInputError
from twinmesh_sdk.core.times import format_time, parse_time

VERSION: Final = 1
ERASED: Final = "(erased)"
MAX_LEAF_BYTES: Final = 64 * 1024
_PERSON: Final = "per_"
_MEMBERS: Final[Mapping[str, type]] = {
    "v": int, "log": str, "sequence": int, "at": str, "actor": str, "action": str, "subject": str,
    "outcome": str, "detail": dict, "personal": dict,
}  # fmt: skip


def canonical(value: Mapping[str, Any]) -> bytes:
    """Return the one JSON text of a value.

    Raises:
        InvalidInputError: It holds what canonical JSON cannot.
    """
    try:
        return rfc8785.dumps(dict(value))
    except (rfc8785.CanonicalizationError, UnicodeError, RecursionError) as error:
        raise InvalidInputError(f"not expressible as canonical JSON: {error}") from error


def pseudonym(actor: Secret) -> str:
    """Return what stands for a person in a log: equal for all entries, and nothing without salt."""
    return _PERSON + hashlib.sha256(actor.salt + actor.text.encode()).hexdigest()[:32]


def concealed(secret: Secret) -> str:
    """Return the salted digest of a text."""
    return "sha256:" + hashlib.sha256(secret.salt + secret.text.encode()).hexdigest()


def personal_texts(entry: AuditEntry) -> dict[str, str]:
    """Return the texts of an entry that are kept beside the log, cut to their bound."""
    found = {
        name: value
        for name, value in entry.detail.items()
        if name in PERSONAL_WORDS and isinstance(value, str)
    } | dict(entry.personal)
    if len(found) > MAX_PERSONAL:
        raise InvalidInputError(f"an audit entry holds at most {MAX_PERSONAL} personal texts")
    return {name: text[:MAX_PERSONAL_CHARS] for name, text in found.items()}


def seal(
    entry: AuditEntry, sequence: int, *, actor: Secret, personal: Mapping[str, Secret]
) -> LoggedEntry:
    """Return an entry as the log holds it.

    Args:
        entry: What to record.
        sequence: Its number in its log.
        actor: The entry's actor, salted; the same for all entries of one person in one log.
        personal: The entry's `personal_texts`, each with a salt of its own.

    Raises:
        InvalidInputError: Something in it cannot be recorded.
    """
    log = LogName(entry.tenant)
    for text in (entry.action, entry.subject, entry.outcome):
        if len(text) > MAX_TEXT:
            raise InvalidInputError(f"an audit entry's texts have at most {MAX_TEXT} characters")
    value: dict[str, Any] = {
        "v": VERSION,
        "log": str(log),
        "sequence": sequence,
        "at": format_time(entry.recorded_at),
        "actor": pseudonym(actor),
        "action": entry.action,
        "subject": entry.subject,
        "outcome": entry.outcome,
        "detail": _bounded({k: v for k, v in entry.detail.items() if k not in personal}),
        "personal": {name: concealed(secret) for name, secret in personal.items()},
    }
    return LoggedEntry(log, sequence, canonical(value), value["actor"], actor, dict(personal))


def check_entry(entry: AuditEntry) -> None:
    """Pass silently when an entry can be recorded.

    Raises:
        InvalidInputError: It cannot.
    """
    none = bytes(SALT_BYTES)
    texts = {name: Secret(none, text) for name, text in personal_texts(entry).items()}
    seal(entry, 1, actor=Secret(none, entry.actor), personal=texts)


def _bounded(detail: dict[str, Any]) -> dict[str, Any]:
    """Return facts of bounded size: too many are replaced by their digest."""
    text = canonical(detail)
    if len(text) <= MAX_DETAIL_BYTES:
        return detail
    return {"omitted_bytes": len(text), "sha256": hashlib.sha256(text).hexdigest()}


def mention_of(person: str) -> str:
    """Return a regular expression, for Python and PostgreSQL alike, of texts that name a person."""
    return rf"(^|[^A-Za-z0-9_@-]){re.escape(person)}([^A-Za-z0-9_@-]|$)"


def erasure(told: AuditEntry, *, person: str, texts: int) -> AuditEntry:
    """Return the entry that records an erasure: whose by pseudonym, and how much.

    Args:
        told: Who asked for it, and when.
        person: The pseudonym that stands for nobody now; empty when the log knew none.
        texts: How many texts were erased.
    """
    return replace(
        told,
        subject=person,
        outcome="ACCEPTED" if person or texts else "UNCHANGED",
        detail=told.detail | {"texts": texts},
    )


def read_leaf(leaf: bytes) -> dict[str, Any]:
    """Return an entry's members.

    Raises:
        InvalidInputError: It is not the canonical JSON of an entry.
    """
    if len(leaf) > MAX_LEAF_BYTES:
        raise InvalidInputError(f"an audit entry has at most {MAX_LEAF_BYTES} bytes")
    try:
        value = json.loads(leaf)
    except (ValueError, RecursionError) as error:
        raise InvalidInputError("the entry is no JSON") from error
    if not isinstance(value, dict) or set(value) != set(_MEMBERS):
        raise InvalidInputError("the entry has not the members of an audit entry")
    if any(type(value[name]) is not kind for name, kind in _MEMBERS.items()):
        raise InvalidInputError("a member of the entry is of the wrong type")
    if value["v"] != VERSION or canonical(value) != leaf:
        raise InvalidInputError("the entry is not canonical JSON")
    return value


def opened(logged: LoggedEntry) -> AuditEntry:
    """Return a logged entry as it was recorded, with `ERASED` for what is no longer there."""
    value = read_leaf(logged.leaf)
    texts = {
        name: logged.personal[name].text if name in logged.personal else ERASED
        for name in value["personal"]
    }
    return AuditEntry(
        recorded_at=parse_time(value["at"]),
        actor=logged.actor.text if logged.actor else ERASED,
        tenant=str(logged.log),
        action=value["action"],
        subject=value["subject"],
        outcome=value["outcome"],
        detail=value["detail"] | {k: v for k, v in texts.items() if k in PERSONAL_WORDS},
        sequence=logged.sequence,
        personal={k: v for k, v in texts.items() if k not in PERSONAL_WORDS},
    )


def disclosure_faults(logged: LoggedEntry, value: Mapping[str, Any]) -> list[str]:
    """Return what is kept beside an entry and is not what the entry's digests say.

    Args:
        value: The members of the entry's leaf.
    """
    faults = []
    if logged.actor is not None and not hmac.compare_digest(
        pseudonym(logged.actor), str(value["actor"])
    ):
        faults.append("actor")
    for name, secret in logged.personal.items():
        if not hmac.compare_digest(concealed(secret), str(value["personal"].get(name))):
            faults.append(name)
    return faults
