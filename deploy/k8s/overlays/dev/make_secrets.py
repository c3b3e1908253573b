"""Write the dev overlay's generated credentials to `secrets/` beside this file, never committed.

Run once before `kubectl apply -k`; a second run keeps what is there, so stores stay reachable.
Delete the folder to begin anew. NATS users and permissions are those of the local stack.
"""

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

from twinmesh_local.secret_files import new_secret, read_json, write_json, write_secret
from twinmesh_local.stores.nats import render
from twinmesh_local.stores.nats_users import User, service

FOLDER = Path(__file__).resolve().parent / "secrets"
DATABASES = ("telemetry", "maintenance-twin", "energy-twin", "governance")
# Service: domains of its events, streams it consumes, further subjects it publishes.
SERVICES: dict[str, tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]] = {
    "asset-registry": (("assets",), ("EVENTS",), ()),
    "telemetry": (("telemetry",), ("RAW", "EVENTS"), ("raw.>", "tele.>")),
    "maintenance-twin": (("maintenance",), ("TELE", "EVENTS"), ()),
    "energy-twin": (("energy",), ("TELE", "EVENTS"), ()),
    "governance": (
        ("governance",),
        ("EVENTS", "USE", "AUDIT_HEADS", "QUARANTINE"),
        (
            "$KV.contracts.>",
            "$KV.models.>",
            "$O.bundles.>",
            "audit.heads.>",
            "replay.>",
            "$JS.API.STREAM.MSG.DELETE.QUARANTINE",
        ),
    ),
    "gateway": ((), (), ()),
}
IDENTITIES = {
    "author": (
        "acme",
        ["read", "assets.write", "models.submit", "contracts.push", "policies.write"],
    ),
    "reviewer": ("acme", ["read", "models.approve", "contracts.override", "policies.approve"]),
    "auditor": (
        "acme",
        ["read", "audit.erase", "audit.mesh", "quarantine.write", "retention.write"],
    ),
    "planner": ("acme", ["read", "work.write"]),
    "erp-app": ("acme", ["read"]),
    "outsider": ("globex", ["read", "assets.write"]),
    "twinmesh-ci": ("acme", ["contracts.push"]),
    "cmms-bridge": ("acme", ["read", "receipts.write"]),
}


class Secrets:
    """Generated values by name, the same in every run."""

    def __init__(self) -> None:
        self.kept: dict[str, Any] = read_json(FOLDER / "generated.json")

    def __getitem__(self, name: str) -> str:
        """Return the value of `name`, generated at its first use."""
        return str(self.kept.setdefault(name, new_secret()))

    def save(self) -> None:
        """Keep what was generated."""
        write_json(FOLDER / "generated.json", self.kept)


def env(name: str, values: dict[str, str]) -> None:
    """Write one secret as an env file."""
    write_secret(
        FOLDER / f"{name}.env", "".join(f"{key}={value}\n" for key, value in values.items())
    )


def service_settings(name: str, secrets: Secrets) -> dict[str, str]:
    """Return the settings of one service that are secret."""
    values = {
        "TWIN_NATS_USER": f"svc-{name}",
        "TWIN_NATS_PASSWORD": secrets[f"nats.{name}"],
        "TWIN_CLIENT_ID": f"svc-{name}",
        "TWIN_CLIENT_SECRET": secrets[f"oidc.svc-{name}"],
    }
    if name in DATABASES:
        role = name.replace("-", "_")
        password = secrets[f"postgres.{name}"]
        values["TWIN_DATABASE_URL"] = f"postgresql+asyncpg://{role}:{password}@postgres:5432/{role}"
    if name == "governance":
        values["TWIN_AUDIT_KEY"] = hashlib.sha256(secrets["audit.key"].encode()).hexdigest()
        values["TWIN_MODEL_KEY"] = hashlib.sha256(secrets["models.key"].encode()).hexdigest()
    if name == "telemetry":
        password = secrets["clickhouse"]
        values["TWIN_CLICKHOUSE_URL"] = f"http://telemetry:{password}@clickhouse:8123/"
        values["TWIN_CLICKHOUSE_DATABASE"] = "telemetry"
    if name == "asset-registry":
        values["TWIN_NEO4J_URI"] = "bolt://neo4j:7687"
        values["TWIN_NEO4J_USER"] = "neo4j"
        values["TWIN_NEO4J_PASSWORD"] = secrets["neo4j"]
        values["TWIN_NEO4J_DATABASE"] = "neo4j"
    return values


