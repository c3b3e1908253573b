"""What every twin answers, whatever its domain: states of assets, explanations of outputs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from twinmesh_sdk.core.times import OPEN_US
from twinmesh_sdk.core.trust import Trust


@dataclass(frozen=True, slots=True)
class TwinState:
    """What a twin holds about one asset.

    Attributes:
        state: The domain's word for it, for example HEALTHY.
        attributes: Further facts as JSON values: text, numbers, lists, objects.
        valid_from_us: Plant time, UTC microseconds, as the other three bounds.
    """

    asset_id: str
    state: str
    trust: Trust
    valid_from_us: int
    recorded_from_us: int
    valid_to_us: int = OPEN_US
    recorded_to_us: int = OPEN_US
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a twin says what it says about one output.

    Attributes:
        explanation: The evidence, in the domain's words, as JSON values.
        recorded_at: Wall time.
    """

    output_id: str
    asset_id: str
    trust: Trust
    recorded_at: datetime
    explanation: Mapping[str, Any] = field(default_factory=dict)
    configuration_version: str = ""
    model_version: str = ""
    trace_id: str = ""
