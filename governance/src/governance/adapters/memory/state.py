"""What is held in memory."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from governance.decide.merkle import Frontier, Place
from governance.model.audit import LoggedEntry, LogName, Secret
from governance.model.changes import Deprecation, Override
from governance.model.consumption import ClientOwner, Use
from governance.model.contracts import Contract, Supergraph
from governance.model.deployments import Deployment
from governance.model.policies import PolicySet
from governance.model.releases import ModelVersion
from governance.model.retention import Retention
from governance.model.shadow import RetrainingId, RetrainingRequest, Ruling
from twinmesh_sdk.core.events import Envelope


@dataclass(frozen=True)
class Log:
    """One audit log: replaced as a whole by every change."""

    frontier: Frontier = field(default_factory=Frontier)
    entries: tuple[LoggedEntry, ...] = ()
    nodes: Mapping[Place, bytes] = field(default_factory=dict)
    persons: Mapping[str, Secret] = field(default_factory=dict)


@dataclass
class State:
    """All of it; a transaction works on a copy."""

    contracts: dict[tuple[str, str], Contract] = field(default_factory=dict)
    supergraph: Supergraph | None = None
    models: dict[tuple[str, str], ModelVersion] = field(default_factory=dict)
    audit: dict[LogName, Log] = field(default_factory=dict)
    policies: dict[int, PolicySet] = field(default_factory=dict)
    retentions: dict[str, Retention] = field(default_factory=dict)
    uses: dict[tuple[str, str, str, str, str], Use] = field(default_factory=dict)
    reports: set[tuple[str, str, str, int]] = field(default_factory=set)
    owners: dict[str, ClientOwner] = field(default_factory=dict)
    deployments: dict[tuple[str, str, str], Deployment] = field(default_factory=dict)
    deprecations: dict[tuple[str, str], Deprecation] = field(default_factory=dict)
    overrides: dict[str, Override] = field(default_factory=dict)
    announced: dict[str, Envelope] = field(default_factory=dict)
    rulings: dict[tuple[object, ...], Ruling] = field(default_factory=dict)
    retrainings: dict[RetrainingId, RetrainingRequest] = field(default_factory=dict)

    def copy(self) -> "State":
        """Return a copy that may be changed."""
        return State(
            contracts=dict(self.contracts),
            supergraph=self.supergraph,
            models=dict(self.models),
            audit=dict(self.audit),
            policies=dict(self.policies),
            retentions=dict(self.retentions),
            uses=dict(self.uses),
            reports=set(self.reports),
            owners=dict(self.owners),
            deployments=dict(self.deployments),
            deprecations=dict(self.deprecations),
            overrides=dict(self.overrides),
            announced=dict(self.announced),
            rulings=dict(self.rulings),
            retrainings=dict(self.retrainings),
        )


class Part:
    """A transaction on a state."""

    def __init__(self, state: State) -> None:
        self.state = state
