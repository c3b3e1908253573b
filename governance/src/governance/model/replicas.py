"""What processes of twins say that they run."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Running:
    """The versions of a model that a process runs for one tenant, at a plant time."""

    plant_at: datetime
    versions: frozenset[str]


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """One process, as last heard.

    Attributes:
        at: Wall time at which it spoke.
        running: By model and tenant.
        withdrawn: By model, versions of which it said that they decide nothing more.
    """

    service: str
    instance: str
    at: datetime
    running: Mapping[str, Mapping[str, Running]] = field(default_factory=dict)
    withdrawn: Mapping[str, frozenset[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ReplicaAlarm:
    """A process runs other versions than the schedule says.

    Attributes:
        plant_at: Its tenant's plant time at its last heartbeat.
        since: Wall time at which it was noticed first.
    """

    tenant: str
    service: str
    instance: str
    model: str
    plant_at: datetime
    running: frozenset[str]
    expected: frozenset[str]
    since: datetime

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What makes it the same alarm."""
        return self.tenant, self.service, self.instance, self.model
