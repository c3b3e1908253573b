"""What governance has published: contracts, event schemas, budgets, supergraph, models.

Each is the last snapshot seen: governance or the bus being away changes nothing.
"""

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from twinmesh_sdk.adapters.nats.mirror import KvMirror
from twinmesh_sdk.core.errors import InvalidInputError, NotFoundError
from twinmesh_sdk.core.times import parse_time
from twinmesh_sdk.core.trust import Budget

log = logging.getLogger(__name__)

CONTRACTS: Final = "contracts"
MODELS: Final = "models"


@dataclass(frozen=True, slots=True)
class ActiveContract:
    """The contract of a service that is in force.

    Attributes:
        accepted: Digests that may run: the active one, and earlier ones while replicas are rolled.
        state: ACTIVE or PENDING.
    """

    service: str
    version: str
    digest: str
    state: str
    accepted: frozenset[str]
    subgraph_url: str = ""


@dataclass(frozen=True, slots=True)
class RegisteredEvent:
    """An event type as registered."""

    type: str
    message: str
    digests: frozenset[str]
    service: str
    retired: bool


@dataclass(frozen=True, slots=True)
class SupergraphPointer:
    """Where the supergraph in force is found.

    Attributes:
        object: Name of the SDL in the object store `bundles`.
        subgraphs: Addresses by name.
    """

    digest: str
    object: str
    subgraphs: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ActiveModel:
    """A model version that may decide, from a plant time on, for a scope.

    Attributes:
        digest: `sha256:` and the artefact's digest.
        signature: Governance's over that digest, hexadecimal; empty where it keeps no artefact.
        effective_to: Plant time at which its successor takes over; None while open.
    """

    name: str
    version: str
    digest: str
    effective_from: datetime | None
    approved_by: str = ""
    submitted_by: str = ""
    scope: Mapping[str, Any] = field(default_factory=dict)
    effective_to: datetime | None = None
    signature: str = ""


@dataclass(frozen=True, slots=True)
class RecalledModel:
    """A model version that may decide no more: what it derived is withdrawn."""

    name: str
    version: str
    recalled_at: datetime
    reason: str


class _Parsed:
    """A bucket whose entries are JSON objects, parsed once per change."""

    def __init__(self, bucket: KvMirror) -> None:
        self._bucket = bucket
        self._cache: dict[str, tuple[bytes, Any]] = {}

    @property
    def synced(self) -> bool:
        """Whether it was read whole at least once."""
        return self._bucket.synced

    def on_change(self, call: Callable[[], None]) -> None:
        """Call `call` after every change."""
        self._bucket.on_change(call)

    def _read(self, key: str, parse: Callable[[dict[str, Any]], Any]) -> Any:  # noqa: ANN401 - per key
        """Return the parsed entry; an unreadable one keeps the last readable one."""
        raw = self._bucket.get(key)
        if raw is None:
            return None
        known = self._cache.get(key)
        if known is None or known[0] != raw:
            known = (raw, _parsed(key, raw, parse, known[1] if known else None))
            self._cache[key] = known
        return known[1]


class ContractSnapshot(_Parsed):
    """The bucket `contracts`, which only governance writes."""

    def active(self, service: str) -> ActiveContract | None:
        """Return a service's contract in force; None when it has none."""
        found: ActiveContract | None = self._read(f"active.{service}", _active)
        return found

    def services(self) -> list[ActiveContract]:
        """Return every contract in force, by service."""
        names = sorted(name for name, _ in self._bucket.under("active."))
        return [found for name in names if (found := self.active(name)) is not None]

    def is_active(self, service: str, digest: str) -> bool:
        """Tell whether a service may run with the contract of this digest."""
        found = self.active(service)
        return found is not None and digest in found.accepted

    def event_schema(self, type: str) -> RegisteredEvent | None:
        """Return an event type as registered; None when it is not."""
        found: RegisteredEvent | None = self._read(f"event.{type}", _event)
        return found

    def supergraph(self) -> SupergraphPointer | None:
        """Return where the supergraph in force is found; None before the first."""
        found: SupergraphPointer | None = self._read("supergraph", _supergraph)
        return found

    def retention_days(self, data_class: str) -> float | None:
        """Return for how many days a class of data is kept; None where no policy says."""
        found: dict[str, float] | None = self._read("retention", _retention)
        return (found or {}).get(data_class)

    def budgets(self) -> dict[str, Budget]:
        """Return the named budgets of all active charters."""
        found: dict[str, Budget] | None = self._read("budgets", _budgets)
        return dict(found or {})

    def budget(self, decision: str) -> Budget:
        """Return one named budget.

        Raises:
            NotFoundError: No active charter declares it.
        """
        budgets = self.budgets()
        if decision not in budgets:
            raise NotFoundError(
                f"no charter declares a budget {decision[:60]!r}",
                hint=f"known: {', '.join(sorted(budgets)[:20]) or 'none'}",
            )
        return budgets[decision]


