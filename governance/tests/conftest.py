"""What the tests of governance build their cases from."""

import copy
from datetime import UTC, datetime

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet

from governance import wire
from governance.decide.composition import CompositionError
from governance.model.contracts import EventDeclaration, Supergraph
from twinmesh_sdk.core.ids import Tenant
from twinmesh_sdk.core.principal import Principal

NOW = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)

DOMAIN_ANSWERS = {
    "decision": "Repair the pump now, or at the next stop? Taken daily by the planner.",
    "fidelity": "Efficiency within 3 %.",
    "sources": {"mandatory": ["telemetry: flow"], "optional": []},
    "freshness": [{"decision": "review", "budget_s": 14400}],
    "on_bad_data": "Late or wrong input gives UNKNOWN.",
    "authority": "asset-registry for identity and hierarchy",
    "inference": "In the cluster.",
    "governance": "Models are approved by a second person.",
    "workflow": "The planner's queue.",
    "scale": "By asset.",
    "value": {"metric": "lost hours", "baseline": 10, "target": 5},
}


@pytest.fixture
def now():
    return NOW


@pytest.fixture
def charter():
    """Return a factory of charters: a domain's unless told otherwise."""

    def make(name="pump-twin", version="1.0.0", kind="domain", contract=None, **answers):
        made = {
            "name": name,
            "version": version,
            "kind": kind,
            "owner": {
                "team": f"team {name}",
                "contact": "a@example.com",
                "on_call": "b@example.com",
            },
            "contract": contract or {},
        }
        if kind == "domain":
            made |= copy.deepcopy(DOMAIN_ANSWERS)
        return {key: value for key, value in (made | answers).items() if value is not None}

    return make


@pytest.fixture
def protos():
    """Return a factory of descriptor sets: one file per package, of messages with string fields."""

    def make(package="twinmesh.pump.v1", **messages):
        files = FileDescriptorSet()
        file = files.file.add(
            name=f"{package.replace('.', '/')}/events.proto", package=package, syntax="proto3"
        )
        for name, fields in messages.items():
            message = file.message_type.add(name=name)
            for number, field in enumerate(fields, 1):
                message.field.add(name=field, number=number, type=9, label=1, json_name=field)
        return files.SerializeToString(deterministic=True)

    return make


@pytest.fixture
def bundle(charter):
    """Return a factory of bundles as they arrive: charter and manifest agree unless told not to."""

    def make(
        name="pump-twin",
        version="1.0.0",
        *,
        sdl="",
        descriptors=b"",
        events=(),
        consumes=(),
        protos=(),
        url=None,
        kind="domain",
        **answers,
    ):
        manifest = {
            "protos": list(protos),
            "events": [{"type": t, "message": m} for t, m in events],
            "consumes": list(consumes),
        }
        if sdl:
            manifest["subgraph"] = "schema.graphql"
        return wire.make_bundle(
            service=name,
            version=version,
            charter=charter(name, version, kind, manifest, **answers),
            sdl=sdl,
            descriptor_set=descriptors,
            events=tuple(EventDeclaration(t, m) for t, m in events),
            subgraph_url=(f"http://{name}:8080/graphql" if sdl else "") if url is None else url,
        )

    return make


class SdlComposer:
    """Composes by three words in the SDL, so that a test can say what composes with what.

    `# needs NAME`: only beside that service. `# fights NAME`: not beside that service.
    """

    def __init__(self):
        self.calls = 0

    def compose(self, members):
        self.calls += 1
        errors = []
        for name, bundle in members.items():
            for line in bundle.sdl.splitlines():
                words = line.split()
                if words[:2] == ["#", "needs"] and words[2] not in members:
                    errors.append(CompositionError("SATISFIABILITY_ERROR", line, (name,)))
                if words[:2] == ["#", "fights"] and words[2] in members:
                    errors.append(CompositionError("FIELD_TYPE_MISMATCH", line, (name, words[2])))
        if errors:
            return tuple(errors)
        return Supergraph(
            digest=" ".join(sorted(b.digest[:8] for b in members.values())),
            sdl="\n".join(b.sdl for b in members.values()),
            urls={name: b.subgraph_url for name, b in sorted(members.items())},
            members={name: b.digest for name, b in sorted(members.items())},
        )


@pytest.fixture
def composer():
    return SdlComposer()


@pytest.fixture
def who():
    """Return a factory of callers."""

    def make(name, *roles, tenant="acme"):
        return Principal(
            subject=name, client_id=name, tenant=Tenant(tenant), roles=frozenset(roles)
        )

    return make
