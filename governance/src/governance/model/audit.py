"""What was asked of governance, by whom, and what became of it: the log, its heads, its proofs."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from twinmesh_sdk.core.errors import InvalidInputError
from twinmesh_sdk.core.ids import TypedId

MESH_LOG: Final = "_mesh"
"""The log of what the mesh does by itself; no tenant can have this name."""

SALT_BYTES: Final = 16
MAX_TEXT: Final = 400
MAX_PERSONAL: Final = 16
MAX_PERSONAL_CHARS: Final = 4000
MAX_DETAIL_BYTES: Final = 16 * 1024
PERSONAL_WORDS: Final = frozenset({"reason", "note", "comment", "justification"})
"""Members of `detail` that hold what a person wrote, or what was written about one."""


class LogName(TypedId):
    """A log: a tenant's, or the mesh's own."""

    __slots__ = ()
    pattern = re.compile(rf"[a-z0-9-]{{1,32}}|{MESH_LOG}")


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One line of the append-only log.

    Attributes:
        sequence: Gap-free in its log, from 1; 0 before the store assigned it.
        recorded_at: Wall time.
        actor: Who asked: a person or service by the subject of its token. Kept beside the log, so
            that it can be erased; the log holds a pseudonym.
        tenant: Whose log it is in; `MESH_LOG` for what the mesh does by itself.
        outcome: ACCEPTED, UNCHANGED, PENDING or REFUSED.
        detail: Further facts. Texts under `PERSONAL_WORDS` are kept beside the log, see `personal`.
        personal: What a person wrote, by name. The log holds a salted digest; the text can be
            erased.
    """

    recorded_at: datetime
    actor: str
    tenant: str
    action: str
    subject: str
    outcome: str
    detail: dict[str, Any] = field(default_factory=dict)
    sequence: int = 0
    personal: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Secret:
    """What is kept beside the log: a text, and the salt without which its digest says nothing."""

    salt: bytes
    text: str

    def __post_init__(self) -> None:
        """Refuse salts of another length: the digest is over the salt and the text in one piece."""
        if len(self.salt) != SALT_BYTES:
            raise InvalidInputError(f"a salt has {SALT_BYTES} bytes")


@dataclass(frozen=True, slots=True)
class LoggedEntry:
    """One entry as the log holds it, and what is kept beside it.

    Attributes:
        leaf: The entry's canonical JSON: what the tree is made of.
        person: The actor's pseudonym in this log.
        actor: Who is behind it; None when erased.
        personal: Texts by name; without those that were erased.
    """

    log: LogName
    sequence: int
    leaf: bytes
    person: str
    actor: Secret | None = None
    personal: Mapping[str, Secret] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TreeHead:
    """A log at one length.

    Attributes:
        root: SHA-256.
        at: Wall time of the signature.
    """

    log: LogName
    size: int
    root: bytes
    at: datetime

    def __post_init__(self) -> None:
        """Refuse what is no head."""
        if self.size < 0 or len(self.root) != 32 or self.at.tzinfo is None:
            raise InvalidInputError("a tree head has a size, a SHA-256 root and a time with zone")


@dataclass(frozen=True, slots=True)
class SignedHead:
    """A tree head with its signature.

    Attributes:
        key_id: The first 16 hexadecimal digits of the public key's SHA-256.
        signature: Ed25519 over the head's canonical JSON.
    """

    head: TreeHead
    key_id: str
    signature: bytes


@dataclass(frozen=True, slots=True)
class InclusionProof:
    """Shows that an entry is in the tree of a head."""

    entry: LoggedEntry
    head: SignedHead
    path: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class ConsistencyProof:
    """Shows that the tree of a head holds an earlier one unchanged."""

    first_size: int
    first_root: bytes
    head: SignedHead
    path: tuple[bytes, ...]
