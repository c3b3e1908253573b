"""The models that this release brings, as their authors submit them to governance."""

import hashlib
import json
from dataclasses import asdict
from typing import Final

from maintenance_twin.model.tuning import DEFAULT, MODEL_NAME
from twinmesh.governance.v1.governance_service_pb2 import SubmitModelRequest
from twinmesh.governance.v1.model_pb2 import BackTest, ModelScope

PUMP_CONDITION_VERSION: Final = "1.0.0"
"""Raise it with every change of the model's constants: a version's content never changes."""
BACK_TEST: Final = "services/maintenance-twin/tests/unit/test_recorded_runs.py"
"""Recorded runs, replayed: what is to be found is found after its onset, and health is silent."""


def pump_condition() -> SubmitModelRequest:
    """Return the condition model of pumps. Its artefact is its constants: the rest is learnt."""
    constants = json.dumps(asdict(DEFAULT), sort_keys=True, separators=(",", ":"))
    return SubmitModelRequest(
        name=MODEL_NAME,
        version=PUMP_CONDITION_VERSION,
        artefact_digest=f"sha256:{hashlib.sha256(constants.encode()).hexdigest()}",
        scope=ModelScope(asset_classes=["pump"]),
        back_test=BackTest(reference=BACK_TEST),
        description=(
            "Healthy baseline per asset and configuration, EWMA chart of the Mahalanobis distance. "
            "Its probabilities are not calibrated."
        ),
    )
