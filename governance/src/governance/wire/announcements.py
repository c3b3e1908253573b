"""Facts as the events that announce them."""

from typing import Final

from governance.model.changes import UsedPartDeprecated
from twinmesh.governance.v1 import contract_events_pb2
from twinmesh_sdk.core.events import Envelope, EventType, event_id
from twinmesh_sdk.core.ids import Tenant
from twinmesh_sdk.core.times import to_us
from twinmesh_sdk.wire import timestamp

SOURCE: Final = "governance"
CONTRACT_DEPRECATED: Final = EventType("governance.contract.deprecated.v1")


def envelope_of(fact: UsedPartDeprecated) -> Envelope:
    """Return the event that tells a client's owner; one per client and deprecation, ever."""
    deprecation, use = fact.deprecation, fact.use
    message = contract_events_pb2.ContractDeprecated(
        service=deprecation.service,
        version=deprecation.version,
        coordinate=deprecation.coordinate,
        reason=deprecation.reason,
        deprecated_at=timestamp(deprecation.since),
        removal_from=timestamp(fact.removal_from),
        client=use.client,
        team=fact.team,
        contact=fact.contact,
        last_used_at=timestamp(use.last_at),
    )
    tenant = Tenant(fact.tenant)
    return Envelope(
        id=event_id(
            tenant=tenant,
            type=CONTRACT_DEPRECATED,
            aggregate_id=f"{deprecation.service}/{deprecation.coordinate}/{use.client}",
            aggregate_version=to_us(deprecation.since),
        ),
        type=CONTRACT_DEPRECATED,
        source=SOURCE,
        tenant=tenant,
        subject=deprecation.service,
        time=fact.at,
        data=message.SerializeToString(deterministic=True),
    )
