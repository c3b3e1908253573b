"""Who may ask for a token, and what it says: demo identities, services, twins that joined."""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from twinmesh_local.secret_files import read_json, write_json

ANY_TENANT: Final = "*"


@dataclass(frozen=True, slots=True)
class Client:
    """A registered client.

    Attributes:
        tenant: Whose things it sees; `*` for services of the mesh.
        secret_sha256: Of its secret, which has 192 random bits and so needs no slow hash.
    """

    client_id: str
    tenant: str
    roles: tuple[str, ...]
    secret_sha256: str

    def accepts(self, secret: str) -> bool:
        """Tell whether `secret` is the client's."""
        return hmac.compare_digest(digest(secret), self.secret_sha256)


def digest(secret: str) -> str:
    """Return what is kept of a secret."""
    return hashlib.sha256(secret.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Identity:
    """A client before it has a secret."""

    client_id: str
    tenant: str
    roles: tuple[str, ...]


DEMO: Final = (
    Identity(
        "author",
        "acme",
        ("read", "assets.write", "models.submit", "contracts.push", "policies.write"),
    ),
    Identity(
        "reviewer", "acme", ("read", "models.approve", "contracts.override", "policies.approve")
    ),
    Identity(
        "auditor",
        "acme",
        ("read", "audit.erase", "audit.mesh", "quarantine.write", "retention.write"),
    ),
    Identity("planner", "acme", ("read", "work.write")),
    Identity("erp-app", "acme", ("read",)),
    Identity("outsider", "globex", ("read", "assets.write")),
)
FURTHER: Final = (
    Identity("plant", "acme", ("assets.write", "readings.write", "read")),
    Identity("twinmesh-ci", "acme", ("contracts.push",)),
    Identity("cmms-bridge", "acme", ("read", "receipts.write")),
)


def service_identity(service: str) -> Identity:
    """Return the identity with which a service calls its peers."""
    return Identity(f"svc-{service}", ANY_TENANT, ("mesh.service",))


def save_clients(path: Path, identities: Mapping[Identity, str]) -> None:
    """Write the clients with their secrets' hashes; a running issuer takes them up at once."""
    clients = [
        Client(i.client_id, i.tenant, i.roles, digest(secret)) for i, secret in identities.items()
    ]
    write_json(path, {c.client_id: asdict(c) for c in clients})


def load_clients(path: Path) -> dict[str, Client]:
    """Return the clients by id."""
    return {
        name: Client(
            client_id=name,
            tenant=fields["tenant"],
            roles=tuple(fields["roles"]),
            secret_sha256=fields["secret_sha256"],
        )
        for name, fields in read_json(path).items()
    }
