"""How model versions did on one asset, in one window of plant time."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Challenged:
    """A version that ran beside the active one, on the same rows.

    Attributes:
        judged: Rows on which both gave a verdict.
        disagreements: Rows of these on which one had an open work item, and the other had not.
        pairs: Rows that both called healthy.
        champion_error, challenger_error: Mean squared residual over the pairs, both in the active
            version's healthy spreads.
    """

    version: str
    judged: int
    disagreements: int
    pairs: int
    champion_error: float
    challenger_error: float


@dataclass(frozen=True, slots=True)
class Measured:
    """What a window has shown.

    Attributes:
        version: The active version.
        configuration_id: The configuration version throughout the window.
        rows: Rows that it called healthy.
        mean_square, mean_residual: Over these rows, of the distance from the healthy level that
            was expected before the row, in healthy spreads; about 1 and 0 while nothing changes.
        challengers: By version.
    """

    version: str
    configuration_id: str
    from_us: int
    to_us: int
    rows: int
    mean_square: float
    mean_residual: float
    challengers: tuple[Challenged, ...] = ()
