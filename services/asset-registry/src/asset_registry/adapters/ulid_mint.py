"""Ids minted as ULIDs: 48 bits of wall time and 80 random bits, so they sort by age."""

from ulid import ULID

from twinmesh_sdk.core.ids import AssetId, ConfigurationId, SignalId
from twinmesh_sdk.ports.clock import Clock


class UlidMint:
    """See `Mint`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def asset_id(self) -> AssetId:
        """Return `ast_` and a ULID."""
        return AssetId("ast_" + self._ulid())

    def configuration_id(self) -> ConfigurationId:
        """Return `cfg_` and a ULID."""
        return ConfigurationId("cfg_" + self._ulid())

    def signal_id(self) -> SignalId:
        """Return `sig_` and a ULID."""
        return SignalId("sig_" + self._ulid())

    def _ulid(self) -> str:
        return str(ULID.from_datetime(self._clock.wall_now()))
