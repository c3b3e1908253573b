"""What the mesh on one machine consists of: stores, issuer, jobs, services, plant, joined twins."""

import hashlib
import importlib.util
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from twinmesh_local.catalogue import BY_NAME, SERVICES, Service
from twinmesh_local.issuer_server import clients
from twinmesh_local.issuer_server.clients import Identity
from twinmesh_local.probes import LOOPBACK, http_ok
from twinmesh_local.programs import Program
from twinmesh_local.secret_files import write_json
from twinmesh_local.state import State
from twinmesh_local.stores import graph, nats_users, neo4j
from twinmesh_local.stores.graph import ArcadeStore
from twinmesh_local.stores.issuer import IssuerStore
from twinmesh_local.stores.nats import NatsStore
from twinmesh_local.stores.neo4j import Neo4jStore
from twinmesh_local.stores.postgres import SUPERUSER, PostgresStore
from twinmesh_local.stores.tsdb import DATABASE as TSDB_DATABASE
from twinmesh_local.stores.tsdb import TsdbStore
from twinmesh_local.supervisor.child import Plan
from twinmesh_local.supervisor.twins import Twin
from twinmesh_sdk.core.errors import InvalidInputError

STORES: Final = ("nats", "postgres", "graph", "tsdb", "issuer")
JOBS: Final = ("migrate", "register")
READY_PATH: Final = "/healthz/ready"
SERVICE_READY_S: Final = 120.0
PLANT_TENANT: Final = "acme"
SIMULATOR: Final = "simulator"
PAGE_IDENTITY: Final = "erp-app"
SAVED_QUESTIONS: Final = Path(__file__).resolve().parents[4] / "docs" / "queries"


def charter_of(package: str) -> dict[str, Any]:
    """Return the charter of an installed package, without importing it; empty when it has none."""
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        return {}
    path = Path(found.submodule_search_locations[0]) / "contract" / "twin.yaml"
    return read_charter(path) if path.exists() else {}


