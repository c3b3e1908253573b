"""Which version of a service runs where."""

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from governance.model.contracts import ServiceName, Version
from twinmesh_sdk.core.ids import TypedId


class Environment(TypedId):
    """Where services run: `local`, `staging`, `prod`."""

    __slots__ = ()
    pattern = re.compile(r"(?=.{1,32}$)[a-z][a-z0-9]*(-[a-z0-9]+)*")


class DeploymentState(StrEnum):
    """Where a deployed version stands."""

    STARTING = "STARTING"  # being rolled out, not yet routed to
    READY = "READY"  # serves requests
    RETIRED = "RETIRED"  # gone


@dataclass(frozen=True, slots=True)
class Deployment:
    """One version of a service in one environment, as CI last said.

    Attributes:
        digest: Of the registered contract.
        since: Wall time at which it was first recorded there.
        recorded_at: Wall time of the last word.
    """

    environment: Environment
    service: ServiceName
    version: Version
    digest: str
    state: DeploymentState
    since: datetime
    recorded_at: datetime
    recorded_by: str

    @property
    def runs(self) -> bool:
        """Whether it may still be asked, or ask."""
        return self.state is not DeploymentState.RETIRED
