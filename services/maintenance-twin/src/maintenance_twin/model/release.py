"""Which version of the condition model decides when, and where it holds."""

from dataclasses import dataclass
from typing import Self

from maintenance_twin.model.tuning import Tuning
from twinmesh_sdk.core.times import OPEN_US
from twinmesh_sdk.core.trust import Reason


@dataclass(frozen=True, slots=True)
class Bound:
    """What a signal may say while the model holds, ends included."""

    signal: str
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Release:
    """One version of the model, released for a period of plant time.

    Attributes:
        configurations: Configuration versions that it holds for; empty for all.
        envelope: Operating range that it holds for; signals that are not named are free.
        tuning: Its constants; None for those that this process was started with.
    """

    version: str
    from_us: int
    to_us: int = OPEN_US
    configurations: frozenset[str] = frozenset()
    envelope: tuple[Bound, ...] = ()
    tuning: Tuning | None = None


@dataclass(frozen=True, slots=True)
class Releases:
    """The releases for one asset; at most one holds at a time for a configuration version."""

    releases: tuple[Release, ...] = ()

    @classmethod
    def always(cls, version: str) -> Self:
        """Return one version that decides at all times."""
        return cls((Release(version, 0),))

    @property
    def versions(self) -> frozenset[str]:
        """Every version that may decide at some time."""
        return frozenset(release.version for release in self.releases)

    def at(self, t_us: int, configuration_id: str) -> Release | None:
        """Return the release that decides at a plant time; None: the twin abstains."""
        for release in self.releases:
            if release.from_us <= t_us < release.to_us and (
                not release.configurations or configuration_id in release.configurations
            ):
                return release
        return None

    def abstention(self, t_us: int, configuration_id: str) -> Reason:
        """Return why none decides at a plant time.

        A version that is in force, but was tested with other configuration versions only, is named:
        a change of configuration has ended its scope until one with a new back-test is active.
        """
        for release in self.releases:
            if release.from_us <= t_us < release.to_us:
                return Reason("CONFIGURATION_NOT_TESTED", configuration_id, release.version)
        return Reason("MODEL_NOT_ACTIVE")