class ModelSnapshot(_Parsed):
    """The bucket `models`, which only governance writes."""

    def active(self, name: str) -> ActiveModel | None:
        """Return the active version of a model; None when there is none: then abstain."""
        found: ActiveModel | None = self._read(f"active.{name}", _model)
        return found

    def schedule(self, name: str) -> tuple[ActiveModel, ...]:
        """Return every version with a period of plant time, past, present and to come."""
        found: tuple[ActiveModel, ...] | None = self._read(f"schedule.{name}", _schedule)
        return found or ()

    def public_key(self) -> str:
        """Return the key that verifies signatures of artefacts, hexadecimal; empty for none."""
        found: str | None = self._read("signing-key", _key)
        return found or ""

    def shadows(self, name: str) -> tuple[ActiveModel, ...]:
        """Return the versions that run beside the active one, without deciding."""
        found: tuple[ActiveModel, ...] | None = self._read(f"shadow.{name}", _schedule)
        return found or ()

    def recalled(self, name: str) -> tuple[RecalledModel, ...]:
        """Return the versions that were recalled."""
        found: tuple[RecalledModel, ...] | None = self._read(f"recalled.{name}", _recalled)
        return found or ()


def _parsed(key: str, raw: bytes, parse: Callable[[dict[str, Any]], Any], last: Any) -> Any:  # noqa: ANN401 - per key
    try:
        value = json.loads(raw)
        if not isinstance(value, dict):
            raise InvalidInputError("not an object")
        return parse(value)
    except (ValueError, TypeError, KeyError, AttributeError, InvalidInputError) as error:
        log.error("snapshot entry is unreadable", extra={"key": key, "error": repr(error)})
        return last


def _active(value: dict[str, Any]) -> ActiveContract:
    subgraph = value.get("subgraph") or {}
    active = value["state"] == "ACTIVE"
    accepted = set(value.get("accepted") or ()) | ({value["digest"]} if active else set())
    return ActiveContract(
        service=value["service"],
        version=value["version"],
        digest=value["digest"],
        state=value["state"],
        accepted=frozenset(accepted),
        subgraph_url=subgraph.get("url", ""),
    )


def _event(value: dict[str, Any]) -> RegisteredEvent:
    return RegisteredEvent(
        type=value["type"],
        message=value["message"],
        digests=frozenset(value["digests"]),
        service=value.get("service", ""),
        retired=value.get("status", "ACTIVE") != "ACTIVE",
    )


def _supergraph(value: dict[str, Any]) -> SupergraphPointer:
    return SupergraphPointer(value["digest"], value["object"], dict(value["subgraphs"]))


def _budgets(value: dict[str, Any]) -> dict[str, Budget]:
    return {name: Budget(name, float(item["budget_s"])) for name, item in value.items()}


def _retention(value: dict[str, Any]) -> dict[str, float]:
    days = {name: float(item["keep_days"]) for name, item in value.items()}
    if not all(kept > 0 for kept in days.values()):
        raise InvalidInputError("data is kept for more than no time")
    return days


def _model(value: dict[str, Any]) -> ActiveModel:
    since = value.get("effective_from")
    return ActiveModel(
        name=value["name"],
        version=value["version"],
        digest=value.get("digest", ""),
        effective_from=parse_time(since) if since else None,
        approved_by=value.get("approved_by", ""),
        submitted_by=value.get("submitted_by", ""),
        scope=value.get("scope") or {},
        effective_to=parse_time(value["effective_to"]) if value.get("effective_to") else None,
        signature=value.get("signature", ""),
    )


def _key(value: dict[str, Any]) -> str:
    return str(value["ed25519"])


def _schedule(value: dict[str, Any]) -> tuple[ActiveModel, ...]:
    return tuple(_model(each) for each in value["versions"])


def _recalled(value: dict[str, Any]) -> tuple[RecalledModel, ...]:
    return tuple(
        RecalledModel(v["name"], v["version"], parse_time(v["recalled_at"]), v["reason"])
        for v in value["versions"]
    )
