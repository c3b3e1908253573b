"""The released model, as governance publishes it: when it decides, and by which constants."""

import asyncio
import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from typing import Any, Final

from maintenance_twin.model.release import Bound, Release, Releases
from maintenance_twin.model.tuning import DEFAULT, MODEL_NAME, Tuning
from twinmesh_sdk.adapters.nats import MeshNats, ModelSnapshot
from twinmesh_sdk.adapters.nats.artefacts import load_artefact
from twinmesh_sdk.adapters.nats.snapshots import ActiveModel
from twinmesh_sdk.core.errors import InvalidInputError, TwinError
from twinmesh_sdk.core.times import OPEN_US, to_us

log = logging.getLogger(__name__)

FIRST_RETRY_S: Final = 1.0
LAST_RETRY_S: Final = 60.0
MAX_ARTEFACT_BYTES: Final = 64 * 1024
_CONSTANTS: Final = {field.name: field.type for field in fields(Tuning)}


def tuning_of(artefact: bytes) -> Tuning:
    """Return the constants in an artefact of the condition model: a JSON object of numbers.

    Raises:
        InvalidInputError: It is none, names a constant that is not known, or cannot work.
    """
    if len(artefact) > MAX_ARTEFACT_BYTES:
        raise InvalidInputError("the artefact is too large for a set of constants")
    try:
        value = json.loads(artefact)
    except (ValueError, RecursionError) as error:
        raise InvalidInputError("the artefact is no JSON") from error
    if not isinstance(value, dict) or not value.keys() <= _CONSTANTS.keys():
        raise InvalidInputError("the artefact names constants that this model does not have")
    for name, number in value.items():
        if isinstance(number, bool) or not isinstance(number, int | float):
            raise InvalidInputError(f"{name} is no number")
    rows = value.get("baseline_rows", DEFAULT.baseline_rows)
    if not isinstance(rows, int):
        raise InvalidInputError("baseline_rows is no whole number")
    return Tuning(**value)


class SnapshotModelRelease:
    """A `ModelRelease` on the watched snapshot.

    A version takes part once its artefact was fetched, is the one that was approved, and governance
    vouches for it. One of which that cannot be said decides nothing: in its periods the twin
    abstains, and what other versions decide goes on. A release that is limited to sites is passed
    over: this twin does not know where an asset stands, and a model abstains where it cannot tell
    that it holds.

    Args:
        overrides: Constants that the operator of this process has set; they win.
    """

    def __init__(
        self, models: ModelSnapshot, bus: MeshNats, *, overrides: Mapping[str, Any]
    ) -> None:
        self._models = models
        self._bus = bus
        self._overrides = dict(overrides)
        self._tunings: dict[tuple[str, str], Tuning] = {}
        self._unfit: set[tuple[str, str]] = set()
        self._changed = asyncio.Event()
        models.on_change(self._changed.set)

    def releases_for(self, asset_class: str) -> Releases | None:
        """See `ModelRelease.releases_for`."""
        schedule = self._models.schedule(MODEL_NAME)
        if not schedule and not self._models.recalled(MODEL_NAME):
            return None
        wanted = [each for each in schedule if self._concerns(each, asset_class)]
        known = self._tunings.keys() | self._unfit
        if any((each.version, each.digest) not in known for each in wanted):
            return None
        return self._loaded(wanted)

    def shadows_for(self, asset_class: str) -> Releases:
        """See `ModelRelease.shadows_for`."""
        shadows = self._models.shadows(MODEL_NAME)
        return self._loaded(each for each in shadows if self._concerns(each, asset_class))

    def is_recalled(self, version: str) -> bool:
        """See `ModelRelease.is_recalled`."""
        return any(each.version == version for each in self._models.recalled(MODEL_NAME))

    async def keep_loaded(self) -> None:
        """Fetch the artefacts of what is released, until cancelled."""
        pause = FIRST_RETRY_S
        while True:
            self._changed.clear()
            whole = await self.load()
            try:
                await asyncio.wait_for(self._changed.wait(), None if whole else pause)
                pause = FIRST_RETRY_S
            except TimeoutError:
                pause = min(pause * 2, LAST_RETRY_S)

    async def load(self) -> bool:
        """Fetch what is missing; False when something could not be had."""
        whole = True
        for each in (*self._models.schedule(MODEL_NAME), *self._models.shadows(MODEL_NAME)):
            key = (each.version, each.digest)
            if key in self._tunings or self.is_recalled(each.version):
                continue
            public_key = self._models.public_key()
            try:
                data = await load_artefact(self._bus, each, public_key=public_key)
                self._tunings[key] = replace(tuning_of(data), **self._overrides)
                self._unfit.discard(key)
                log.info("model version is loaded", extra={"version": each.version})
            except TwinError as error:
                whole = False
                if public_key and not error.retryable:
                    self._unfit.add(key)
                log.error(
                    "model version is not loaded",
                    extra={"version": each.version, "error": str(error)},
                )
        return whole

    def _loaded(self, listed: Iterable[ActiveModel]) -> Releases:
        return Releases(
            tuple(
                self._release(each)
                for each in listed
                if (each.version, each.digest) in self._tunings
            )
        )

    def _concerns(self, each: ActiveModel, asset_class: str) -> bool:
        classes = _names(each.scope, "asset_classes")
        holds = (not classes or asset_class in classes) and not _names(each.scope, "sites")
        return holds and not self.is_recalled(each.version)

    def _release(self, each: ActiveModel) -> Release:
        return Release(
            version=each.version,
            from_us=0 if each.effective_from is None else to_us(each.effective_from),
            to_us=OPEN_US if each.effective_to is None else to_us(each.effective_to),
            configurations=frozenset(_names(each.scope, "configurations")),
            envelope=tuple(
                Bound(str(bound["signal"]), float(bound["low"]), float(bound["high"]))
                for bound in each.scope.get("envelope") or ()
            ),
            tuning=self._tunings[each.version, each.digest],
        )


def _names(scope: Mapping[str, Any], key: str) -> set[str]:
    return {name for name in scope.get(key) or () if isinstance(name, str)}
