"""Rule: an event type keeps being published, with the message that it had."""

from governance.decide.breaches import Breach
from governance.model.contracts import Bundle
from governance.model.findings import Finding


def check_published_events(bundle: Bundle, previous: Bundle) -> list[Breach]:
    """Return a breach per event type that goes, or that would carry another message."""
    declared = {event.type: event.message for event in bundle.events}
    found = []
    for event in previous.events:
        if event.type not in declared:
            found.append(
                _breach(
                    bundle,
                    "EVENT_REMOVED",
                    event.type,
                    f"{event.type} would no longer be published",
                    "keep publishing it until nobody consumes it",
                )
            )
        elif declared[event.type] != event.message:
            found.append(
                _breach(
                    bundle,
                    "EVENT_MESSAGE_CHANGED",
                    event.type,
                    f"{event.type} carried {event.message} and would carry {declared[event.type]}",
                    "declare a new major of the event type beside the old one",
                )
            )
    return found


def _breach(bundle: Bundle, code: str, type_: str, message: str, hint: str) -> Breach:
    finding = Finding(code, type_, message, hint, bundle.service)
    return Breach(finding, parts=frozenset({type_}), coordinate=type_)
