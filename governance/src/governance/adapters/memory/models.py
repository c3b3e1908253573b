"""Models in memory."""

from collections.abc import Sequence

from governance.adapters.memory.state import Part
from governance.model.releases import ModelVersion


class MemoryModels(Part):
    """See `ModelSession`."""

    async def models(self, name: str | None = None) -> list[ModelVersion]:
        """See `ModelSession.models`."""
        return [m for m in self.state.models.values() if name is None or m.name == name]

    async def save_models(self, changed: Sequence[ModelVersion]) -> None:
        """See `ModelSession.save_models`."""
        for model in changed:
            self.state.models[str(model.name), str(model.version)] = model
