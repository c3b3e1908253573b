"""Rule: one state has one authority."""

from collections.abc import Iterable

from governance.model.contracts import Bundle
from governance.model.findings import Finding


def check_authorities(bundle: Bundle, others: Iterable[Bundle]) -> list[Finding]:
    """Return a finding per state that another service already claims to decide alone."""
    claimed = {state.lower(): other for other in others for state in other.states}
    return [
        Finding(
            code="AUTHORITY_CONFLICT",
            subject=state,
            message=f"{claimed[state.lower()].service} is authoritative for {state!r} already",
            hint="let one of the two decide the state, and the other follow its events",
            service=claimed[state.lower()].service,
        )
        for state in bundle.states
        if state.lower() in claimed
    ]
