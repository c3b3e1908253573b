"""Events out: only what governance has registered."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from opentelemetry.trace import SpanKind
from prometheus_client import Counter

from twinmesh_sdk.adapters import tracing
from twinmesh_sdk.adapters.nats.cloudevents import headers_of
from twinmesh_sdk.adapters.nats.connection import MeshNats
from twinmesh_sdk.adapters.nats.snapshots import ContractSnapshot
from twinmesh_sdk.contract import EventSchema
from twinmesh_sdk.core.consumption import Derivation
from twinmesh_sdk.core.errors import PreconditionFailedError
from twinmesh_sdk.core.events import Envelope, subject_of

PUBLISHED: Final = Counter(
    "twin_events_published_total", "Events stored by the bus", ["event_type"]
)
REFUSED: Final = Counter(
    "twin_events_refused_total", "Events refused before they were sent", ["event_type"]
)


class EventPublisher:
    """Publishes events whose schema this process holds and governance has registered.

    Services save events in an outbox and let the relay publish them; publishing directly loses
    the event when the process dies in between.

    Args:
        schemas: The schemas of this service's contract, by event type.

    Attributes:
        derivation_of: Names the derived output that an event announces, for receipts and lineage.
    """

    def __init__(
        self, bus: MeshNats, contracts: ContractSnapshot, schemas: Mapping[str, EventSchema]
    ) -> None:
        self._bus = bus
        self._contracts = contracts
        self._schemas = schemas
        self.derivation_of: Callable[[Envelope], Derivation | None] = lambda _: None

    def check(self, type: str) -> EventSchema:
        """Return the schema under which an event type may be published now.

        Raises:
            PreconditionFailedError: The contract does not declare it, or governance has not
                registered it, registered another schema, or retired it.
        """
        own = self._schemas.get(type)
        registered = self._contracts.event_schema(type)
        fault = ""
        if own is None:
            fault = "is not declared in this service's contract"
        elif registered is None:
            fault = "is not registered"
        elif registered.retired:
            fault = "is retired"
        elif own.message != registered.message or own.digest not in registered.digests:
            fault = f"is registered with another schema than {own.dataschema}"
        if own is None or fault:
            REFUSED.labels(type).inc()
            raise PreconditionFailedError(
                f"event {type} {fault}", hint="push the contract: `twinmesh contract push`"
            )
        return own

    async def publish(self, envelope: Envelope) -> None:
        """Publish one event, and wait until the bus has stored it.

        Raises:
            PreconditionFailedError: Its schema is not registered, see `check`.
            UnavailableError: The bus does not answer; safe to repeat.
        """
        schema = self.check(envelope.type)
        parent = envelope.traceparent or None
        with tracing.span(
            f"publish {envelope.type}",
            kind=SpanKind.PRODUCER,
            parent=parent,
            attributes={
                "messaging.system": "nats",
                "messaging.message.id": envelope.id,
                "twin.tenant": envelope.tenant,
                "twin.subject": envelope.subject,
            },
        ):
            await self._bus.publish(
                subject_of(envelope.tenant, envelope.type),
                envelope.data,
                headers=headers_of(
                    replace(envelope, derivation=self.derivation_of(envelope)),
                    dataschema=schema.dataschema,
                    traceparent=tracing.traceparent() or envelope.traceparent,
                ),
                message_id=envelope.id,
            )
        PUBLISHED.labels(envelope.type).inc()
