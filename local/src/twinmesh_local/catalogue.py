"""The processes of the mesh: what each is, and what it needs."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Service:
    """One of our services.

    Attributes:
        name: As in contracts, logs and addresses.
        package: What `python -m` runs.
        peers: Services it calls by gRPC.
        http: It has HTTP doors (subgraph, health).
        grpc: It has gRPC doors.
        database: It owns a PostgreSQL database, named like it.
        graph: It owns the asset graph.
        tsdb: It owns the time-series store.
        streams: NATS streams it consumes.
        publish: NATS subjects it publishes on, beside its events.
        role: Its name in `TWIN_<ROLE>_ADDR`.
        subgraph: It joins the supergraph.
    """

    name: str
    package: str
    role: str
    peers: tuple[str, ...] = ()
    grpc: bool = True
    database: bool = False
    graph: bool = False
    tsdb: bool = False
    streams: tuple[str, ...] = ("TELE", "EVENTS")
    publish: tuple[str, ...] = ()
    subgraph: bool = True


SERVICES: Final = (
    Service(
        "governance", "governance", "GOVERNANCE", database=True,
        streams=("EVENTS", "USE", "AUDIT_HEADS", "QUARANTINE"),
        publish=(
            "audit.heads.>", "$KV.contracts.>", "$KV.models.>", "$O.bundles.>",
            "$JS.API.STREAM.PURGE.OBJ_bundles", "replay.>",
            "$JS.API.STREAM.MSG.DELETE.QUARANTINE",
        ),
    ),
    Service("asset-registry", "asset_registry", "ASSETS", graph=True, streams=("EVENTS",)),
    Service(
        "telemetry", "telemetry", "TELEMETRY", peers=("asset-registry",), database=True, tsdb=True,
        streams=("RAW", "TELE", "EVENTS"), publish=("tele.>", "raw.>"),
    ),
    Service(
        "maintenance-twin", "maintenance_twin", "MAINTENANCE",
        peers=("asset-registry", "telemetry", "governance"), database=True,
    ),
    Service(
        "energy-twin", "energy_twin", "ENERGY",
        peers=("asset-registry", "telemetry", "governance"), database=True,
    ),
    Service(
        "gateway", "gateway", "GATEWAY", grpc=False, streams=("EVENTS",), subgraph=False,
    ),
)  # fmt: skip
"""In the order in which they are listed everywhere."""

BY_NAME: Final = {service.name: service for service in SERVICES}
