"""Uses, deprecations and overrides over REST."""

from datetime import datetime
from typing import Annotated, Self

from fastapi import APIRouter, Path, Query
from pydantic import Field

from governance.http.contracts import BundleIn, ConsumerOut
from governance.http.shapes import Name, Strict
from governance.model.changes import Override, OverrideId
from governance.model.consumption import ClientOwner, Use, UseKind
from governance.model.contracts import ServiceName
from governance.usecases import OverrideRefusals, ReadConsumers
from governance.usecases.consumers import Deprecated
from twinmesh_sdk.core.errors import InvalidInputError
from twinmesh_sdk.core.request import current_principal


class UseOut(Strict):
    """One client used one part of a contract."""

    client: str
    kind: UseKind
    coordinate: str
    first_at: datetime
    last_at: datetime
    count: int

    @classmethod
    def of(cls, use: Use) -> Self:
        """Return a use as JSON."""
        return cls(
            client=use.client,
            kind=use.kind,
            coordinate=use.coordinate,
            first_at=use.first_at,
            last_at=use.last_at,
            count=use.count,
        )


class UsesOut(Strict):
    """What was used since; `observed_since` is the first use ever reported."""

    uses: list[UseOut]
    since: datetime
    observed_since: datetime | None
    consumers: list[ConsumerOut]


class OwnerIn(Strict):
    """Whom to ask about a client."""

    team: str = Field(max_length=128)
    contact: str = Field(max_length=256)


class DeprecationOut(Strict):
    """A deprecation with who still uses it."""

    service: str
    coordinate: str
    version: str
    reason: str
    since: datetime
    removal_from: datetime
    consumers: list[ConsumerOut]

    @classmethod
    def of(cls, deprecated: Deprecated) -> Self:
        """Return a deprecation as JSON."""
        each = deprecated.deprecation
        return cls(
            service=each.service,
            coordinate=each.coordinate,
            version=each.version,
            reason=each.reason,
            since=each.since,
            removal_from=deprecated.removal_from,
            consumers=[ConsumerOut.of(consumer) for consumer in deprecated.consumers],
        )


class OverrideIn(Strict):
    """A request to take back what refuses a bundle."""

    bundle: BundleIn
    reason: str = Field(min_length=1, max_length=2000)
    expires_at: datetime | None = None


class OverriddenOut(Strict):
    """A finding that is taken back."""

    code: str
    subject: str


class OverrideOut(Strict):
    """Permission to register one bundle in spite of named findings."""

    id: str
    service: str
    version: str
    digest: str
    findings: list[OverriddenOut]
    reason: str
    requested_by: str
    requested_at: datetime
    expires_at: datetime
    approved_by: str
    approved_at: datetime | None

    @classmethod
    def of(cls, override: Override) -> Self:
        """Return an override as JSON."""
        return cls(
            id=str(override.id),
            service=override.service,
            version=str(override.version),
            digest=override.digest,
            findings=[OverriddenOut(code=c, subject=s) for c, s in override.findings],
            reason=override.reason,
            requested_by=override.requested_by,
            requested_at=override.requested_at,
            expires_at=override.expires_at,
            approved_by=override.approved_by,
            approved_at=override.approved_at,
        )


def add_changes(router: APIRouter, consumers: ReadConsumers, overrides: OverrideRefusals) -> None:
    """Add the routes about uses, deprecations and overrides."""
    _add_consumers(router, consumers)
    _add_overrides(router, overrides)


def _add_consumers(router: APIRouter, consumers: ReadConsumers) -> None:
    @router.get("/contracts/{service}/uses")
    async def list_uses(
        service: Name, since: Annotated[datetime | None, Query()] = None
    ) -> UsesOut:
        """List what clients used of a service's contract."""
        principal = current_principal()
        _require_zone(since, "since")
        found = await consumers.uses(principal, str(ServiceName(service)), since=since)
        return UsesOut(
            uses=[UseOut.of(use) for use in found.uses],
            since=found.since,
            observed_since=found.observed_since,
            consumers=[ConsumerOut.of(consumer) for consumer in found.consumers],
        )

    @router.put("/clients/{client}", status_code=204)
    async def name_client(client: Annotated[str, Path(max_length=128)], body: OwnerIn) -> None:
        """Say whom to ask about a client that is no service of the mesh."""
        await consumers.name(current_principal(), ClientOwner(client, body.team, body.contact))

    @router.get("/deprecations")
    async def list_deprecations(
        service: Annotated[str, Query(max_length=48)] = "",
    ) -> list[DeprecationOut]:
        """List what is deprecated, with who still uses it."""
        found = await consumers.deprecations(current_principal(), service)
        return [DeprecationOut.of(d) for d in found]


def _add_overrides(router: APIRouter, overrides: OverrideRefusals) -> None:
    @router.get("/overrides")
    async def list_overrides(*, expired: bool = False) -> list[OverrideOut]:
        """List overrides, the newest first."""
        current_principal()
        return [OverrideOut.of(o) for o in await overrides.all(expired=expired)]

    @router.post("/overrides")
    async def request_override(body: OverrideIn) -> OverrideOut:
        """Ask that what refuses a bundle now is taken back for this bundle, for a time."""
        _require_zone(body.expires_at, "expires_at")
        override = await overrides.request(
            current_principal(),
            body.bundle.bundle(),
            reason=body.reason,
            expires_at=body.expires_at,
        )
        return OverrideOut.of(override)

    @router.post("/overrides/{id}/approve")
    async def approve_override(id: Annotated[str, Path(max_length=64)]) -> OverrideOut:
        """Approve an override as a second person."""
        return OverrideOut.of(await overrides.approve(current_principal(), OverrideId(id)))


def _require_zone(moment: datetime | None, name: str) -> None:
    if moment is not None and moment.tzinfo is None:
        raise InvalidInputError(f"{name} needs a zone, for example a final Z")
