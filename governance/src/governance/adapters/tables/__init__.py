"""The tables of governance's database, as the adapter reads and writes them."""

from governance.adapters.tables.audit import AUDIT
from governance.adapters.tables.contracts import CONTRACTS, SUPERGRAPHS
from governance.adapters.tables.metadata import METADATA
from governance.adapters.tables.models import MODELS

__all__ = ["AUDIT", "CONTRACTS", "METADATA", "MODELS", "SUPERGRAPHS"]
