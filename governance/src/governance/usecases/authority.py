"""Who may do what: asked by every use case, answered by the policies in force."""

import logging
from collections.abc import Sequence

from governance.decide.policies import Policies, shipped
from governance.model.audit import MESH_LOG, LogName
from governance.model.policies import PolicySet, Thing
from governance.ports import Registry
from twinmesh_sdk.core.errors import ForbiddenError, InvalidInputError
from twinmesh_sdk.core.principal import Principal

log = logging.getLogger(__name__)


class Authority:
    """The policies in force in this process, parsed once.

    Without a registry, or before the first `refresh`, the set that comes with the release holds.
    """

    def __init__(self, registry: Registry | None = None) -> None:
        self._registry = registry
        self._policies = Policies.read(shipped())

    @property
    def in_force(self) -> PolicySet:
        """The policy set that is asked."""
        return self._policies.given

    def require(self, principal: Principal, action: str, thing: Thing) -> None:
        """Pass silently when the policies permit it.

        Raises:
            ForbiddenError: They do not, or cannot be evaluated.
        """
        ruling = self._policies.ask(principal, action, thing)
        if not ruling.permitted:
            raise ForbiddenError(
                f"{principal.subject} may not {action} {thing.id}: {ruling.why}",
                hint="`twinmesh policy show` prints the policies in force",
            )

    def permits(self, principal: Principal, action: str, thing: Thing) -> bool:
        """Tell whether the policies permit it."""
        return self._policies.ask(principal, action, thing).permitted

    def log(self, principal: Principal, action: str, *, mesh: bool) -> LogName:
        """Return the audit log that a caller may act on: its tenant's, or the mesh's own.

        Raises:
            ForbiddenError: The policies do not permit it.
        """
        name = MESH_LOG if mesh else str(principal.tenant)
        self.require(principal, action, Thing("Log", name, "" if mesh else name))
        return LogName(name)

    def reads(self, principal: Principal, model: str) -> None:
        """Pass silently when a caller may read what a model, or all, did for its tenant.

        Raises:
            ForbiddenError: The policies do not permit it.
        """
        self.require(principal, "lineage.read", Thing("Model", model, str(principal.tenant)))

    async def refresh(self) -> bool:
        """Take up the newest approved set; False when it is in force already.

        Raises:
            UnavailableError: The store does not answer; what was in force stays so.
        """
        if self._registry is None:
            return False
        async with self._registry.snapshot() as session:
            newest = in_force(await session.policy_sets())
        if newest.digest == self.in_force.digest and newest.version == self.in_force.version:
            return False
        try:
            self._policies = Policies.read(newest)
        except InvalidInputError as error:
            log.critical(
                "approved policies cannot be read; the earlier ones stay in force",
                extra={"version": newest.version, "error": str(error)},
            )
            return False
        return True


def in_force(sets: Sequence[PolicySet]) -> PolicySet:
    """Return the newest approved set; the one that comes with the release when there is none."""
    return max((s for s in sets if s.approved), key=lambda s: s.version, default=shipped())
