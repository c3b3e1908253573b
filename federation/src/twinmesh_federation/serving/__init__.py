"""What stands between clients and the engine: who may ask, how often, which documents."""

from twinmesh_federation.serving.csrf import CsrfPolicy
from twinmesh_federation.serving.documents import (
    AutomaticDocuments,
    DocumentPolicy,
    ManifestError,
    read_manifest,
)
from twinmesh_federation.serving.masking import ErrorMasking
from twinmesh_federation.serving.propagation import HeaderRules, HeaderRulesError
from twinmesh_federation.serving.rates import RateLimit, RateLimiter
from twinmesh_federation.serving.refusal import RefusedRequest

__all__ = [
    "AutomaticDocuments",
    "CsrfPolicy",
    "DocumentPolicy",
    "ErrorMasking",
    "HeaderRules",
    "HeaderRulesError",
    "ManifestError",
    "RateLimit",
    "RateLimiter",
    "RefusedRequest",
    "read_manifest",
]
