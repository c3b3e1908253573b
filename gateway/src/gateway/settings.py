"""Every knob of the gateway."""

import json
from typing import Any, Self

from pydantic import Field, SecretStr, model_validator

from twinmesh_federation.serving import HeaderRules, HeaderRulesError
from twinmesh_sdk.runtime.settings import TwinSettings

RESERVED_HEADERS = ("authorization", "traceparent", "tracestate", "cookie", "tm-")
MAX_TTL_S = 86_400.0


class GatewaySettings(TwinSettings):
    """Settings of the gateway. Variables are the field names, upper case, after `TWIN_`."""

    subgraph_timeout_s: float = Field(
        default=3.0, gt=0, le=60, description="deadline of each request to a subgraph, in seconds"
    )
    answer_timeout_s: float = Field(
        default=10.0, gt=0, le=120, description="deadline of a whole operation, in seconds"
    )
    max_body_bytes: int = Field(
        default=1_000_000, ge=1_000, le=10_000_000, description="largest request body, in bytes"
    )
    max_depth: int = Field(default=20, ge=1, le=100, description="deepest nesting of an operation")
    max_aliases: int = Field(default=100, ge=0, le=1_000, description="most aliases per operation")
    max_tokens: int = Field(
        default=15_000, ge=100, le=100_000, description="most lexical tokens per document"
    )
    max_field_cost: float = Field(
        default=100_000, ge=0, description="largest field cost of an operation; 0 for no limit"
    )
    max_type_cost: float = Field(
        default=500_000, ge=0, description="largest type cost of an operation; 0 for no limit"
    )
    assumed_list_size: int = Field(
        default=10, ge=1, le=1_000, description="entries assumed of a list without `@listSize`"
    )
    introspection: bool = Field(
        default=True, description="whether clients may ask for the schema itself"
    )
    rate_per_s: float = Field(
        default=200, ge=0, description="requests a second that each client regains; 0 for no limit"
    )
    rate_burst: int = Field(
        default=400, ge=1, le=100_000, description="requests that a client may make at once"
    )
    rate_clients: int = Field(
        default=10_000, ge=10, le=1_000_000, description="clients whose rates are remembered"
    )
    cors_origins: str = Field(
        default="",
        description="origins of pages that may ask, separated by commas; `*` allows all",
    )
    strict_csrf: bool = Field(
        default=False, description="whether each GET must carry a header that forces a preflight"
    )
    mask_errors: bool = Field(
        default=True, description="whether errors of subgraphs without a known code are replaced"
    )
    shown_error_codes: str = Field(
        default="",
        description="further codes of subgraphs' errors that clients see, separated by commas",
    )
    header_rules: str = Field(
        default="",
        description='JSON list of rules: `[{"name": "accept-language", "subgraph": "*"}]`',
    )
    automatic_documents: int = Field(
        default=1_000,
        ge=0,
        le=100_000,
        description="documents kept that clients register by SHA-256; 0 keeps none",
    )
    persisted_documents: str = Field(
        default="", description="file with a manifest of persisted documents; empty for none"
    )
    safelist: bool = Field(
        default=False, description="whether only documents of the manifest are answered"
    )
    entity_ttl_s: str = Field(
        default="",
        description='JSON object of seconds by type that entities are kept: `{"Asset": 30}`',
    )
    entity_cache_mb: int = Field(
        default=64, ge=1, le=4_096, description="size of all kept entities, in MB"
    )
    max_subscriptions: int = Field(
        default=500, ge=0, le=100_000, description="subscriptions open at once"
    )
    max_subscriptions_per_client: int = Field(
        default=20, ge=0, le=10_000, description="subscriptions open at once for one client"
    )
    subscription_buffer: int = Field(
        default=64, ge=1, le=10_000, description="events that wait for a slow client"
    )
    subscription_max_s: float = Field(
        default=21_600,
        gt=0,
        le=604_800,
        description="longest that a subscription lasts, in seconds",
    )
    keep_alive_s: float = Field(
        default=12.0, gt=0, le=60, description="silence after which a client hears a sign of life"
    )
    query_page: bool = Field(
        default=False,
        description="whether `/` shows a page to ask from, signed in; on a loopback address only",
    )
    query_page_samples: str = Field(
        default="", description="folder of saved questions (`*.graphql`) for the page"
    )
    query_page_client_id: str = Field(
        default="", description="client id at the issuer that the page asks as"
    )
    query_page_client_secret: SecretStr = Field(
        default=SecretStr(""), description="its secret, from a mounted secret"
    )

    @model_validator(mode="after")
    def _readable(self) -> Self:
        """Refuse at start what would fail with the first request."""
        self.header_rules_read()
        self.entity_ttls()
        if self.safelist and not self.persisted_documents:
            raise ValueError("a safelist needs persisted_documents")
        if self.query_page and self.http_host not in ("127.0.0.1", "localhost", "::1"):
            raise ValueError("query_page hands out a token: it needs a loopback http_host")
        return self

    def header_rules_read(self) -> HeaderRules:
        """Return the header rules.

        Raises:
            ValueError: They have another form.
        """
        rules = _json(self.header_rules, list, "header_rules")
        try:
            return HeaderRules.of(rules or [], reserved=RESERVED_HEADERS)
        except HeaderRulesError as error:
            raise ValueError(f"header_rules: {error}") from error

    def entity_ttls(self) -> dict[str, float]:
        """Return how long entities are kept, by type.

        Raises:
            ValueError: It has another form, or a time is not between 0 and a day.
        """
        found: dict[str, float] = {}
        for name, ttl_s in (_json(self.entity_ttl_s, dict, "entity_ttl_s") or {}).items():
            if isinstance(ttl_s, bool) or not isinstance(ttl_s, int | float):
                raise ValueError(f"entity_ttl_s: {name} needs a number of seconds")
            if not 0 <= ttl_s <= MAX_TTL_S:
                raise ValueError(f"entity_ttl_s: {name} must be between 0 and {MAX_TTL_S:g} s")
            found[name] = float(ttl_s)
        return found


def listed(text: str) -> frozenset[str]:
    """Return the parts of a comma-separated setting."""
    return frozenset(part for raw in text.split(",") if (part := raw.strip()))


def _json(text: str, kind: type, name: str) -> Any:  # noqa: ANN401 - JSON
    if not text.strip():
        return None
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"{name} is not JSON: {error}") from error
    if not isinstance(value, kind):
        raise ValueError(f"{name} must be a JSON {kind.__name__}")
    return value
