"""The twin of one asset: what is remembered between batches, and how a batch moves it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from maintenance_twin.decide.align import Alignment
from maintenance_twin.decide.evaluate import Context, Evaluation, Evaluator, Fact, Judged
from maintenance_twin.decide.shadow import Window, follow_shadows, measure
from maintenance_twin.model.configuration import Configurations
from maintenance_twin.model.measured import Measured
from maintenance_twin.model.row import Reading, Row
from maintenance_twin.model.signal import Profile
from maintenance_twin.model.tuning import US, Tuning
from twinmesh_sdk.core.ids import AssetId, Tenant


@dataclass(slots=True)
class Seen:
    """The newest reading of one signal that may be used."""

    observed_us: int
    arrived_us: int
    severity: int = 0


@dataclass(slots=True)
class AssetTwin:
    """One asset's twin.

    Attributes:
        version: Counts saves; 0 was never saved.
        changes: Counts the announced changes of its state, for the ids of events.
        first_us: First reading ever.
        seen: Newest usable reading per signal.
        silent_us: Since when its mandatory inputs are too old for the decision; None while not.
        unlogged: Rows that are decided and not yet in the row log.
        window: What is being measured about the versions that run, and those beside.
        measured: Windows that ended and are not announced yet.
    """

    tenant: Tenant
    asset_id: AssetId
    alignment: Alignment
    evaluation: Evaluation
    version: int = 0
    changes: int = 0
    first_us: int = 0
    seen: dict[str, Seen] = field(default_factory=dict)
    silent_us: int | None = None
    unlogged: list[Row] = field(default_factory=list)
    window: Window = field(default_factory=Window)
    measured: list[Measured] = field(default_factory=list)

    @property
    def profile(self) -> Profile:
        """The signals it is built on."""
        return self.evaluation.profile

    @property
    def oldest_us(self) -> int:
        """The oldest of the newest readings of its mandatory inputs.

        One that was never seen counts as seen with the asset's first reading. The operating mode
        is left out: it is believed until it changes, and its absence has a name of its own.
        """
        mode = self.profile.mode
        times = [
            self.seen[s.name].observed_us if s.name in self.seen else self.first_us
            for s in self.profile.mandatory
            if s != mode
        ]
        return min(times, default=self.first_us)


def new_twin(
    tenant: Tenant, profile: Profile, configurations: Configurations, tuning: Tuning
) -> AssetTwin:
    """Return the twin of an asset that has none yet."""
    return AssetTwin(
        tenant=tenant,
        asset_id=profile.asset_id,
        alignment=alignment_of(profile, tuning),
        evaluation=Evaluation(profile=profile, configurations=configurations),
    )


def alignment_of(profile: Profile, tuning: Tuning) -> Alignment:
    """Return an empty alignment for these signals."""
    return Alignment(
        names=tuple(s.name for s in profile.signals),
        row_us=profile.row_us,
        lateness_us=max(round(tuning.lateness_s * US), profile.row_us),
        context=profile.mode.name if profile.mode else "",
    )


def take(twin: AssetTwin, readings: Sequence[Reading], context: Context) -> tuple[Fact, ...]:
    """Take readings into account, in the order of the stream; return what became true."""
    for reading in readings:
        if not twin.first_us or reading.observed_us < twin.first_us:
            twin.first_us = reading.observed_us
        if reading.severity >= 2:
            continue
        seen = twin.seen.get(reading.name)
        if seen is None:
            twin.seen[reading.name] = Seen(
                reading.observed_us, reading.arrived_us, reading.severity
            )
        elif reading.observed_us >= seen.observed_us:
            seen.observed_us = reading.observed_us
            seen.arrived_us = reading.arrived_us
            seen.severity = reading.severity
    rows = twin.alignment.add(readings)
    twin.unlogged.extend(rows)
    follow_shadows(twin.window, twin.evaluation, context.shadows)
    judged: list[Judged | None] = []
    facts = Evaluator(twin.evaluation, context).advance(rows, judged)
    twin.measured += measure(twin.window, twin.evaluation, rows, judged, context)
    return facts
