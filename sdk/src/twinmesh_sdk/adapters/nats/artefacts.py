"""Artefacts of released models: fetched by digest, believed only when governance signed them."""

import hashlib
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from twinmesh_sdk.adapters.nats.connection import MeshNats
from twinmesh_sdk.adapters.nats.snapshots import ActiveModel
from twinmesh_sdk.core.errors import PreconditionFailedError
from twinmesh_sdk.core.models import signed_text

STORE: Final = "bundles"


async def load_artefact(bus: MeshNats, model: ActiveModel, *, public_key: str) -> bytes:
    """Return a model version's artefact.

    Args:
        public_key: Governance's, hexadecimal.

    Raises:
        NotFoundError: It is not in the store.
        PreconditionFailedError: It is not what was approved, or nobody vouches for it.
        UnavailableError: The store does not answer.
    """
    check_signature(model, public_key=public_key)
    data = await bus.get_object(STORE, f"artefact-{model.digest.removeprefix('sha256:')}")
    if f"sha256:{hashlib.sha256(data).hexdigest()}" != model.digest:
        raise PreconditionFailedError(
            f"the artefact of {model.name} {model.version} is not the one that was approved"
        )
    return data


def check_signature(model: ActiveModel, *, public_key: str) -> None:
    """Pass silently when governance vouches for a version's digest.

    Raises:
        PreconditionFailedError: It does not.
    """
    text = signed_text(model.name, model.version, model.digest)
    try:
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(public_key))
        key.verify(bytes.fromhex(model.signature), text)
    except (ValueError, InvalidSignature) as error:
        raise PreconditionFailedError(
            f"nobody vouches for the artefact of {model.name} {model.version}",
            hint="have it approved by a governance that has a key",
        ) from error
