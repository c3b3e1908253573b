"""Documents, rates, foreign pages, masked errors, propagated headers."""

import hashlib
import json

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinmesh_federation import (
    Engine,
    ExecutionResult,
    GraphQLRequest,
    Subgraph,
    SubgraphResponse,
    compose,
)
from twinmesh_federation.http import GRAPHQL_RESPONSE, GraphQLHandler, application
from twinmesh_federation.serving import (
    AutomaticDocuments,
    CsrfPolicy,
    DocumentPolicy,
    ErrorMasking,
    HeaderRules,
    HeaderRulesError,
    ManifestError,
    RateLimit,
    RateLimiter,
    RefusedRequest,
    read_manifest,
)
from twinmesh_federation.serving.pipeline import Pipeline

HELLO = "{ hello }"
DIGEST = hashlib.sha256(HELLO.encode()).hexdigest()


def named(digest=DIGEST, version=1):
    return {"persistedQuery": {"version": version, "sha256Hash": digest}}


# ------------------------------------------------------------------- documents


def test_a_document_sent_once_is_found_by_its_digest_afterwards():
    policy = DocumentPolicy(automatic=AutomaticDocuments())
    with pytest.raises(RefusedRequest) as unknown:
        policy.resolve(GraphQLRequest(None, extensions=named()))
    assert unknown.value.code == "PERSISTED_QUERY_NOT_FOUND"
    policy.resolve(GraphQLRequest(HELLO, extensions=named()))
    assert policy.resolve(GraphQLRequest(None, extensions=named())).query == HELLO


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (GraphQLRequest("{ other }", extensions=named()), "PERSISTED_QUERY_HASH_MISMATCH"),
        (GraphQLRequest(None, extensions=named(version=2)), "BAD_REQUEST"),
        (GraphQLRequest(None, extensions={"persistedQuery": DIGEST}), "BAD_REQUEST"),
        (GraphQLRequest(None, document_id="none"), "PERSISTED_QUERY_NOT_FOUND"),
    ],
)
def test_a_name_that_leads_nowhere_is_refused(request_, code):
    policy = DocumentPolicy(automatic=AutomaticDocuments())
    with pytest.raises(RefusedRequest) as refused:
        policy.resolve(request_)
    assert refused.value.code == code


def test_without_automatic_documents_the_client_is_told_so():
    with pytest.raises(RefusedRequest) as refused:
        DocumentPolicy().resolve(GraphQLRequest(None, extensions=named()))
    assert refused.value.code == "PERSISTED_QUERY_NOT_SUPPORTED"


@given(st.lists(st.text("ab", min_size=1, max_size=8), max_size=40))
def test_automatic_documents_stay_within_their_bounds(documents):
    kept = AutomaticDocuments(count=5, chars=20)
    for document in documents:
        kept.put(document, document)
    assert len(kept) <= 5
    held = [d for d in set(documents) if kept.get(d) is not None]
    assert sum(map(len, held)) <= 20
    if documents and documents[-1] not in documents[:-1]:
        assert kept.get(documents[-1]) == documents[-1]


def test_a_safelist_answers_what_it_has_by_name_or_whole_and_nothing_else():
    policy = DocumentPolicy(
        persisted={"sha256:" + DIGEST: HELLO, "v1": "{ a }"},
        safelist=True,
        automatic=AutomaticDocuments(),
    )
    for request in (
        GraphQLRequest(None, extensions=named()),
        GraphQLRequest(None, document_id=DIGEST),
        GraphQLRequest(None, document_id="sha256:" + DIGEST),
        GraphQLRequest(HELLO),
    ):
        assert policy.resolve(request).query == HELLO
    assert policy.resolve(GraphQLRequest(None, document_id="v1")).query == "{ a }"
    other = hashlib.sha256(b"{ other }").hexdigest()
    for request in (
        GraphQLRequest("{ other }"),
        GraphQLRequest("{ other }", extensions=named(other)),
        GraphQLRequest(None, extensions=named(other)),
        GraphQLRequest(None, document_id="v2"),
    ):
        with pytest.raises(RefusedRequest) as refused:
            policy.resolve(request)
        assert refused.value.code == "QUERY_NOT_IN_SAFELIST"
    with pytest.raises(RefusedRequest):
        policy.resolve(GraphQLRequest("{ other }", document_id="v1"))


