"""Between rows and what they mean: the only place that knows both."""

from governance.adapters.rows.changes import (
    deprecation_of,
    deprecation_row,
    override_of,
    override_row,
)
from governance.adapters.rows.consumption import owner_of, use_of, use_row
from governance.adapters.rows.contracts import (
    contract_of,
    contract_row,
    supergraph_of,
    supergraph_row,
)
from governance.adapters.rows.deployments import deployment_of, deployment_row
from governance.adapters.rows.lineage import derived_of, derived_row, receipt_of, receipt_row
from governance.adapters.rows.models import model_of, model_row
from governance.adapters.rows.outbox import outbox_of, outbox_row
from governance.adapters.rows.row import utc
from governance.adapters.rows.shadows import (
    compared_of,
    comparison_rows,
    figures_of,
    measurement_row,
    retraining_of,
    retraining_row,
    ruling_of,
    ruling_row,
)

__all__ = [
    "compared_of",
    "comparison_rows",
    "contract_of",
    "contract_row",
    "deployment_of",
    "deployment_row",
    "deprecation_of",
    "deprecation_row",
    "derived_of",
    "derived_row",
    "figures_of",
    "measurement_row",
    "model_of",
    "model_row",
    "outbox_of",
    "outbox_row",
    "override_of",
    "override_row",
    "owner_of",
    "receipt_of",
    "receipt_row",
    "retraining_of",
    "retraining_row",
    "ruling_of",
    "ruling_row",
    "supergraph_of",
    "supergraph_row",
    "use_of",
    "use_row",
    "utc",
]
