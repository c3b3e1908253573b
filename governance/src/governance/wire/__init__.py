"""Protobuf to governance's model and back; the only translator."""

from governance.wire.audit import (
    audit_to_pb,
    consistency_to_pb,
    facts_from_json,
    head_to_pb,
    inclusion_to_pb,
)
from governance.wire.changes import deprecated_to_pb, override_to_pb, uses_to_pb
from governance.wire.consumption import report_from_bytes
from governance.wire.contracts import (
    bundle_from_pb,
    bundle_to_pb,
    consumer_to_pb,
    contract_to_pb,
    finding_to_pb,
    make_bundle,
    pushed_to_pb,
    read_charter,
)
from governance.wire.deployments import (
    answer_to_pb,
    deployment_state_from_pb,
    deployment_to_pb,
    recorded_to_pb,
)
from governance.wire.lineage import receipt_from_pb, receipt_to_pb, receipts_from_bytes
from governance.wire.models import (
    alarm_to_pb,
    back_test_from_pb,
    derived_to_pb,
    model_to_pb,
    scope_from_pb,
    signature_from_pb,
)
from governance.wire.shadows import (
    drift_name,
    drift_sum,
    drift_to_pb,
    report_to_pb,
    retraining_to_pb,
    ruling_to_pb,
)
from governance.wire.times import time_or_none

__all__ = [
    "alarm_to_pb",
    "answer_to_pb",
    "audit_to_pb",
    "back_test_from_pb",
    "bundle_from_pb",
    "bundle_to_pb",
    "consistency_to_pb",
    "consumer_to_pb",
    "contract_to_pb",
    "deployment_state_from_pb",
    "deployment_to_pb",
    "deprecated_to_pb",
    "derived_to_pb",
    "drift_name",
    "drift_sum",
    "drift_to_pb",
    "facts_from_json",
    "finding_to_pb",
    "head_to_pb",
    "inclusion_to_pb",
    "make_bundle",
    "model_to_pb",
    "override_to_pb",
    "pushed_to_pb",
    "read_charter",
    "receipt_from_pb",
    "receipt_to_pb",
    "receipts_from_bytes",
    "recorded_to_pb",
    "report_from_bytes",
    "report_to_pb",
    "retraining_to_pb",
    "ruling_to_pb",
    "scope_from_pb",
    "signature_from_pb",
    "time_or_none",
    "uses_to_pb",
]
