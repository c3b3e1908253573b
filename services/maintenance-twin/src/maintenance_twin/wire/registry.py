"""The registry's messages as profiles and configuration histories."""

from collections.abc import Iterable
from typing import Final

from maintenance_twin.model.configuration import Configurations, Span
from maintenance_twin.model.signal import Profile, Signal, role_of
from twinmesh.assets.v1 import model_pb2
from twinmesh_sdk.core.ids import AssetId, ConfigurationId, SignalId
from twinmesh_sdk.core.times import OPEN_US
from twinmesh_sdk.wire import moment_us

DEFAULT_CADENCE_S: Final = 1.0


def profile_of(
    asset: model_pb2.Asset, definitions: Iterable[model_pb2.SignalDefinition]
) -> Profile:
    """Return the signals of an asset that the model understands, ordered by name."""
    signals = [
        Signal(
            signal_id=SignalId(d.signal_id),
            name=d.name,
            unit=d.unit,
            role=role,
            cadence_s=d.cadence_s if d.cadence_s > 0 else DEFAULT_CADENCE_S,
        )
        for d in definitions
        if (role := role_of(d.name, d.unit)) is not None
    ]
    by_name = {s.name: s for s in signals}
    return Profile(
        asset_id=AssetId(asset.asset_id),
        asset_class=asset.asset_class,
        signals=tuple(by_name[name] for name in sorted(by_name)),
    )


def span_of(configuration: model_pb2.ConfigurationVersion) -> Span:
    """Return when a configuration version is valid."""
    interval = configuration.interval
    return Span(
        from_us=moment_us(interval.valid_from) if interval.HasField("valid_from") else 0,
        to_us=moment_us(interval.valid_to) if interval.HasField("valid_to") else OPEN_US,
        configuration_id=ConfigurationId(configuration.configuration_id),
    )


def configurations_of(
    versions: Iterable[model_pb2.ConfigurationVersion],
) -> dict[AssetId, Configurations]:
    """Return the configuration history of each asset."""
    spans: dict[AssetId, list[Span]] = {}
    for version in versions:
        spans.setdefault(AssetId(version.asset_id), []).append(span_of(version))
    return {asset_id: Configurations.of(found) for asset_id, found in spans.items()}
