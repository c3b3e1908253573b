"""The HTTP door for readings: `POST /v1/readings`, JSON or CSV."""

import asyncio
from typing import Annotated, Final

from fastapi import APIRouter, Header, Query, Request, Response
from pydantic import BaseModel, Field

from telemetry.usecases.accept import AcceptReadings
from telemetry.wire.upload import READINGS_SCHEMA, readings_from_csv, readings_from_json
from twinmesh_sdk.adapters import tracing
from twinmesh_sdk.core.errors import InvalidInputError
from twinmesh_sdk.core.ids import SubjectToken
from twinmesh_sdk.core.request import current_principal
from twinmesh_sdk.core.times import to_us
from twinmesh_sdk.ports.clock import Clock

WRITE: Final = "readings.write"
JSON: Final = "application/json"
CSV: Final = "text/csv"


class AcceptedBody(BaseModel):
    """What was taken in. It is not stored yet: `ingest` counts what became of it."""

    readings: int = Field(description="readings in the request")
    messages: int = Field(description="messages of the raw stream that carry them")
    repeated: int = Field(description="messages that the stream had already from an earlier try")
    content_id: str = Field(description="hash of the content: a repeat has the same")


def readings_router(accept: AcceptReadings, clock: Clock) -> APIRouter:
    """Return the door's routes."""
    router = APIRouter()

    @router.post(
        "/v1/readings",
        status_code=202,
        summary="Take readings in",
        response_model=AcceptedBody,
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {
                    JSON: {"schema": READINGS_SCHEMA},
                    CSV: {"schema": {"type": "string", "description": "ts,device,signal,value"}},
                },
            }
        },
    )
    async def post_readings(
        request: Request,
        response: Response,
        source: Annotated[
            str, Query(description="the source that these readings come from", max_length=64)
        ],
        zone: Annotated[
            str,
            Query(description="IANA zone of stamps that have none; without it they are refused"),
        ] = "",
        content_type: Annotated[str, Header()] = "",
    ) -> AcceptedBody:
        """Take readings in as a whole or not at all; 202 once the raw stream has every one."""
        principal = current_principal()
        principal.require(WRITE)
        token = SubjectToken(source)
        kind = content_type.partition(";")[0].strip().lower()
        if kind not in {JSON, CSV}:
            raise InvalidInputError(
                f"content type {kind[:60]!r} is not taken here", hint=f"send {JSON} or {CSV}"
            )
        body = await request.body()
        arrived_us = to_us(clock.plant_now(principal.tenant))
        read = readings_from_json if kind == JSON else readings_from_csv
        readings = await asyncio.to_thread(
            read, body, tenant=principal.tenant, source=token, zone=zone, arrived_us=arrived_us
        )
        accepted = await accept(principal.tenant, token, readings, tracing.traceparent())
        response.headers["tm-content-id"] = accepted.content_id
        return AcceptedBody(
            readings=accepted.readings,
            messages=accepted.messages,
            repeated=accepted.repeated,
            content_id=accepted.content_id,
        )

    return router
