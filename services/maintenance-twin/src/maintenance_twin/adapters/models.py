"""The released model, as governance publishes it."""

from collections.abc import Callable
from typing import Any

from maintenance_twin.model.tuning import MODEL_NAME
from twinmesh_sdk.adapters.nats import ModelSnapshot


class SnapshotModelRelease:
    """A `ModelRelease` on the watched snapshot.

    A release may name the asset classes that it holds for, under `asset_class` or `asset_classes`
    of its scope; without them it holds for every asset that has the signals.
    """

    def __init__(self, models: ModelSnapshot) -> None:
        self._models = models

    def version_for(self, asset_class: str) -> str | None:
        """See `ModelRelease.version_for`."""
        active = self._models.active(MODEL_NAME)
        if active is None:
            return None
        classes = _classes(active.scope.get)
        return active.version if not classes or asset_class in classes else None


def _classes(get: Callable[[str], Any]) -> set[str]:
    one, several = get("asset_class"), get("asset_classes")
    names = [one] if isinstance(one, str) and one else []
    names += [n for n in several if isinstance(n, str)] if isinstance(several, list) else []
    return set(names)