def nats_conf(secrets: Secrets) -> str:
    """Return the configuration of NATS, with one user per service."""
    users: list[User] = [
        service(
            f"svc-{name}",
            secrets[f"nats.{name}"],
            domains=domains,
            streams=streams,
            publish=publish,
        )
        for name, (domains, streams, publish) in SERVICES.items()
    ]
    text = render(Path("/data"), port=4222, mqtt_port=1883, users=users)
    return text.replace("127.0.0.1", "0.0.0.0") + "http: 8222\n"  # noqa: S104 - inside its pod


def _claim(name: str, value: str, *, kind: str) -> dict[str, object]:
    config = {
        "claim.name": name,
        "claim.value": value,
        "jsonType.label": kind,
        "access.token.claim": "true",
    }
    return {
        "name": name,
        "protocol": "openid-connect",
        "protocolMapper": "oidc-hardcoded-claim-mapper",
        "config": config,
    }


def realm(secrets: Secrets) -> dict[str, object]:
    """Return the Keycloak realm: one client per identity, with its tenant and roles."""
    identities = IDENTITIES | {f"svc-{name}": ("*", ["mesh.service"]) for name in SERVICES}
    audience = {
        "name": "audience",
        "protocol": "openid-connect",
        "protocolMapper": "oidc-audience-mapper",
        "config": {"included.custom.audience": "twinmesh", "access.token.claim": "true"},
    }
    return {
        "realm": "twinmesh",
        "enabled": True,
        "clients": [
            {
                "clientId": client,
                "secret": secrets[f"oidc.{client}"],
                "publicClient": False,
                "serviceAccountsEnabled": True,
                "standardFlowEnabled": False,
                "directAccessGrantsEnabled": False,
                "protocolMappers": [
                    audience,
                    _claim("tenant", tenant, kind="String"),
                    _claim("client_id", client, kind="String"),
                    _claim("roles", json.dumps(roles), kind="JSON"),
                ],
            }
            for client, (tenant, roles) in identities.items()
        ],
    }


def postgres_init(secrets: Secrets) -> str:
    """Return the SQL that makes one role and database per service."""
    lines = []
    for name in DATABASES:
        role = name.replace("-", "_")
        lines.append(f"CREATE ROLE {role} LOGIN PASSWORD '{secrets[f'postgres.{name}']}';")
        lines.append(f"CREATE DATABASE {role} OWNER {role};")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write every file."""
    secrets = Secrets()
    for name in SERVICES:
        env(name, service_settings(name, secrets))
    env(
        "push-contracts",
        {"TWIN_CLIENT_ID": "twinmesh-ci", "TWIN_CLIENT_SECRET": secrets["oidc.twinmesh-ci"]},
    )
    env(
        "stores",
        {
            "NEO4J_AUTH": f"neo4j/{secrets['neo4j']}",
            "CLICKHOUSE_PASSWORD": secrets["clickhouse"],
            "POSTGRES_PASSWORD": secrets["postgres"],
            "KEYCLOAK_PASSWORD": secrets["keycloak"],
        },
    )
    write_secret(FOLDER / "nats.conf", nats_conf(secrets))
    write_secret(FOLDER / "postgres-init.sql", postgres_init(secrets))
    write_json(FOLDER / "keycloak-realm.json", realm(secrets))
    secrets.save()
    sys.stderr.write(f"wrote generated credentials to {FOLDER.name}/\n")


if __name__ == "__main__":
    main()
