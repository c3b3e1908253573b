"""The page to ask from: this machine only, nothing from elsewhere, files as verified."""

import json
import re

import httpx
import pytest
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from gateway.query_page import VERIFIED, QueryPage, Sample, read_samples, verified_files
from gateway.settings import GatewaySettings
from twinmesh_sdk.core.errors import PreconditionFailedError, TwinError


async def token():
    return "to</script>ken"


async def failed(_request: Request, error: Exception):
    return JSONResponse({"code": error.code.value}, status_code=403)


def client(samples=()):
    page = QueryPage(list(samples), token)
    routes = [Route("/", page.page), Route("/query-page/{name}", page.file)]
    app = Starlette(routes=routes, exception_handlers={TwinError: failed})
    transport = httpx.ASGITransport(app=app)
    return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8080")


async def test_the_page_is_signed_in_and_loads_only_its_own_files():
    async with client([Sample("a", "{ assets { id } }")]) as http:
        answer = await http.get("/")
        html = answer.text
        loaded = re.findall(r'(?:src|href)="(/[^"]+)"', html)
        assert all(name.startswith("/query-page/") for name in loaded)
        assert len(loaded) == 5
        assert not re.search(r'(?:src|href)="(?:https?:)?//', html)
        for name in loaded:
            assert (await http.get(name)).status_code == 200
        assert (await http.get("/query-page/../settings.py")).status_code != 200
        assert (await http.get("/query-page/other.js")).status_code == 403
    told = json.loads(re.search(r"const told = (.*);", html).group(1))
    assert told == {"token": "to</script>ken", "tabs": [{"query": "{ assets { id } }"}]}
    assert "to</script>ken" not in html
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "10.0.0.1:80"])
async def test_another_name_for_this_machine_gets_no_token(host):
    async with client() as http:
        assert (await http.get("/", headers={"host": host})).status_code == 403
        assert (await http.get("/", headers={"host": "localhost:8080"})).status_code == 200


def test_a_file_that_is_not_the_verified_one_is_not_served():
    with pytest.raises(PreconditionFailedError, match="verified"):
        verified_files({**VERIFIED, "graphiql.min.js": "AAAA"})


def test_saved_questions_are_read_by_name_and_bounded(tmp_path):
    for name in ("b", "a"):
        (tmp_path / f"{name}.graphql").write_text("{ " + name + " }")
    assert [s.name for s in read_samples(tmp_path)] == ["a", "b"]
    (tmp_path / "c.graphql").write_text("#" * 30_000)
    with pytest.raises(PreconditionFailedError):
        read_samples(tmp_path)
    with pytest.raises(PreconditionFailedError):
        read_samples(tmp_path / "none")


def test_the_page_is_refused_where_others_could_reach_it():
    with pytest.raises(ValidationError, match="loopback"):
        GatewaySettings(oidc_issuer="http://i", query_page=True, http_host="0.0.0.0")
    assert not GatewaySettings(oidc_issuer="http://i").query_page
