"""What clients make use of: derived outputs that leave, and parts of contracts.

A door begins to collect with `collect_outputs`, whoever answers calls `note_output`, and the door
hands what it collected to the process's reporter.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Self

MAX_OUTPUTS: Final = 2_000
MAX_NAME_CHARS: Final = 200
MAX_VERSION: Final = 2**63


class Door(StrEnum):
    """How an output left the mesh's hands."""

    GATEWAY = "GATEWAY"
    EVENT = "EVENT"
    RPC = "RPC"
    EXPORT = "EXPORT"


class UseKind(StrEnum):
    """What kind of part of a contract was used."""

    FIELD = "FIELD"
    ARGUMENT = "ARGUMENT"
    ENUM_VALUE = "ENUM_VALUE"
    RPC_METHOD = "RPC_METHOD"
    EVENT = "EVENT"


@dataclass(frozen=True, slots=True)
class Output:
    """One version of one derived output, and the model that derived it.

    Attributes:
        type: The GraphQL type, or the event type.
        version: The output's own, 1 or more; 0 where it has none.
    """

    type: str
    id: str
    version: int
    model: str
    model_version: str


class OutputState(StrEnum):
    """Where a derived output stands: OPEN asks for a decision, STANDING holds until replaced."""

    OPEN = "OPEN"
    STANDING = "STANDING"
    ENDED = "ENDED"
    WITHDRAWN = "WITHDRAWN"


@dataclass(frozen=True, slots=True)
class Derivation:
    """A derived output, where it stands, and what it was derived from.

    Attributes:
        configuration_version: Version active when it was derived; empty for none.
        inputs_digest: `sha256:` and the digest of its input window; empty where none is known.
    """

    output: Output
    state: OutputState
    configuration_version: str = ""
    inputs_digest: str = ""


@dataclass(frozen=True, slots=True)
class Use:
    """One part of one service's contract.

    Attributes:
        coordinate: `Type.field`, `Type.field(argument:)`, `Enum.VALUE`, `package.Service/Method`
            or an event type.
        service: Whose contract; empty where it cannot be told.
    """

    kind: UseKind
    coordinate: str
    service: str


@dataclass(slots=True, eq=False)
class CollectedOutputs:
    """The derived outputs that one answer carries, each once.

    Attributes:
        omitted: How many beyond MAX_OUTPUTS.
    """

    outputs: dict[Output, None] = field(default_factory=dict)
    omitted: int = 0

    def add(self, output: Output) -> None:
        """Take one into account."""
        if output in self.outputs:
            return
        if len(self.outputs) < MAX_OUTPUTS:
            self.outputs[output] = None
        else:
            self.omitted += 1

    def merge(self, other: "CollectedOutputs") -> None:
        """Take another answer's into account."""
        for output in other.outputs:
            self.add(output)
        self.omitted += other.omitted

    def as_extension(self) -> dict[str, object]:
        """Return the members of `extensions.twinmesh`, grouped; empty when there is no output."""
        if not self.outputs:
            return {}
        groups: dict[tuple[str, str, str], list[list[object]]] = {}
        for output in self.outputs:
            key = (output.type, output.model, output.model_version)
            groups.setdefault(key, []).append([output.id, output.version])
        listed = [
            {"type": key[0], "model": key[1], "modelVersion": key[2], "items": items}
            for key, items in groups.items()
        ]
        return {"outputs": listed, **({"outputsOmitted": self.omitted} if self.omitted else {})}

    @classmethod
    def of_extension(cls, mesh: object) -> Self:
        """Read what `as_extension` wrote into an answer's `extensions.twinmesh`.

        It may be a stranger's: what has another form is left out.
        """
        found = cls()
        if not isinstance(mesh, Mapping):
            return found
        omitted = mesh.get("outputsOmitted")
        if isinstance(omitted, int) and not isinstance(omitted, bool) and omitted > 0:
            found.omitted = min(omitted, MAX_VERSION)
        groups = mesh.get("outputs")
        for group in groups[:MAX_OUTPUTS] if isinstance(groups, list) else ():
            for output in _group(group):
                found.add(output)
        return found


def _group(group: object) -> Iterator[Output]:
    if not isinstance(group, Mapping):
        return
    kind, model, model_version = (group.get(n) for n in ("type", "model", "modelVersion"))
    items = group.get("items")
    if not (_name(kind) and _name(model) and _name(model_version) and isinstance(items, list)):
        return
    for item in items[:MAX_OUTPUTS]:
        if not isinstance(item, list) or len(item) != 2 or not _name(item[0]):
            continue
        version: Any = item[1]
        if is_version(version):
            yield Output(str(kind), item[0], version, str(model), str(model_version))


def _name(value: object) -> bool:
    return isinstance(value, str) and len(value) <= MAX_NAME_CHARS


def is_version(value: object) -> bool:
    """Tell whether a value can be an output's version."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < MAX_VERSION


_collected: ContextVar[CollectedOutputs | None] = ContextVar("collected_outputs", default=None)


@contextmanager
def collect_outputs() -> Iterator[CollectedOutputs]:
    """Collect the outputs of the answer that is made inside."""
    collected = CollectedOutputs()
    mark = _collected.set(collected)
    try:
        yield collected
    finally:
        _collected.reset(mark)


def note_output(output: Output) -> None:
    """Say that the answer in hand carries a derived output; where nobody collects, do nothing."""
    if (collected := _collected.get()) is not None:
        collected.add(output)


@dataclass(slots=True)
class Tally:
    """How often, from when to when, wall time.

    Attributes:
        operation: Where it happened last.
    """

    first: datetime
    last: datetime
    count: int = 0
    operation: str = ""

    def add(self, at: datetime, operation: str = "") -> None:
        """Count one more."""
        self.first, self.last = min(self.first, at), max(self.last, at)
        self.count += 1
        self.operation = operation
