"""What was derived from what, and who consumed it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from twinmesh_sdk.core.consumption import Derivation, Door, Output, OutputState
from twinmesh_sdk.core.errors import InvalidInputError
from twinmesh_sdk.core.ids import Tenant

MAX_TEXT: Final = 200
MAX_COUNT: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class ReportId:
    """Names one report: what arrives twice under it counts once."""

    reporter: str
    instance: str
    sequence: int

    def __post_init__(self) -> None:
        """Refuse names that are none."""
        if not (0 < len(self.reporter) <= MAX_TEXT and 0 < len(self.instance) <= MAX_TEXT):
            raise InvalidInputError("a report names its reporter and instance")
        if not 0 < self.sequence <= MAX_COUNT:
            raise InvalidInputError("a report has a number, 1 or more")


@dataclass(frozen=True, slots=True)
class Receipt:
    """One client consumed one version of one output, once or more often; wall times.

    Attributes:
        client: The client id of its token, the consuming service, or the system copied to.
        operation: What it was done with last: GraphQL operation, durable consumer, RPC, exporter.
    """

    client: str
    door: Door
    output: Output
    operation: str
    first_at: datetime
    last_at: datetime
    count: int

    def __post_init__(self) -> None:
        """Refuse what no receipt could say."""
        texts = (self.output.type, self.output.id, self.output.model, self.output.model_version)
        if not self.client or max(map(len, (self.client, self.operation, *texts))) > MAX_TEXT:
            raise InvalidInputError(f"a receipt names its client; texts have {MAX_TEXT} at most")
        if not self.output.type or not self.output.id:
            raise InvalidInputError("a receipt names its output's type and id")
        if not 0 < self.count <= MAX_COUNT or self.first_at > self.last_at:
            raise InvalidInputError("a receipt counts one or more, first before last")

    def merged(self, other: "Receipt") -> "Receipt":
        """Return both as one; they are about the same client, door and output."""
        newer = self if self.last_at >= other.last_at else other
        return Receipt(
            client=self.client,
            door=self.door,
            output=self.output,
            operation=newer.operation,
            first_at=min(self.first_at, other.first_at),
            last_at=newer.last_at,
            count=min(self.count + other.count, MAX_COUNT),
        )


@dataclass(frozen=True, slots=True)
class Derived:
    """A derived output as last announced.

    Attributes:
        service: Who derived it.
        subject: What it is about: an asset's id.
        at: Plant time at which it became true.
    """

    tenant: Tenant
    service: str
    subject: str
    derivation: Derivation
    at: datetime

    def replaces(self, held: "Derived") -> bool:
        """Tell whether this, announced later, stands in the place of what is held.

        What has numbered versions is replaced by a later one only. What stands until it is
        replaced is, by whatever is said next: a correction may let it begin earlier. Nobody speaks
        for another service's output.
        """
        if self.service != held.service:
            return False
        return self.output.version >= held.output.version or held.state is OutputState.STANDING

    @property
    def state(self) -> OutputState:
        """Where it stands."""
        return self.derivation.state

    @property
    def output(self) -> Output:
        """The output itself."""
        return self.derivation.output


@dataclass(frozen=True, slots=True)
class Impact:
    """What a model version stands behind.

    Attributes:
        outputs: Open decisions first, then what stands until replaced, newest first.
        receipts: Who consumed what it derived, the last first.
        truncated: There is more than was asked for.
    """

    model: str
    version: str
    outputs: tuple[Derived, ...]
    receipts: tuple[Receipt, ...]
    truncated: bool = False
