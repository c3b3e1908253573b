"""Rule: what is in force composes. What lacks a partner waits, what conflicts is refused."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from governance.model.contracts import Bundle, Supergraph
from governance.model.findings import Finding, Severity

MISSING_PARTNER: Final = frozenset(
    {
        "NO_QUERIES",
        "NO_SUBGRAPHS",
        "EXTENSION_WITH_NO_BASE",
        "EXTERNAL_MISSING_ON_BASE",
        "REQUIRES_INVALID_FIELDS_ON_BASE",
        "SATISFIABILITY_ERROR",
        "SHAREABLE_HAS_MISMATCHED_RUNTIME_TYPES",
    }
)
"""Composition codes that another subgraph's arrival can cure."""


@dataclass(frozen=True, slots=True)
class CompositionError:
    """Why a set of subgraphs is no supergraph.

    Attributes:
        code: Apollo's code, for example INVALID_FIELD_SHARING.
        subgraphs: Those that the error is about; empty when the composer does not say.
        coordinate: The type or field, where the composer says it.
    """

    code: str
    message: str
    subgraphs: tuple[str, ...] = ()
    coordinate: str = ""


Composed = Supergraph | tuple[CompositionError, ...]
Compose = Callable[[Mapping[str, Bundle]], Composed]


@dataclass(frozen=True, slots=True)
class Settled:
    """Which candidates are part of the supergraph, and why the others are not.

    Attributes:
        supergraph: None when there is no subgraph in force.
        joined: Names of the candidates that compose.
        left_out: Findings per candidate that does not: all PENDING, or at least one ERROR.
    """

    supergraph: Supergraph | None
    joined: frozenset[str]
    left_out: dict[str, tuple[Finding, ...]]


def settle(
    in_force: Mapping[str, Bundle], candidates: Mapping[str, Bundle], compose: Compose
) -> Settled:
    """Find the candidates that compose with what is in force, as many as can.

    A candidate replaces its own service's bundle in force. The usual case is one composition;
    otherwise candidates are left out one by one, and at most n squared sets are tried.
    """
    base = {name: bundle for name, bundle in in_force.items() if bundle.sdl}
    waiting = {name: bundle for name, bundle in candidates.items() if bundle.sdl}
    members = dict(base)
    supergraph: Supergraph | None = None
    while waiting:
        joined, composed = _largest(members, waiting, compose)
        if composed is None:
            break
        supergraph = composed
        members |= {name: waiting.pop(name) for name in joined}
    left_out = {
        name: _explain(name, members, waiting, compose, known=name in base) for name in waiting
    }
    if supergraph is None and members:
        outcome = compose(members)
        supergraph = outcome if isinstance(outcome, Supergraph) else None
    return Settled(supergraph, frozenset(candidates) - frozenset(left_out), left_out)


def _largest(
    members: dict[str, Bundle], waiting: dict[str, Bundle], compose: Compose
) -> tuple[frozenset[str], Supergraph | None]:
    """Return a set of the waiting that composes with the members: all, all but some, or one."""
    trying = dict(waiting)
    while trying:
        outcome = compose(members | trying)
        if isinstance(outcome, Supergraph):
            return frozenset(trying), outcome
        if len(trying) == 1:
            break
        for name in trying:
            rest = {other: bundle for other, bundle in trying.items() if other != name}
            attempt = compose(members | rest)
            if isinstance(attempt, Supergraph):
                return frozenset(rest), attempt
        blamed = [n for e in outcome for n in e.subgraphs if n in trying]
        trying.pop(blamed[0] if blamed else next(reversed(trying)))
    for name, bundle in waiting.items():
        attempt = compose(members | {name: bundle})
        if isinstance(attempt, Supergraph):
            return frozenset({name}), attempt
    return frozenset(), None


def _explain(
    name: str,
    members: dict[str, Bundle],
    waiting: dict[str, Bundle],
    compose: Compose,
    *,
    known: bool,
) -> tuple[Finding, ...]:
    """Say why one candidate does not compose with the members."""
    outcome = compose(members | {name: waiting[name]})
    if isinstance(outcome, Supergraph):  # composes alone, not with others: cannot be, by search
        return ()
    pending = not known and all(error.code in MISSING_PARTNER for error in outcome)
    return tuple(
        Finding(
            code=error.code,
            subject=error.coordinate or ", ".join(error.subgraphs) or name,
            message=_message(error),
            hint=(
                "registered; it joins when the partner registers"
                if pending
                else "change the subgraph so that it composes with those named"
            ),
            service=name,
            severity=Severity.PENDING if pending else Severity.ERROR,
        )
        for error in outcome
    )


def _message(error: CompositionError) -> str:
    if not error.subgraphs or all(name in error.message for name in error.subgraphs):
        return error.message
    return f"{error.message} (subgraphs: {', '.join(error.subgraphs)})"
