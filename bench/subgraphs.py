"""Four subgraphs of one plant, served over HTTP/1.1 on loopback, each in a process of its own.

They are honest: each parses the operation it is sent, resolves what it selects from a model of the
plant, and looks entities up by their representations. Whole answers are remembered by request
body, so that no gateway waits for them.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator
from typing import Any, Final, cast

import httptools
import orjson
import uvloop
from graphql import FieldNode, InlineFragmentNode, OperationDefinitionNode, parse
from graphql.utilities import value_from_ast_untyped

MAX_ANSWERS: Final = 256
MAX_BODY_BYTES: Final = 4 * 1024 * 1024
_LINK: Final = (
    'extend schema @link(url: "https://specs.apollo.dev/federation/v2.3", import: ["@key"])\n'
)
SDL: Final = {
    "assets": _LINK
    + """
    type Query { assets(first: Int!): [Asset!]! }
    type Asset @key(fields: "id") {
      id: ID! name: String! site: Site! manufacturer: String! model: String! serial: String!
      description: String
    }
    type Site { id: ID! name: String! timeZone: String! }
    """,
    "condition": _LINK
    + """
    type Asset @key(fields: "id") { id: ID! health: Health signals: [Signal!]! }
    type Health { score: Float! verdict: Verdict! assessedAt: String! }
    enum Verdict { TRUSTED STALE UNKNOWN }
    type Signal { id: ID! kind: String! unit: String! value: Float observedAt: String! }
    """,
    "energy": _LINK
    + """
    type Asset @key(fields: "id") { id: ID! power: Power }
    type Power { activeW: Float! expectedW: Float! excessWh: Float! since: String! }
    """,
    "work": _LINK
    + """
    type Asset @key(fields: "id") { id: ID! workItems: [WorkItem!]! }
    type WorkItem { id: ID! title: String! state: State! openedAt: String! assignee: Person }
    enum State { OPEN DONE }
    type Person { id: ID! name: String! }
    """,
}


def _asset(number: int) -> dict[str, Any]:
    return {
        "__typename": "Asset",
        "id": f"ast_{number:05d}",
        "name": f"Feed pump {number}",
        "site": {
            "__typename": "Site", "id": f"sit_{number % 7}", "name": f"Works {number % 7}",
            "timeZone": "Europe/Zurich",
        },
        "manufacturer": "Example Pumps",
        "model": f"EP-{number % 12:03d}",
        "serial": f"SN-{number * 7919:09d}",
        "description": f"Centrifugal pump on line {number % 5}, skid mounted",
    }  # fmt: skip


def _condition(number: int) -> dict[str, Any]:
    return {
        "__typename": "Asset",
        "id": f"ast_{number:05d}",
        "health": {
            "__typename": "Health", "score": 0.5 + number % 50 / 100,
            "verdict": ("TRUSTED", "STALE", "UNKNOWN")[number % 3],
            "assessedAt": "2024-05-01T10:00:00Z",
        },
        "signals": [
            {
                "__typename": "Signal", "id": f"sig_{number:05d}_{kind}", "kind": kind,
                "unit": unit, "value": None if number % 11 == 0 else 1.5 * number + 0.25,
                "observedAt": "2024-05-01T09:59:30Z",
            }
            for kind, unit in (("suction_pressure", "Pa"), ("vibration", "m/s"), ("flow", "m3/s"))
        ],
    }  # fmt: skip


def _energy(number: int) -> dict[str, Any]:
    return {
        "__typename": "Asset",
        "id": f"ast_{number:05d}",
        "power": {
            "__typename": "Power", "activeW": 5_000.5 + number, "expectedW": 4_800.25 + number,
            "excessWh": 12.5 * number, "since": "2024-05-01T00:00:00Z",
        },
    }  # fmt: skip


def _work(number: int) -> dict[str, Any]:
    return {
        "__typename": "Asset",
        "id": f"ast_{number:05d}",
        "workItems": [
            {
                "__typename": "WorkItem", "id": f"wrk_{number:05d}_{n}",
                "title": f"Inspect the seal, round {n}", "state": ("OPEN", "DONE")[n % 2],
                "openedAt": "2024-04-30T07:15:00Z",
                "assignee": {"__typename": "Person", "id": f"per_{n}", "name": f"Technician {n}"},
            }
            for n in range(1 + number % 2)
        ],
    }  # fmt: skip


MODEL: Final[dict[str, Callable[[int], dict[str, Any]]]] = {
    "assets": _asset, "condition": _condition, "energy": _energy, "work": _work,
}  # fmt: skip


class Answers:
    """Answers GraphQL request bodies for one subgraph."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._make = MODEL[name]
        self._known: dict[bytes, bytes] = {}

    def answer(self, body: bytes) -> bytes:
        """Return the response body for a request body."""
        known = self._known.get(body)
        if known is None:
            if len(self._known) >= MAX_ANSWERS:
                self._known.clear()
            known = self._known[body] = orjson.dumps(self._execute(orjson.loads(body)))
        return known

    def _execute(self, request: dict[str, Any]) -> dict[str, Any]:
        document = parse(request["query"])
        definition = document.definitions[0]
        assert isinstance(definition, OperationDefinitionNode)
        variables = request.get("variables") or {}
        data: dict[str, Any] = {}
        for node in _fields(definition, ("Query",)):
            arguments = {
                a.name.value: value_from_ast_untyped(a.value, variables)
                for a in node.arguments or ()
            }
            data[node.alias.value if node.alias else node.name.value] = self._root(node, arguments)
        return {"data": data}

    def _root(self, node: FieldNode, arguments: dict[str, Any]) -> Any:  # noqa: ANN401 - JSON
        match node.name.value:
            case "assets":
                found = [self._make(n) for n in range(arguments["first"])]
            case "_entities":
                found = [
                    self._make(int(r["id"].removeprefix("ast_")))
                    for r in arguments["representations"]
                ]
            case "__typename":
                return "Query"
            case other:
                raise ValueError(f"{self._name} has no field Query.{other}")
        return [_project(node, value) for value in found]


def _fields(node: Any, types: tuple[str, ...]) -> Iterator[FieldNode]:  # noqa: ANN401 - any AST node
    for child in node.selection_set.selections:
        if isinstance(child, FieldNode):
            yield child
        elif isinstance(child, InlineFragmentNode):
            condition = child.type_condition
            if condition is None or condition.name.value in types:
                yield from _fields(child, types)
        else:
            raise ValueError("named fragments are not known here")


def _project(node: FieldNode, value: Any) -> Any:  # noqa: ANN401 - JSON
    if node.selection_set is None or value is None:
        return value
    if isinstance(value, list):
        return [_project(node, item) for item in value]
    return {
        child.alias.value if child.alias else child.name.value: _project(
            child, value[child.name.value]
        )
        for child in _fields(node, (value["__typename"],))
    }


class _Connection(asyncio.Protocol):
    """HTTP/1.1 with keep-alive; every POST is a GraphQL request."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers
        self._parser = httptools.HttpRequestParser(self)
        self._body = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._transport.close()

    def on_message_begin(self) -> None:
        self._body.clear()

    def on_body(self, body: bytes) -> None:
        self._body += body
        if len(self._body) > MAX_BODY_BYTES:
            self._transport.close()

    def on_message_complete(self) -> None:
        answer = self._answers.answer(bytes(self._body))
        self._transport.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
            % len(answer)
            + answer
        )


async def serve(name: str, port: int) -> None:
    """Serve one subgraph on loopback until the process is told to end."""
    answers = Answers(name)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Connection(answers), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(sys.argv[1], int(sys.argv[2])))
