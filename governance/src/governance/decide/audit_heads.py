"""Tree heads: what is signed, and how a signed one is written down."""

import base64
import binascii
import hashlib
import json
from typing import Any, Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_public_key,
)

from governance.decide.audit_leaf import canonical
from governance.model.audit import LogName, SignedHead, TreeHead
from twinmesh_sdk.core.errors import InvalidInputError
from twinmesh_sdk.core.times import format_time, parse_time

VERSION: Final = 1
MAX_HEAD_CHARS: Final = 2000
_MEMBERS: Final = {"v", "log", "size", "root", "at", "key_id", "signature"}


def key_id(public_key: bytes) -> str:
    """Return the short name of a raw Ed25519 public key."""
    return hashlib.sha256(public_key).hexdigest()[:16]


def sign(head: TreeHead, key: Ed25519PrivateKey) -> SignedHead:
    """Return a head with its signature; the same for the same head and key."""
    public = key.public_key().public_bytes_raw()
    return SignedHead(head, key_id(public), key.sign(signed_text(head)))


def is_signed_by(signed: SignedHead, public_key: bytes) -> bool:
    """Tell whether a raw public key's owner signed a head."""
    if signed.key_id != key_id(public_key):
        return False
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(
            signed.signature, signed_text(signed.head)
        )
    except (InvalidSignature, ValueError):
        return False
    return True


def private_key(text: str) -> Ed25519PrivateKey:
    """Return the Ed25519 key whose seed is written in hexadecimal.

    Raises:
        InvalidInputError: It is not 32 bytes in hexadecimal.
    """
    try:
        return Ed25519PrivateKey.from_private_bytes(bytes.fromhex(text.strip()))
    except ValueError as error:
        raise InvalidInputError(
            "the audit log's key is 32 bytes in hexadecimal", hint="openssl rand -hex 32"
        ) from error


def read_public_key(text: bytes) -> bytes:
    """Return the raw Ed25519 public key of a PEM file.

    Raises:
        InvalidInputError: It holds none.
    """
    try:
        key = load_pem_public_key(text)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise InvalidInputError("the file holds no public key in PEM") from error
    if not isinstance(key, Ed25519PublicKey):
        raise InvalidInputError("the audit log is signed with an Ed25519 key")
    return key.public_bytes_raw()


def public_pem(public_key: bytes) -> str:
    """Return a raw public key as PEM."""
    key = Ed25519PublicKey.from_public_bytes(public_key)
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def signed_text(head: TreeHead) -> bytes:
    """Return the bytes that a signature is over."""
    return canonical(_members(head))


def written(signed: SignedHead) -> str:
    """Return a signed head as one line of JSON."""
    members = _members(signed.head) | {
        "key_id": signed.key_id,
        "signature": base64.b64encode(signed.signature).decode(),
    }
    return canonical(members).decode()


def read_head(text: str | bytes) -> SignedHead:
    """Return the signed head that a line holds.

    Raises:
        InvalidInputError: It holds none.
    """
    if len(text) > MAX_HEAD_CHARS:
        raise InvalidInputError("a tree head is a short line of JSON")
    try:
        value = json.loads(text)
        if not isinstance(value, dict) or set(value) != _MEMBERS or value["v"] != VERSION:
            raise InvalidInputError("the line has not the members of a tree head")
        if not isinstance(value["size"], int) or isinstance(value["size"], bool):
            raise InvalidInputError("a tree head's size is an integer")
        head = TreeHead(
            log=LogName(value["log"]),
            size=value["size"],
            root=bytes.fromhex(value["root"]),
            at=parse_time(value["at"]),
        )
        signature = base64.b64decode(value["signature"], validate=True)
        signed = SignedHead(head, str(value["key_id"]), signature)
        if written(signed).encode() != (text.encode() if isinstance(text, str) else text):
            raise InvalidInputError("the tree head is not canonical JSON")
    except (ValueError, TypeError, AttributeError, RecursionError, binascii.Error) as error:
        raise InvalidInputError("the line is no tree head") from error
    return signed


def _members(head: TreeHead) -> dict[str, Any]:
    return {
        "v": VERSION,
        "log": str(head.log),
        "size": head.size,
        "root": head.root.hex(),
        "at": format_time(head.at),
    }
