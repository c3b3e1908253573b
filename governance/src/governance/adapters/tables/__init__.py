"""The tables of governance's database, as the adapter reads and writes them."""

from governance.adapters.tables.changes import DEPRECATIONS, OVERRIDES
from governance.adapters.tables.consumption import (
    CLIENT_OWNERS,
    CONSUMPTION_REPORTS,
    CONTRACT_USES,
)
from governance.adapters.tables.contracts import CONTRACTS, SUPERGRAPHS
from governance.adapters.tables.deployments import DEPLOYMENTS
from governance.adapters.tables.lineage import DERIVED, RECEIPT_REPORTS, RECEIPTS
from governance.adapters.tables.metadata import METADATA
from governance.adapters.tables.models import MODELS
from governance.adapters.tables.outbox import OUTBOX
from governance.adapters.tables.shadows import COMPARISONS, MEASUREMENTS, RETRAININGS, RULINGS

__all__ = [
    "CLIENT_OWNERS",
    "COMPARISONS",
    "CONSUMPTION_REPORTS",
    "CONTRACTS",
    "CONTRACT_USES",
    "DEPLOYMENTS",
    "DEPRECATIONS",
    "DERIVED",
    "MEASUREMENTS",
    "METADATA",
    "MODELS",
    "OUTBOX",
    "OVERRIDES",
    "RECEIPTS",
    "RECEIPT_REPORTS",
    "RETRAININGS",
    "RULINGS",
    "SUPERGRAPHS",
]