def test_both_forms_of_a_manifest_are_read(tmp_path):
    plain, full = tmp_path / "plain.json", tmp_path / "full.json"
    plain.write_text(json.dumps({"a": HELLO}))
    full.write_text(
        json.dumps(
            {
                "format": "apollo-persisted-query-manifest",
                "version": 1,
                "operations": [{"id": "a", "name": "A", "type": "query", "body": HELLO}],
            }
        )
    )
    assert read_manifest(plain) == read_manifest(full) == {"a": HELLO}


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{", '{"a": 1}', '{"a": ""}', '{"operations": []}',
     '{"format": "apollo-persisted-query-manifest", "version": 1, "operations": [1]}'],
)  # fmt: skip
def test_what_is_no_manifest_is_refused(tmp_path, text):
    file = tmp_path / "manifest.json"
    file.write_text(text)
    with pytest.raises(ManifestError):
        read_manifest(file)
    with pytest.raises(ManifestError):
        read_manifest(tmp_path / "absent.json")


# ----------------------------------------------------------------------- rates


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def test_a_client_over_its_rate_is_told_when_to_come_back():
    clock = Clock()
    limiter = RateLimiter(RateLimit(per_second=0.5, burst=2), clock=clock)
    limiter.take("a")
    limiter.take("a")
    limiter.take("b")
    with pytest.raises(RefusedRequest) as refused:
        limiter.take("a")
    assert refused.value.status == 429
    assert refused.value.headers == {"retry-after": "2"}
    clock.now = 2.0
    limiter.take("a")


@given(st.lists(st.floats(0, 2), max_size=60))
def test_no_client_ever_gets_more_than_burst_and_rate_allow(pauses):
    clock = Clock()
    limiter = RateLimiter(RateLimit(per_second=3, burst=4), clock=clock)
    taken = 0
    for pause in pauses:
        clock.now += pause
        try:
            limiter.take("a")
        except RefusedRequest:
            continue
        taken += 1
    assert taken <= 4 + 3 * clock.now + 1e-6


def test_the_table_of_clients_is_bounded():
    limiter = RateLimiter(RateLimit(per_second=1, burst=1), clients=10)
    for client in range(100):
        limiter.take(client)
    assert len(limiter) == 10


# --------------------------------------------------------------- foreign pages


@pytest.mark.parametrize(
    ("headers", "strict", "passes"),
    [
        ({}, False, True),
        ({}, True, False),
        ({"sec-fetch-site": "none"}, False, True),
        ({"sec-fetch-site": "same-origin"}, False, True),
        ({"sec-fetch-site": "cross-site"}, False, False),
        ({"sec-fetch-site": "same-site"}, False, False),
        ({"sec-fetch-site": "cross-site", "origin": "https://ours"}, False, True),
        ({"sec-fetch-site": "cross-site", "content-type": "application/json"}, True, True),
        ({"sec-fetch-site": "cross-site", "content-type": "text/plain;x=y"}, False, False),
        ({"sec-fetch-site": "cross-site", "x-graphql-require-preflight": "1"}, True, True),
        ({"sec-fetch-site": "cross-site", "x-graphql-require-preflight": ""}, False, False),
        ({"origin": "https://evil", "host": "ours"}, False, False),
        ({"origin": "https://Here:8080", "host": "here:8080"}, False, True),
        ({"origin": "null", "host": "here"}, False, False),
    ],
)
def test_a_foreign_page_cannot_make_a_browser_ask(headers, strict, passes):
    policy = CsrfPolicy(frozenset({"https://ours"}), strict=strict)
    if passes:
        policy.check(headers)
    else:
        with pytest.raises(RefusedRequest):
            policy.check(headers)


# --------------------------------------------------------------------- masking


