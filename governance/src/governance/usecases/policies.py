"""Change the policies: put by one person, approved by another, tested in between."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from governance.decide.policies import check_policies, make, shipped
from governance.model.audit import AuditEntry
from governance.model.policies import PolicySet, Thing
from governance.ports import Registry
from governance.usecases.authority import Authority, in_force
from twinmesh_sdk.core.errors import (
    ConflictError,
    InvalidInputError,
    NotFoundError,
    PreconditionFailedError,
    TwinError,
)
from twinmesh_sdk.core.principal import Principal
from twinmesh_sdk.ports.clock import Clock


class ReadPolicies:
    """Show policy sets."""

    def __init__(self, registry: Registry, authority: Authority) -> None:
        self._registry = registry
        self._authority = authority

    async def all(self, principal: Principal) -> list[PolicySet]:
        """Return every set, newest first; last the one that comes with the release."""
        self._authority.require(principal, "policy.read", Thing("PolicySet", "all"))
        async with self._registry.snapshot() as session:
            return [*reversed(await session.policy_sets()), shipped()]

    async def one(self, principal: Principal, version: int | None) -> PolicySet:
        """Return a version, by default the one in force.

        Raises:
            NotFoundError: There is none.
        """
        sets = await self.all(principal)
        if version is None:
            return in_force(sets)
        found = next((each for each in sets if each.version == version), None)
        if found is None:
            raise NotFoundError(f"no policy set {version}", hint="`twinmesh policy list`")
        return found


class ChangePolicies:
    """Put and approve policy sets; every step is audited, refused or not."""

    def __init__(self, registry: Registry, authority: Authority, clock: Clock) -> None:
        self._registry = registry
        self._authority = authority
        self._clock = clock

    async def put(
        self,
        principal: Principal,
        *,
        cedar: str,
        tests: Sequence[Mapping[str, Any]],
        note: str,
    ) -> PolicySet:
        """Store the next version, which holds its tests; it waits for a second person.

        Raises:
            ForbiddenError: The caller may not.
            InvalidInputError: It does not fit the schema, or a test fails.
        """

        def decide(sets: list[PolicySet]) -> PolicySet:
            self._authority.require(principal, "policy.put", Thing("PolicySet", "new"))
            made = make(
                max((s.version for s in sets), default=0) + 1,
                cedar,
                tests,
                author=principal.subject,
                put_at=self._clock.wall_now(),
                note=note,
            )
            if faults := check_policies(made):
                raise InvalidInputError("; ".join(faults)[:2000], hint="`twinmesh policy check`")
            return made

        return await self._step(principal, "policy.put", note, decide)

    async def approve(self, principal: Principal, version: int, *, note: str) -> PolicySet:
        """Put a version in force, as a second person.

        Raises:
            ForbiddenError: The caller may not, or wrote it.
            NotFoundError: There is no such version.
            PreconditionFailedError: It holds its tests no more.
            ConflictError: A newer version is in force.
        """

        def decide(sets: list[PolicySet]) -> PolicySet:
            found = next((each for each in sets if each.version == version), None)
            if found is None:
                raise NotFoundError(f"no policy set {version}", hint="`twinmesh policy list`")
            thing = Thing("PolicySet", str(version), author=found.author)
            self._authority.require(principal, "policy.approve", thing)
            if found.approved:
                return found
            if version < in_force(sets).version:
                raise ConflictError(
                    f"version {in_force(sets).version} is in force", hint="put it as a new version"
                )
            if faults := check_policies(found):
                raise PreconditionFailedError("; ".join(faults)[:2000])
            return found.approve(by=principal.subject, at=self._clock.wall_now())

        return await self._step(principal, "policy.approve", note, decide, version=version)

    async def _step(
        self,
        principal: Principal,
        action: str,
        note: str,
        decide: Callable[[list[PolicySet]], PolicySet],
        *,
        version: int = 0,
    ) -> PolicySet:
        """Decide alone, by the policies of this moment; save, and audit either outcome."""
        await self._authority.refresh()
        changed: PolicySet | None = None
        refused: TwinError | None = None
        async with self._registry.exclusive() as session:
            sets = await session.policy_sets()
            try:
                changed = decide(sets)
                await session.save_policy_set(changed)
            except TwinError as error:
                refused = error
            detail: dict[str, Any] = {"note": note[:2000]}
            if changed is not None:
                detail["digest"] = changed.digest
            if refused is not None:
                detail["reason"] = str(refused)
            await session.record(
                AuditEntry(
                    recorded_at=self._clock.wall_now(),
                    actor=principal.subject,
                    tenant=str(principal.tenant),
                    action=action,
                    subject=f"policies {changed.version if changed else version or 'new'}",
                    outcome=_outcome(changed, sets),
                    detail=detail,
                )
            )
        if refused is not None:
            raise refused
        assert changed is not None
        await self._authority.refresh()
        return changed


def _outcome(changed: PolicySet | None, sets: Sequence[PolicySet]) -> str:
    if changed is None:
        return "REFUSED"
    return "UNCHANGED" if changed in sets else "ACCEPTED"
