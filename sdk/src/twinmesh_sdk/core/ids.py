"""Typed identifiers. Registry ids are ULIDs with a prefix; derived ids are deterministic hashes."""

import hashlib
import re
from typing import ClassVar, Self

from twinmesh_sdk.core.errors import InvalidInputError

_ULID = r"[0-7][0-9A-HJKMNP-TV-Z]{25}"
_TENANT = re.compile(r"[a-z0-9-]{1,32}")
_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,64}")


class TypedId(str):
    """A string that has been checked once and says what it identifies.

    Raises:
        InvalidInputError: The text does not have this id's form.
    """

    __slots__ = ()
    pattern: ClassVar[re.Pattern[str]] = re.compile(r".{1,128}")

    def __new__(cls, text: str) -> Self:
        """Check `text` and brand it."""
        if not cls.pattern.fullmatch(text):
            raise InvalidInputError(f"{text[:80]!r} is not a valid {cls.__name__}")
        return super().__new__(cls, text)


class Tenant(TypedId):
    """Owner of data: lower-case letters, digits and dashes, 1 to 32."""

    __slots__ = ()
    pattern = _TENANT


class SubjectToken(TypedId):
    """One token of a NATS subject or MQTT topic: no dots, no wildcards."""

    __slots__ = ()
    pattern = _TOKEN


class AssetId(TypedId):
    """An asset, minted by the registry: `ast_` and a ULID."""

    __slots__ = ()
    pattern = re.compile("ast_" + _ULID)


class ConfigurationId(TypedId):
    """A configuration version, minted by the registry: `cfg_` and a ULID."""

    __slots__ = ()
    pattern = re.compile("cfg_" + _ULID)


class SignalId(TypedId):
    """A signal of an asset, minted by the registry: `sig_` and a ULID."""

    __slots__ = ()
    pattern = re.compile("sig_" + _ULID)


def derived_id(prefix: str, *parts: str | int) -> str:
    """Return the same id for the same parts, in every process and for ever.

    Args:
        prefix: What it identifies, for example `wki`.
        parts: What makes it unique. Their lengths are part of the hash, so ("a", "bc") differs
            from ("ab", "c").

    Returns:
        The prefix, an underscore and 32 hexadecimal digits (128 bits of SHA-256).
    """
    digest = hashlib.sha256()
    for part in parts:
        data = str(part).encode()
        digest.update(len(data).to_bytes(4, "big"))
        digest.update(data)
    return f"{prefix}_{digest.hexdigest()[:32]}"


def partition_of(asset_id: str, partitions: int) -> int:
    """Return the partition of an asset, 0 to partitions - 1, equal in every process."""
    return int.from_bytes(hashlib.sha256(asset_id.encode()).digest()[:4], "big") % partitions
