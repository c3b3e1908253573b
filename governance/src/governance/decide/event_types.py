"""Rule: an event type has one owner, and its message is in the contract."""

from collections.abc import Iterable

from governance.model.contracts import Bundle
from governance.model.findings import Finding, Severity


def check_event_types(
    bundle: Bundle, others: Iterable[Bundle], messages: frozenset[str]
) -> list[Finding]:
    """Return what is wrong with the event types that a bundle declares.

    Args:
        bundle: The bundle pushed.
        others: What other services have registered.
        messages: Full names of all messages in the bundle's descriptor set.
    """
    others = list(others)
    return [
        *_owned(bundle, others),
        *_messages(bundle, messages),
        *_unheard(bundle, others),
    ]


def _owned(bundle: Bundle, others: list[Bundle]) -> list[Finding]:
    owners = {event.type: other for other in others for event in other.events}
    return [
        Finding(
            code="EVENT_TYPE_OWNED",
            subject=event.type,
            message=f"{event.type} belongs to {owners[event.type].service}",
            hint=f"name it after your own domain, or ask {_team(owners[event.type])}",
            service=owners[event.type].service,
        )
        for event in bundle.events
        if event.type in owners
    ]


def _messages(bundle: Bundle, messages: frozenset[str]) -> list[Finding]:
    return [
        Finding(
            code="EVENT_MESSAGE_UNKNOWN",
            subject=event.message,
            message=f"{event.type}: no message {event.message} in the pushed descriptors",
            hint="add its package to contract.protos",
            service=bundle.service,
        )
        for event in bundle.events
        if event.message not in messages
    ]


def _unheard(bundle: Bundle, others: list[Bundle]) -> list[Finding]:
    known = {e.type for other in others for e in other.events} | {e.type for e in bundle.events}
    return [
        Finding(
            code="CONSUMED_EVENT_UNKNOWN",
            subject=type_,
            message=f"nobody has registered {type_} yet",
            hint="it will arrive when its owner registers; check the spelling",
            service=bundle.service,
            severity=Severity.WARNING,
        )
        for type_ in bundle.consumes
        if type_ not in known
    ]


def _team(bundle: Bundle) -> str:
    return bundle.owner.get("team", bundle.service)
