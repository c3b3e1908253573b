"""Models in PostgreSQL."""

from collections.abc import Sequence

from sqlalchemy import select

from governance.adapters import rows
from governance.adapters.postgres.transaction import Transaction
from governance.adapters.tables import MODELS
from governance.model.releases import ModelVersion


class PostgresModels(Transaction):
    """See `ModelSession`."""

    async def models(self, name: str | None = None) -> list[ModelVersion]:
        """See `ModelSession.models`."""
        query = select(MODELS) if name is None else select(MODELS).where(MODELS.c.name == name)
        found = (await self.connection.execute(query)).mappings().all()
        return [rows.model_of(dict(row)) for row in found]

    async def save_models(self, changed: Sequence[ModelVersion]) -> None:
        """See `ModelSession.save_models`."""
        for model in changed:
            await self.upsert(MODELS, rows.model_row(model), ("name", "version"))
