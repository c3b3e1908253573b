"""Routes about charter against reality."""

from datetime import datetime
from typing import Annotated, Self

from fastapi import APIRouter, Query

from governance.http.shapes import Strict
from governance.model.reality import Kind, Reality, Standing
from governance.usecases.reality import ReadReality
from twinmesh_sdk.core.request import current_principal


class RealityOut(Strict):
    """Where one promise stands."""

    service: str
    kind: Kind
    name: str
    at_least: float | None
    at_most: float | None
    achieved: float | None
    samples: int
    standing: Standing
    since: datetime

    @classmethod
    def of(cls, given: Reality) -> Self:
        """Return a standing as JSON."""
        promise, measure = given.promise, given.measure
        return cls(
            service=promise.service,
            kind=promise.kind,
            name=promise.name,
            at_least=promise.at_least,
            at_most=promise.at_most,
            achieved=measure.achieved if measure else None,
            samples=measure.samples if measure else 0,
            standing=given.standing,
            since=given.since,
        )


def add_reality(router: APIRouter, read: ReadReality) -> None:
    """Add the route."""

    @router.get("/reality")
    async def list_reality(
        service: Annotated[str, Query(max_length=64)] = "",
    ) -> list[RealityOut]:
        """List what charters promise and what was achieved."""
        return [RealityOut.of(each) for each in await read(current_principal(), service)]
