"""A live mesh, made once, fed by the tests through its public doors."""

import inspect
import json
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import paho.mqtt.client as mqtt
import pytest

from twinmesh_local.mesh import Mesh

T = TypeVar("T")


@dataclass(frozen=True)
class Answer:
    """What an HTTP door answered."""

    status: int
    body: Any

    @property
    def data(self) -> dict[str, Any]:
        """The data of a GraphQL answer without errors."""
        assert self.status == 200, self.body
        assert not self.body.get("errors"), self.body["errors"]
        return self.body["data"]

    @property
    def said(self) -> dict[str, Any]:
        """`extensions.twinmesh`."""
        return self.body["extensions"]["twinmesh"]


class Live:
    """A running mesh without a plant, and its public doors."""

    def __init__(self, mesh: Mesh) -> None:
        self.mesh = mesh
        self._tokens: dict[str, str] = {}

    def token(self, name: str) -> str:
        """Return an identity's token, fetched once."""
        if name not in self._tokens:
            self._tokens[name] = self.mesh.token(name)
        return self._tokens[name]

    def http(
        self,
        url: str,
        body: bytes,
        *,
        as_: str | None = "erp-app",
        token: str | None = None,
        content_type: str = "application/json",
        timeout_s: float = 30,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """POST to a door."""
        sent = {"content-type": content_type, **(headers or {})}
        if token or as_:
            sent["authorization"] = f"Bearer {token or self.token(as_ or '')}"
        request = urllib.request.Request(url, data=body, headers=sent)
        try:
            with urllib.request.urlopen(request, timeout=timeout_s) as answer:
                return Answer(answer.status, json.load(answer))
        except urllib.error.HTTPError as error:
            text = error.read()
            return Answer(error.code, json.loads(text) if text else None)

    def ask(
        self,
        query: str,
        variables: dict[str, Any] | None = None,
        *,
        as_: str | None = "erp-app",
        token: str | None = None,
        extensions: dict[str, Any] | None = None,
    ) -> Answer:
        """Ask the gateway."""
        body = {"query": query, "variables": variables or {}, "extensions": extensions or {}}
        return self.http(self.mesh.gateway_url, json.dumps(body).encode(), as_=as_, token=token)

    def import_plant(self, as_: str = "plant", **tables: str) -> Answer:
        """Import CSV tables."""
        url = self.mesh.url("asset-registry") + "/v1/plants:import"
        return self.http(url, json.dumps({"tables": tables}).encode(), as_=as_)

    def send_csv(self, source: str, text: str, *, as_: str | None = "plant", **more: Any) -> Answer:
        """Send readings as CSV."""
        url = self.mesh.url("telemetry") + f"/v1/readings?source={source}"
        return self.http(url, text.encode(), as_=as_, content_type="text/csv", **more)

    def device(self, source: str, tenant: str = "acme") -> mqtt.Client:
        """Return a connected MQTT client with a source's credential; the caller disconnects."""
        user, password = self.mesh.enrol_device(tenant=tenant, source=source)
        client = mqtt.Client(
            mqtt.CallbackAPIVersion.VERSION2,
            client_id=f"{source}-{uuid.uuid4().hex[:6]}",
            protocol=mqtt.MQTTv311,
        )
        client.username_pw_set(user, password)
        client.connect("127.0.0.1", self.mesh.port("mqtt"))
        client.loop_start()
        return client

    def publish(self, client: mqtt.Client, topic: str, payload: bytes | str) -> None:
        """Publish with QoS 1 and wait for the acknowledgement."""
        client.publish(topic, payload, qos=1).wait_for_publish(10)

    def counts(self, as_: str = "erp-app") -> dict[str, int]:
        """Return the tenant's ingest counts."""
        query = "{ ingest { received stored duplicate quarantined } }"
        return {k: int(v) for k, v in self.ask(query, as_=as_).data["ingest"].items()}

    def until(self, what: Callable[[], T], *, timeout_s: float = 30.0) -> T:
        """Return the first true value of `what`, asked again and again for a bounded time."""
        deadline = time.monotonic() + timeout_s
        while True:
            if found := what():
                return found
            if time.monotonic() > deadline:
                pytest.fail(f"not within {timeout_s:.0f} s: {inspect.getsource(what)}")
            time.sleep(0.1)

    def metrics(self, service: str) -> dict[str, float]:
        """Return a service's counters as Prometheus reads them."""
        with urllib.request.urlopen(self.mesh.url(service) + "/metrics", timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        pairs = (line.rsplit(" ", 1) for line in lines if line and not line.startswith("#"))
        return {name: float(value) for name, value in pairs}


@pytest.fixture(scope="session")
def live(tmp_path_factory) -> Iterator[Live]:
    """A mesh of the session's own."""
    mesh = Mesh(tmp_path_factory.mktemp("live"))
    mesh.start(bound=True)
    try:
        mesh.await_up()
        yield Live(mesh)
    finally:
        mesh.down()
