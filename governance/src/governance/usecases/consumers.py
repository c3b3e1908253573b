"""Read who uses what, and what is deprecated."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from governance.decide.evidence import Evidence, consumers_of
from governance.model.changes import Deprecation
from governance.model.consumption import ClientOwner, Use
from governance.model.findings import Consumer
from governance.model.policies import Thing
from governance.ports import Registry
from governance.usecases.authority import Authority
from governance.usecases.evidence import Windows, gather
from twinmesh_sdk.core.errors import InvalidInputError
from twinmesh_sdk.core.principal import Principal
from twinmesh_sdk.ports.clock import Clock

MAX_SHOWN: Final = 5_000


@dataclass(frozen=True, slots=True)
class Used:
    """What was used of a service's contract.

    Attributes:
        uses: The MAX_SHOWN last seen, the latest first.
        since: The beginning of the window looked at.
        observed_since: The first use ever reported; None before.
        consumers: The same by consumer, with whom to ask.
    """

    uses: tuple[Use, ...]
    since: datetime
    observed_since: datetime | None
    consumers: tuple[Consumer, ...]


@dataclass(frozen=True, slots=True)
class Deprecated:
    """A deprecation with who still uses what is deprecated.

    Attributes:
        removal_from: From when on it may be removed, if nobody uses it.
    """

    deprecation: Deprecation
    removal_from: datetime
    consumers: tuple[Consumer, ...]


class ReadConsumers:
    """Read who uses what, and what is deprecated; name owners of clients.

    Who may push contracts sees the clients of every tenant; others those of their own.
    """

    def __init__(
        self, registry: Registry, clock: Clock, windows: Windows, authority: Authority
    ) -> None:
        self._registry = registry
        self._clock = clock
        self._windows = windows
        self._authority = authority

    async def uses(
        self, principal: Principal, service: str, *, since: datetime | None = None
    ) -> Used:
        """Return what clients used of a service's contract, within the window or since a time."""
        now = self._clock.wall_now()
        start = since or now - self._windows.use
        async with self._registry.snapshot() as session:
            found = await session.uses(
                since=start, service=service, tenant=self._tenant(principal, service)
            )
            observed = await session.observed_since()
            owners = {owner.client: owner for owner in await session.owners()}
            mesh = await session.mesh()
        bundles = [contract.bundle for contract in mesh.active().values()]
        consumers = consumers_of(
            service, found, (), bundles, Evidence(now=now, owners=owners), at_most=MAX_SHOWN
        )
        latest = sorted(found, key=lambda use: use.last_at, reverse=True)[:MAX_SHOWN]
        return Used(tuple(latest), start, observed, consumers)

    async def consumers(
        self, principal: Principal, services: Sequence[str]
    ) -> dict[str, tuple[Consumer, ...]]:
        """Return who uses each of these services' contracts: seen in the window, or declared."""
        async with self._registry.snapshot() as session:
            mesh = await session.mesh()
            evidence = await gather(
                session, self._clock.wall_now(), self._windows, tenant=self._tenant(principal)
            )
        bundles = [contract.bundle for contract in mesh.active().values()]
        owners = {event.type: str(b.service) for b in bundles for event in b.events}
        found = {}
        for service in services:
            declared = [(b, t) for b in bundles for t in b.consumes if owners.get(t) == service]
            uses = [use for use in evidence.uses if use.service == service]
            found[service] = consumers_of(service, uses, declared, bundles, evidence)
        return found

    async def deprecations(self, principal: Principal, service: str = "") -> list[Deprecated]:
        """Return what is deprecated, with who still uses it."""
        async with self._registry.snapshot() as session:
            mesh = await session.mesh()
            evidence = await gather(
                session, self._clock.wall_now(), self._windows, tenant=self._tenant(principal)
            )
        bundles = [contract.bundle for contract in mesh.active().values()]
        return [
            Deprecated(
                each,
                each.ends(self._windows.deprecation),
                consumers_of(
                    each.service,
                    [
                        use
                        for use in evidence.uses
                        if use.coordinate == each.coordinate and use.service in {each.service, ""}
                    ],
                    (),
                    bundles,
                    evidence,
                ),
            )
            for each in evidence.deprecations.values()
            if service in ("", each.service)
        ]

    def _tenant(self, principal: Principal, service: str = "") -> str:
        """Return whose clients a caller sees: all, if it may push; else its own tenant's."""
        everyone = self._authority.permits(principal, "contract.push", Thing("Contract", service))
        return "" if everyone else str(principal.tenant)

    async def name(self, principal: Principal, owner: ClientOwner) -> None:
        """Say whom to ask about a client that is no service.

        Raises:
            ForbiddenError: The caller may not push contracts.
            InvalidInputError: It names a service of the mesh, whose charter says it.
        """
        self._authority.require(principal, "contract.push", Thing("Contract", owner.client))
        async with self._registry.exclusive() as session:
            services = {str(c.bundle.service) for c in (await session.mesh()).contracts}
            if owner.client.removeprefix("svc-") in services:
                raise InvalidInputError(
                    f"{owner.client} is a service: its charter names its owner",
                    hint="change `owner` in its twin.yaml",
                )
            await session.save_owner(owner)
