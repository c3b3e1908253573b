"""What governance needs for models."""

from collections.abc import Sequence
from typing import Protocol

from governance.model.releases import ModelVersion


class ModelSession(Protocol):
    """Models in a transaction."""

    async def models(self, name: str | None = None) -> list[ModelVersion]:
        """Return the versions of one model, or of all."""
        ...

    async def save_models(self, changed: Sequence[ModelVersion]) -> None:
        """Insert or update these versions."""
        ...
