"""The released model, as governance publishes it."""

from collections.abc import Mapping
from typing import Any

from maintenance_twin.model.release import Bound, Release, Releases
from maintenance_twin.model.tuning import MODEL_NAME
from twinmesh_sdk.adapters.nats import ModelSnapshot
from twinmesh_sdk.adapters.nats.snapshots import ActiveModel
from twinmesh_sdk.core.times import OPEN_US, to_us


class SnapshotModelRelease:
    """A `ModelRelease` on the watched snapshot.

    A release that is limited to sites is passed over: this twin does not know where an asset
    stands, and a model abstains where it cannot tell that it holds.
    """

    def __init__(self, models: ModelSnapshot) -> None:
        self._models = models

    def releases_for(self, asset_class: str) -> Releases:
        """See `ModelRelease.releases_for`."""
        found = []
        for each in self._models.schedule(MODEL_NAME):
            classes = _names(each.scope, "asset_classes")
            holds = not classes or asset_class in classes
            if holds and not _names(each.scope, "sites") and not self.is_recalled(each.version):
                found.append(_release(each))
        return Releases(tuple(found))

    def is_recalled(self, version: str) -> bool:
        """See `ModelRelease.is_recalled`."""
        return any(each.version == version for each in self._models.recalled(MODEL_NAME))


def _release(each: ActiveModel) -> Release:
    return Release(
        version=each.version,
        from_us=0 if each.effective_from is None else to_us(each.effective_from),
        to_us=OPEN_US if each.effective_to is None else to_us(each.effective_to),
        configurations=frozenset(_names(each.scope, "configurations")),
        envelope=tuple(
            Bound(str(bound["signal"]), float(bound["low"]), float(bound["high"]))
            for bound in each.scope.get("envelope") or ()
        ),
    )


def _names(scope: Mapping[str, Any], key: str) -> set[str]:
    return {name for name in scope.get(key) or () if isinstance(name, str)}