def read_charter(path: Path) -> dict[str, Any]:
    """Return a charter's content.

    Raises:
        InvalidInputError: It is no YAML mapping.
    """
    try:
        value = yaml.load(path.read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - a safe loader
    except (yaml.YAMLError, OSError) as error:
        raise InvalidInputError(f"{path}: {error}") from error
    if not isinstance(value, dict):
        raise InvalidInputError(f"{path} is no mapping")
    return value


def event_domains(charter: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the first words of the event types that a charter declares.

    Raises:
        InvalidInputError: Its contract is not of the form that the schema asks for.
    """
    contract = charter.get("contract")
    declared = contract.get("events") if isinstance(contract, Mapping) else None
    if not isinstance(declared, list | None):
        raise InvalidInputError("contract.events must be a list")
    domains = []
    for event in declared or ():
        kind = event.get("type") if isinstance(event, Mapping) else None
        if not isinstance(kind, str):
            raise InvalidInputError("each of contract.events needs a `type`")
        domains.append(kind.split(".")[0])
    return tuple(dict.fromkeys(domains))


@dataclass(slots=True)
class Stack:
    """Everything of one state folder, ready to be planned.

    Attributes:
        plant: Environment of the plant process; None runs no plant.
        twins: Joined twins by service name.
    """

    state: State
    plant: Mapping[str, str] | None = None
    twins: dict[str, Twin] = field(default_factory=dict)

    # -- stores --------------------------------------------------------------------------------

    @property
    def nats(self) -> NatsStore:
        """The bus."""
        ports = self.state.ports
        return NatsStore(self.state.place("nats"), port=ports["nats"], mqtt_port=ports["mqtt"])

    @property
    def postgres(self) -> PostgresStore:
        """The relational store."""
        return PostgresStore(
            self.state.place("postgres"),
            port=self.state.ports["postgres"],
            password=self.state.secret(f"postgres/{SUPERUSER}"),
        )

    @property
    def tsdb(self) -> TsdbStore:
        """The time-series store."""
        return TsdbStore(
            self.state.place("tsdb"),
            port=self.state.ports["tsdb.http"],
            password=self.state.secret("tsdb"),
        )

    @property
    def issuer(self) -> IssuerStore:
        """The development issuer."""
        return IssuerStore(self.state.place("issuer"), port=self.state.ports["issuer.http"])

    @property
    def graph(self) -> ArcadeStore | Neo4jStore | neo4j.Address:
        """The asset graph: a server to start, or one found at NEO4J_URI."""
        password = self.state.secret("graph")
        folder, port = self.state.place("graph"), self.state.ports["graph"]
        if self.state.graph == "arcadedb":
            http_port = self.state.ports["graph.http"]
            return ArcadeStore(folder, port=port, http_port=http_port, password=password)
        return neo4j.given() or Neo4jStore(folder, port=port, password=password)

    def port_names(self) -> list[str]:
        """Return the names of all ports that processes of ours listen on."""
        names = ["nats", "mqtt", "postgres", "graph", "graph.http", "tsdb.http", "issuer.http"]
        for service in SERVICES:
            names.append(f"{service.name}.http")
            if service.grpc:
                names.append(f"{service.name}.grpc")
        for name in self.twins:
            names += [f"{name}.http", f"{name}.grpc"]
        return names

    # -- credentials ---------------------------------------------------------------------------

    def identities(self) -> dict[Identity, str]:
        """Return every client of the issuer with its secret."""
        services = [clients.service_identity(s.name) for s in SERVICES]
        joined = [clients.service_identity(name) for name in self.twins]
        known = (*clients.DEMO, *clients.FURTHER, *services, *joined)
        return {i: self.state.secret(f"issuer/{i.client_id}") for i in known}

    def nats_user(self, service: Service) -> nats_users.User:
        """Return a service's user on the bus."""
        return nats_users.service(
            f"svc-{service.name}",
            self.state.secret(f"nats/svc-{service.name}"),
            domains=event_domains(charter_of(service.package)),
            streams=service.streams,
            publish=service.publish,
        )

    def twin_user(self, twin: Twin) -> nats_users.User:
        """Return a joined twin's user on the bus.

        Raises:
            InvalidInputError: It declares events of a domain that is somebody else's.
        """
        domains = event_domains(twin.charter)
        taken = {d for s in SERVICES for d in event_domains(charter_of(s.package))}
        taken |= {
            d for t in self.twins.values() if t.name != twin.name for d in event_domains(t.charter)
        }
        if clash := sorted(taken.intersection(domains)):
            raise InvalidInputError(f"events of the domain {clash[0]} belong to another service")
        return nats_users.service(
            f"svc-{twin.name}", self.state.secret(f"nats/svc-{twin.name}"), domains=domains
        )

    def users(self) -> list[nats_users.User]:
        """Return the users of the bus that are known beforehand."""
        return [
            *(self.nats_user(service) for service in SERVICES),
            *(self.twin_user(twin) for twin in self.twins.values()),
            nats_users.plant(self.state.secret("nats/plant")),
        ]

    # -- what runs -----------------------------------------------------------------------------

    def store_plans(self) -> list[Plan]:
        """Return how stores and issuer are started, all at once."""

        def run_nats() -> Program:
            self.nats.prepare(self.users())
            return self.nats.program()

        def run_postgres() -> Program:
            self.postgres.prepare()
            return self.postgres.program()

        def run_issuer() -> Program:
            self.issuer.prepare(self.identities())
            return self.issuer.program()

        ports = self.state.ports
        plans = [
            Plan("nats", run_nats, port=ports["nats"]),
            Plan("issuer", run_issuer, port=ports["issuer.http"]),
            Plan("postgres", run_postgres, port=ports["postgres"]),
            Plan("tsdb", self.tsdb.program, port=ports["tsdb.http"]),
        ]
        store = self.graph
        if not isinstance(store, neo4j.Address):

            def run_graph() -> Program:
                store.prepare()
                return store.program()

            plans.insert(0, Plan("graph", run_graph, port=ports["graph"]))
        return plans

    def job_plan(self, name: str) -> Plan:
        """Return how a job of `twinmesh_local.supervisor` is run; it reads the state folder."""

        def run() -> Program:
            return Program(
                name=name,
                argv=(
                    sys.executable, "-m", f"twinmesh_local.supervisor.{name}",
                    str(self.state.folder),
                ),
                cwd=self.state.folder,
                ready=lambda: None,
            )  # fmt: skip

        return Plan(name, run, once=True)

    def service_plan(self, service: Service) -> Plan:
        """Return how one of our services is started."""
        port = self.state.ports[f"{service.name}.http"]

        def run() -> Program:
            return Program(
                name=service.name,
                argv=(sys.executable, "-m", service.package),
                cwd=self.state.folder,
                env=self.service_env(service),
                ready=lambda: http_ok(port, READY_PATH),
                ready_s=SERVICE_READY_S,
            )

        return Plan(service.name, run, port=port)

    def plant_plan(self) -> Plan:
        """Return how the plant is started: a device credential per source, and its own identity."""

        def run() -> Program:
            return Program(
                name="plant",
                argv=(sys.executable, "-m", "twinmesh_local.plant"),
                cwd=self.state.folder,
                env=self.plant_env(),
                ready=lambda: None,
            )

        return Plan("plant", run)

    def plant_env(self) -> dict[str, str]:
        """Return the plant's settings; `sources` of the options names those of its recordings."""
        ports, folder = self.state.ports, self.state.place("plant")
        given = dict(self.plant or {})
        named = [*given.pop("sources", "").split(","), SIMULATOR]
        users = {
            source: self.nats.enrol_device(tenant=PLANT_TENANT, source=source)
            for source in dict.fromkeys(filter(None, named))
        }
        credentials = {s: {"user": u.name, "password": u.password} for s, u in users.items()}
        write_json(folder / "credentials.json", credentials)
        return {
            "TWIN_NATS_URL": self.nats.url,
            "TWIN_NATS_USER": "plant",
            "TWIN_NATS_PASSWORD": self.state.secret("nats/plant"),
            "TWIN_MQTT_HOST": LOOPBACK,
            "TWIN_MQTT_PORT": str(ports["mqtt"]),
            "TWIN_PLANT_CREDENTIALS": str(folder / "credentials.json"),
            "TWIN_PLANT_JOURNAL": str(folder / "journal.json"),
            "TWIN_PLANT_TENANT": PLANT_TENANT,
            "TWIN_ASSETS_ADDR": f"{LOOPBACK}:{ports['asset-registry.grpc']}",
            "TWIN_TELEMETRY_URL": f"http://{LOOPBACK}:{ports['telemetry.http']}",
            "TWIN_OIDC_TOKEN_URL": self.issuer.token_url,
            "TWIN_CLIENT_ID": "plant",
            "TWIN_CLIENT_SECRET": self.state.secret("issuer/plant"),
            **given,
        }

    def twin_plan(self, twin: Twin) -> Plan:
        """Return how a joined twin is started, in an environment of its own."""
        port = self.state.ports[f"{twin.name}.http"]

        def run() -> Program:
            return Program(
                name=twin.name,
                argv=(str(twin.python), "-m", twin.package),
                cwd=twin.folder,
                env=self.mesh_env(twin.name, grpc=True),
                ready=lambda: http_ok(port, READY_PATH),
                ready_s=SERVICE_READY_S,
            )

        return Plan(twin.name, run, port=port)

    # -- settings ------------------------------------------------------------------------------

    def mesh_env(self, name: str, *, grpc: bool) -> dict[str, str]:
        """Return the settings that every twin has."""
        ports = self.state.ports
        env = {
            "TWIN_HTTP_HOST": LOOPBACK,
            "TWIN_HTTP_PORT": str(ports[f"{name}.http"]),
            "TWIN_NATS_URL": self.nats.url,
            "TWIN_NATS_USER": f"svc-{name}",
            "TWIN_NATS_PASSWORD": self.state.secret(f"nats/svc-{name}"),
            "TWIN_OIDC_ISSUER": self.issuer.url,
            "TWIN_OIDC_AUDIENCE": "twinmesh",
            "TWIN_OIDC_JWKS_URL": f"{self.issuer.url}/jwks",
            "TWIN_OIDC_TOKEN_URL": self.issuer.token_url,
            "TWIN_CLIENT_ID": f"svc-{name}",
            "TWIN_CLIENT_SECRET": self.state.secret(f"issuer/svc-{name}"),
            "TWIN_TRACE_DIR": str(self.state.place("traces")),
        }
        if grpc:
            env["TWIN_GRPC_HOST"] = LOOPBACK
            env["TWIN_GRPC_PORT"] = str(ports[f"{name}.grpc"])
        for peer in SERVICES:
            if peer.grpc:
                env[f"TWIN_{peer.role}_ADDR"] = f"{LOOPBACK}:{ports[f'{peer.name}.grpc']}"
        return env

    def service_env(self, service: Service) -> dict[str, str]:
        """Return the settings of one of our services."""
        env = self.mesh_env(service.name, grpc=service.grpc)
        if service.database:
            role = service.name.replace("-", "_")
            env["TWIN_DATABASE_URL"] = self.postgres.url(
                role, self.state.secret(f"postgres/{role}")
            )
        if service.name == "governance":
            env.update(self._audit_env())
        if service.name == "gateway":
            env.update(self._page_env())
        if service.graph:
            env.update(self._graph_env())
        if service.tsdb:
            env["TWIN_CLICKHOUSE_URL"] = self.tsdb.url
            env["TWIN_CLICKHOUSE_DATABASE"] = TSDB_DATABASE
        return env

    def _page_env(self) -> dict[str, str]:
        """Return who the gateway's page asks as: one that may read, and what it offers."""
        env = {
            "TWIN_QUERY_PAGE": "true",
            "TWIN_QUERY_PAGE_CLIENT_ID": PAGE_IDENTITY,
            "TWIN_QUERY_PAGE_CLIENT_SECRET": self.state.secret(f"issuer/{PAGE_IDENTITY}"),
        }
        if SAVED_QUESTIONS.is_dir():
            env["TWIN_QUERY_PAGE_SAMPLES"] = str(SAVED_QUESTIONS)
        return env

    def _audit_env(self) -> dict[str, str]:
        """Return where the audit log's heads go, and the keys that sign them and models."""
        seed, models = (
            hashlib.sha256(self.state.secret(name).encode()).hexdigest()
            for name in ("audit/key", "models/key")
        )
        return {
            "TWIN_AUDIT_KEY": seed,
            "TWIN_MODEL_KEY": models,
            "TWIN_AUDIT_HEADS_FILE": str(self.state.place("audit", "heads.jsonl")),
        }

    def _graph_env(self) -> dict[str, str]:
        match self.graph:
            case neo4j.Address(uri=uri, user=user, password=password, database=database):
                pass
            case Neo4jStore() as store:
                uri, user, password = store.uri, neo4j.USER, store.password
                database = neo4j.DATABASE
            case ArcadeStore() as store:
                uri, user, password = store.uri, graph.USER, store.password
                database = graph.DATABASE
        return {
            "TWIN_NEO4J_URI": uri,
            "TWIN_NEO4J_USER": user,
            "TWIN_NEO4J_PASSWORD": password,
            "TWIN_NEO4J_DATABASE": database,
        }

    def subgraph_url(self, name: str) -> str:
        """Return where a service's subgraph answers."""
        return f"http://{LOOPBACK}:{self.state.ports[f'{name}.http']}/graphql"

    def describe(self) -> str:
        """Return the addresses of the mesh as JSON."""
        ports = self.state.ports
        return json.dumps(
            {
                "gateway": f"http://{LOOPBACK}:{ports['gateway.http']}/graphql",
                "readings": f"http://{LOOPBACK}:{ports['telemetry.http']}/v1/readings",
                "mqtt": f"mqtt://{LOOPBACK}:{ports['mqtt']}",
                "issuer": self.issuer.url,
            }
        )


assert all(service.name in BY_NAME for service in SERVICES)
