"""Tree heads: what is signed, and how a signed one is written down."""

import base64
import binascii
import hashlib
import json
from typing import Any, Final

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
        return SignedHead(head, str(value["key_id"]), signature)
    except (ValueError, TypeError, AttributeError, RecursionError, binascii.Error) as error:
        raise InvalidInputError("the line is no tree head") from error


def _members(head: TreeHead) -> dict[str, Any]:
    return {
        "v": VERSION,
        "log": str(head.log),
        "size": head.size,
        "root": head.root.hex(),
        "at": format_time(head.at),
    }
