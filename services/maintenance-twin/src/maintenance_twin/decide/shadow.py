"""Run model versions beside the active one, and measure both on the same rows.

A shadow begins as a copy of what the active version has learned, as it would if it were activated
then, and goes on under its own constants. What it says reaches nobody; only figures leave.

What is measured is how far each row lay from the healthy level that was expected before it, in
healthy spreads of the *active* version, so that nobody improves by calling everything normal. Only
rows that both call healthy count: on others one of the two does not claim to know the level. That
tells which version follows the healthy machine more closely. It does not tell which of them finds
faults: where the verdicts differ, that is counted, and a person must look.
"""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Final

from maintenance_twin.decide.evaluate import Context, Evaluation, Evaluator, Judged
from maintenance_twin.model.baseline import Baseline
from maintenance_twin.model.measured import Challenged, Measured
from maintenance_twin.model.release import Release, Releases
from maintenance_twin.model.row import Row
from maintenance_twin.model.tuning import US

WINDOW_US: Final = 600 * US
"""Ten minutes of plant time: some twenty time constants of the charted level, so that windows are
nearly independent, and short enough for one bad one to be one of many."""

LEAST_ROWS: Final = 30
"""A window with fewer judged rows says nothing."""

MAX_SHADOWS: Final = 2
"""Shadows per asset; each costs as much as the active version. Further ones are not run."""

_CLIP: Final = 4.0
"""A row lies at most so many spreads away: one spike must not outweigh ten minutes."""


@dataclass(slots=True)
class Pairs:
    """What a window has added up about a shadow, beside the active version."""

    judged: int = 0
    disagreements: int = 0
    pairs: int = 0
    champion: float = 0.0
    challenger: float = 0.0


@dataclass(slots=True)
class Shadow:
    """A version that runs beside the active one on one asset."""

    evaluation: Evaluation
    pairs: Pairs = field(default_factory=Pairs)


@dataclass(slots=True)
class Window:
    """What is being measured about one asset.

    Attributes:
        from_us: Start of the window of plant time.
        version: The active version.
        configuration_id: The configuration version in force.
        rows: Rows that the active version judged healthy.
        squares, residuals: Sums over these rows of the mean squared, and the mean, residual.
        shadows: By version.
    """

    from_us: int = 0
    version: str = ""
    configuration_id: str = ""
    rows: int = 0
    squares: float = 0.0
    residuals: float = 0.0
    shadows: dict[str, Shadow] = field(default_factory=dict)

    def begin(self, from_us: int, version: str, configuration_id: str) -> None:
        """Begin with nothing measured; what shadows have learned stays."""
        self.from_us, self.version, self.configuration_id = from_us, version, configuration_id
        self.rows, self.squares, self.residuals = 0, 0.0, 0.0
        for shadow in self.shadows.values():
            shadow.pairs = Pairs()

    def forget(self) -> None:
        """Begin anew with everything: what the shadows have learned was corrected."""
        self.shadows = {}
        self.begin(0, "", "")


def follow_shadows(window: Window, evaluation: Evaluation, shadows: Releases) -> None:
    """Begin new shadows as copies of the active version's state; end those that are none now."""
    wanted = list(dict.fromkeys(release.version for release in shadows.releases))[:MAX_SHADOWS]
    for version in window.shadows.keys() - set(wanted):
        del window.shadows[version]
    for version in wanted:
        if version not in window.shadows:
            window.shadows[version] = Shadow(deepcopy(evaluation))


def measure(
    window: Window,
    evaluation: Evaluation,
    rows: Sequence[Row],
    judged: Sequence[Judged | None],
    context: Context,
) -> list[Measured]:
    """Let the shadows take the rows, and add up what both said; return the windows that ended.

    Args:
        window: Moved forward.
        evaluation: Of the active version, after the rows.
        rows: In time order.
        judged: What the active version made of each.
        context: As of the active version.
    """
    beside = {
        version: _shadowed(shadow, evaluation, rows, _only(context, version))
        for version, shadow in window.shadows.items()
    }
    yardstick = _Yardstick(evaluation)
    ended = []
    for index, row in enumerate(rows):
        said = judged[index]
        if said is None:
            continue
        from_us = row.t_us // WINDOW_US * WINDOW_US
        if (
            from_us != window.from_us
            or said.version != window.version
            or said.configuration_id != window.configuration_id
        ):
            if from_us != window.from_us:
                ended += _ended(window)
            window.begin(from_us, said.version, said.configuration_id)
        if said.healthy:
            yardstick.add(window, row, said)
        for name, all_said in beside.items():
            other = all_said[index]
            if other is not None and name != said.version:
                _add_pair(window.shadows[name].pairs, row, said, other, yardstick)
    return ended


