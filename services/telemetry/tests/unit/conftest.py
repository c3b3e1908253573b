import numpy as np
import pytest

from telemetry.model.signal import Signal
from twinmesh_sdk.core.ids import AssetId, SignalId, Tenant

T0 = 1_767_225_600_000_000
SECOND = 1_000_000


def make_signal(number=1, **more):
    values = {
        "tenant": Tenant("acme"),
        "asset_id": AssetId(f"ast_{number // 10:026d}"),
        "signal_id": SignalId(f"sig_{number:026d}"),
        "name": "flow",
        "unit": "m3/s",
        "source_unit": "m3/s",
        "source": "skid",
        "device": f"p{number}",
        "source_signal": "flow",
        "cadence_s": 1.0,
    }
    return Signal(**(values | more))


@pytest.fixture(scope="session")
def signal():
    return make_signal


@pytest.fixture
def t0():
    return T0


@pytest.fixture
def ints():
    return lambda *values: np.array(values, np.int64)
