"""Signal definitions as the registry sends them."""

import math

from telemetry.model.signal import Signal
from twinmesh.assets.v1 import model_pb2
from twinmesh_sdk.core.ids import AssetId, SignalId, Tenant
from twinmesh_sdk.core.times import OPEN_US
from twinmesh_sdk.wire import moment_us


def signal_from_pb(tenant: str, message: model_pb2.SignalDefinition) -> Signal:
    """Return the definition that a message carries.

    Raises:
        InvalidInputError: It is none.
    """
    interval = message.interval
    return Signal(
        tenant=Tenant(tenant),
        asset_id=AssetId(message.asset_id),
        signal_id=SignalId(message.signal_id),
        name=message.name,
        unit=message.unit,
        source_unit=message.source_unit or message.unit,
        source=message.source,
        device=message.device,
        source_signal=message.source_signal or message.name,
        cadence_s=message.cadence_s,
        range_min=message.range_min if message.HasField("range_min") else -math.inf,
        range_max=message.range_max if message.HasField("range_max") else math.inf,
        stuck_after=message.stuck_after,
        time_zone=message.time_zone,
        valid_from_us=moment_us(interval.valid_from) if interval.HasField("valid_from") else 0,
        valid_to_us=moment_us(interval.valid_to) if interval.HasField("valid_to") else OPEN_US,
    )