def _only(context: Context, version: str) -> Context:
    own: tuple[Release, ...] = tuple(r for r in context.shadows.releases if r.version == version)
    return Context(context.tenant, Releases(own), context.tuning)


def _shadowed(
    shadow: Shadow, active: Evaluation, rows: Sequence[Row], context: Context
) -> list[Judged | None]:
    """Move a shadow forward; what it finds reaches nobody."""
    judged: list[Judged | None] = []
    shadow.evaluation.configurations = active.configurations
    Evaluator(shadow.evaluation, context).advance(rows, judged)
    return judged


def _add_pair(
    pairs: Pairs, row: Row, champion: Judged, challenger: Judged, yardstick: "_Yardstick"
) -> None:
    if champion.degraded != challenger.degraded:
        pairs.judged += 1
        pairs.disagreements += 1
        return
    if not (champion.healthy and challenger.healthy):
        pairs.judged += 1
        return
    mine = yardstick.residuals(row, champion, champion)
    other = dict(yardstick.residuals(row, challenger, champion))
    both = [(away, other[name]) for name, away in mine if name in other]
    if not both:
        return
    pairs.judged += 1
    pairs.pairs += 1
    pairs.champion += sum(mine * mine for mine, _ in both) / len(both)
    pairs.challenger += sum(other * other for _, other in both) / len(both)


class _Yardstick:
    """Tells how far rows lie from what was expected, in healthy spreads."""

    def __init__(self, evaluation: Evaluation) -> None:
        self._place = {s.name: i for i, s in enumerate(evaluation.profile.signals)}
        self._tracks: dict[tuple[int, int], list[tuple[str, int, int, float]]] = {}
        self._held: list[Baseline] = []

    def add(self, window: Window, row: Row, said: Judged) -> None:
        """Add a row that the active version called healthy to a window."""
        count, squares, away = 0, 0.0, 0.0
        values, expected = row.values, said.expected
        for _, track, place, spread in self._of(said.baseline, said.baseline):
            value = values[place]
            if value == value:  # noqa: PLR0124 - false for NaN only
                residual = (value - expected[track]) / spread
                residual = _CLIP if residual > _CLIP else max(residual, -_CLIP)
                count += 1
                squares += residual * residual
                away += residual
        if count:
            window.rows += 1
            window.squares += squares / count
            window.residuals += away / count

    def residuals(self, row: Row, said: Judged, champion: Judged) -> list[tuple[str, float]]:
        """Return name and residual of each charted signal that the row has.

        Args:
            row: What was observed.
            said: What was expected.
            champion: Whose healthy spreads are the unit.
        """
        found = []
        for name, track, place, spread in self._of(said.baseline, champion.baseline):
            value = row.values[place]
            if value == value:  # noqa: PLR0124 - false for NaN only
                away = (value - said.expected[track]) / spread
                found.append((name, min(max(away, -_CLIP), _CLIP)))
        return found

    def _of(self, baseline: Baseline, unit: Baseline) -> list[tuple[str, int, int, float]]:
        key = (id(baseline), id(unit))
        known = self._tracks.get(key)
        if known is None:
            self._held += [baseline, unit]  # their ids stay theirs
            spreads = {t.name: t.spread for t in unit.tracks if t.charted and t.spread > 0.0}
            known = self._tracks[key] = [
                (track.name, index, self._place[track.name], spreads[track.name])
                for index, track in enumerate(baseline.tracks)
                if track.name in spreads and track.name in self._place
            ]
        return known


def _ended(window: Window) -> list[Measured]:
    """Return what a window has measured; nothing where that is too little."""
    if not window.version or window.rows < LEAST_ROWS:
        return []
    return [
        Measured(
            version=window.version,
            configuration_id=window.configuration_id,
            from_us=window.from_us,
            to_us=window.from_us + WINDOW_US,
            rows=window.rows,
            mean_square=window.squares / window.rows,
            mean_residual=window.residuals / window.rows,
            challengers=tuple(
                Challenged(
                    version=version,
                    judged=shadow.pairs.judged,
                    disagreements=shadow.pairs.disagreements,
                    pairs=shadow.pairs.pairs,
                    champion_error=shadow.pairs.champion / max(shadow.pairs.pairs, 1),
                    challenger_error=shadow.pairs.challenger / max(shadow.pairs.pairs, 1),
                )
                for version, shadow in sorted(window.shadows.items())
                if shadow.pairs.judged >= LEAST_ROWS
            ),
        )
    ]
