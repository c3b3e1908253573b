"""The models that this release brings, as their authors submit them to governance."""

import json
from dataclasses import asdict
from typing import Final

from maintenance_twin.model.tuning import DEFAULT, MODEL_NAME
from twinmesh.governance.v1.governance_service_pb2 import SubmitModelRequest
from twinmesh.governance.v1.model_pb2 import BackTest, ModelField, ModelSchema, ModelScope

PUMP_CONDITION_VERSION: Final = "1.0.0"
"""Raise it with every change of the model's constants: a version's content never changes."""

BACK_TEST: Final = BackTest(
    reference="services/maintenance-twin/tests/unit/test_recorded_runs.py",
    metric="recorded valve runs, of 16, with one work item and none before the labelled start",
    achieved=15,
    threshold=12,
    baseline="run to failure: nothing is found",
    baseline_achieved=0,
)
"""What the recorded runs show, and tests hold: at least 15 of 16 (S1 asks for 12)."""

SCHEMA: Final = ModelSchema(
    inputs=[
        ModelField(name="flow", kind="double", unit="m3/s", optional=True),
        ModelField(name="pressure", kind="double", unit="Pa", optional=True),
        ModelField(name="power", kind="double", unit="W", optional=True),
        ModelField(name="current", kind="double", unit="A", optional=True),
        ModelField(name="vibration", kind="double", unit="m/s", optional=True),
        ModelField(name="temperature", kind="double", unit="K", optional=True),
        ModelField(name="operating_mode", kind="long", optional=True),
    ],
    outputs=[
        ModelField(name="state", kind="string"),
        ModelField(name="failure_mode", kind="string"),
        ModelField(name="probability", kind="double", unit="1"),
    ],
)


def pump_condition() -> SubmitModelRequest:
    """Return the condition model of pumps. Its artefact is its constants: the rest is learnt."""
    return SubmitModelRequest(
        name=MODEL_NAME,
        version=PUMP_CONDITION_VERSION,
        artefact=json.dumps(asdict(DEFAULT), sort_keys=True, separators=(",", ":")).encode(),
        scope=ModelScope(asset_classes=["pump"]),
        back_test=BACK_TEST,
        training_data="none: what is healthy is learnt from each asset's own first readings",
        signature=SCHEMA,
        description=(
            "Healthy baseline per asset and configuration, EWMA chart of the Mahalanobis distance. "
            "Its probabilities are not calibrated."
        ),
    )