def test_errors_that_a_subgraph_did_not_mean_for_clients_are_replaced():
    meant = {"message": "no such pump", "extensions": {"code": "NOT_FOUND", "serviceName": "a"}}
    timeout = {"message": "late", "extensions": {"code": "TIMEOUT", "serviceName": "a"}}
    own = {"message": "null", "path": ["x"]}
    bug = {
        "message": "SELECT secret FROM t",
        "path": ["pump", 0],
        "extensions": {"code": "SQL", "serviceName": "a", "stacktrace": ["…"], "traceId": "t"},
    }
    result = ExecutionResult(errors=[meant, timeout, own, bug])

    masked = ErrorMasking({"NOT_FOUND"}).apply(result)

    assert masked == [bug]
    assert result.errors[:3] == [meant, timeout, own]
    assert "secret" not in json.dumps(result.errors)
    assert result.errors[3]["path"] == ["pump", 0]
    assert result.errors[3]["extensions"] == {
        "code": "DOWNSTREAM_SERVICE_ERROR", "serviceName": "a", "traceId": "t",
    }  # fmt: skip


# --------------------------------------------------------------------- headers


def test_headers_go_where_the_rules_say_and_nowhere_else():
    rules = HeaderRules.of(
        [
            {"name": "Accept-Language", "default": "en"},
            {"name": "x-plant", "subgraph": "energy", "as": "x-site"},
            {"as": "x-via", "value": "gateway"},
        ]
    )
    asked = {"accept-language": "de", "x-plant": "P1", "cookie": "c"}
    assert rules.kept(asked) == {"accept-language": "de", "x-plant": "P1"}
    assert rules.headers(asked, "energy") == {
        "accept-language": "de", "x-site": "P1", "x-via": "gateway",
    }  # fmt: skip
    assert rules.headers({}, "telemetry") == {"accept-language": "en", "x-via": "gateway"}
    assert rules.headers({"accept-language": "a\r\nx: y"}, "t")["accept-language"] == "en"


@pytest.mark.parametrize(
    "rule",
    [
        {},
        {"name": ""},
        {"name": "a", "value": "b"},
        {"name": "a b"},
        {"name": "content-length"},
        {"name": "x", "as": "host"},
        {"name": "x", "as": "tm-now"},
        {"name": "Authorization"},
        {"as": "x", "value": "a\nb"},
        {"name": "x", "strange": "y"},
        {"name": 1},
    ],
)
def test_a_rule_that_cannot_be_kept_is_refused(rule):
    with pytest.raises(HeaderRulesError):
        HeaderRules.of([rule], reserved=("authorization", "tm-"))


# ------------------------------------------------------------------ all of them


class Hello:
    async def send(self, request):
        return SubgraphResponse({"hello": "world"})

    async def close(self):
        pass


async def test_the_handler_names_refuses_and_limits():
    supergraph = compose([Subgraph("a", "http://a", "type Query { hello: String }")]).supergraph
    engine = Engine(Hello(), supergraph=supergraph)
    limiter = RateLimiter(RateLimit(per_second=0.01, burst=4))

    def context(connection, _request):
        limiter.take(connection.client.host)

    pipeline = Pipeline(
        engine, context=context, documents=DocumentPolicy(automatic=AutomaticDocuments())
    )
    app = application(engine, GraphQLHandler(pipeline, csrf=CsrfPolicy()))
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://t") as http:
        foreign = await http.get(
            "/graphql", params={"query": HELLO}, headers={"sec-fetch-site": "cross-site"}
        )
        miss = await http.post("/graphql", json={"extensions": named()})
        strict_miss = await http.post(
            "/graphql", json={"extensions": named()}, headers={"accept": GRAPHQL_RESPONSE}
        )
        put = await http.post("/graphql", json={"query": HELLO, "extensions": named()})
        hit = await http.get("/graphql", params={"extensions": json.dumps(named())})
        over = await http.post("/graphql", json={"query": HELLO})

    assert foreign.status_code == 403
    assert (miss.status_code, strict_miss.status_code) == (200, 400)
    assert miss.json()["errors"][0]["message"] == "PersistedQueryNotFound"
    assert put.json() == hit.json() == {"data": {"hello": "world"}}
    assert over.status_code == 429
    assert int(over.headers["retry-after"]) > 0
    assert over.json()["errors"][0]["extensions"]["code"] == "LIMIT_EXCEEDED"
