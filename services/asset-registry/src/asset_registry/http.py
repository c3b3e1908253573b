"""The HTTP door: import of a plant."""

from typing import Annotated, Final

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from asset_registry.decide.plant import TABLES
from asset_registry.usecases import ImportPlant
from twinmesh_sdk.core.principal import Principal
from twinmesh_sdk.runtime.http_host import principal

EXAMPLE: Final = "key,name,class\nP-101,Pump 101,pump\n"


class PlantImport(BaseModel):
    """CSV text by table, and whether to apply it."""

    model_config = ConfigDict(extra="forbid")

    tables: dict[str, str] = Field(
        description="CSV text with a header line by table: " + ", ".join(TABLES),
        max_length=len(TABLES),
        examples=[{"assets": EXAMPLE}],
    )
    dry_run: bool = Field(default=False, description="true: return the plan, change nothing")


class PlantImported(BaseModel):
    """What the import changed, or would change."""

    dry_run: bool = Field(description="whether this is only the plan")
    changed: dict[str, int] = Field(description="rows per table that change something")
    unchanged: dict[str, int] = Field(description="rows per table that repeat what is known")
    problems: list[str] = Field(description="one message per row that cannot be applied")


def plant_router(import_plant: ImportPlant) -> APIRouter:
    """Return the routes of the plant's import."""
    router = APIRouter(tags=["plants"])

    @router.post("/v1/plants:import", summary="Import a plant from CSV tables")
    async def import_(
        body: PlantImport, caller: Annotated[Principal, Depends(principal)]
    ) -> PlantImported:
        """Plan with `dry_run`, apply without. Applying the same tables again changes nothing."""
        plan = await import_plant(caller, body.tables, dry_run=body.dry_run)
        return PlantImported(
            dry_run=body.dry_run,
            changed=plan.changed,
            unchanged=plan.unchanged,
            problems=plan.problems,
        )

    return router
