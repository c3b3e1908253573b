"""The contract and its digest: equal for equal content, different for any change that counts."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinmesh_sdk.contract import (
    Contract,
    bundle_digest,
    canonical_json,
    descriptor_set,
    event_schema_digest,
    read_charter,
)
from twinmesh_sdk.core.errors import InvalidInputError, NotFoundError

TYPE = "test.trust.changed.v1"
PROTOS = descriptor_set(["twinmesh.core.v1"])


def charter(**changes):
    manifest = {
        "protos": ["twinmesh.core.v1"],
        "events": [{"type": TYPE, "message": "twinmesh.core.v1.Trust"}],
    }
    return {"name": "tester", "version": "1.0.0", "contract": manifest, **changes}


def contract(sdl="type Query { a: Int }", **changes):
    return Contract.of(charter(**changes), sdl, PROTOS)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=3), JSON))
def test_the_order_of_keys_does_not_count(value):
    backwards = dict(reversed(value.items()))

    assert canonical_json(backwards) == canonical_json(value)


def test_equal_content_has_an_equal_digest():
    assert contract().digest == contract().digest
    assert descriptor_set(["twinmesh.core.v1"]) == PROTOS


@pytest.mark.parametrize(
    "other",
    [
        contract(sdl="type Query { b: Int }"),
        contract(version="1.0.1"),
        contract(name="other"),
        contract(decision="another"),
        Contract.of(charter(), "type Query { a: Int }", descriptor_set(["twinmesh.twin.v1"])),
    ],
)
def test_every_part_counts(other):
    assert other.digest != contract().digest


def test_the_pushed_message_has_the_same_digest_wherever_it_is_computed():
    message = contract().to_pb(subgraph_url="http://here")
    again = Contract.of(json.loads(message.charter_json), message.sdl, message.descriptor_set)

    assert message.digest == again.digest == contract().digest


def test_an_events_schema_counts_what_it_imports_and_nothing_else():
    alone = event_schema_digest(PROTOS, "twinmesh.core.v1.ErrorDetail")
    wider = descriptor_set(["twinmesh.core.v1", "twinmesh.twin.v1"])

    assert event_schema_digest(wider, "twinmesh.core.v1.ErrorDetail") == alone
    assert event_schema_digest(PROTOS, "twinmesh.core.v1.Trust") != alone


def test_an_event_without_its_message_is_refused():
    manifest = {"events": [{"type": TYPE, "message": "twinmesh.core.v1.Nothing"}]}

    with pytest.raises(InvalidInputError, match="Nothing"):
        Contract.of(charter(contract=manifest), "", PROTOS)


@pytest.mark.parametrize(
    "manifest",
    [
        None,
        [],
        {"events": [{"type": "x", "message": "y"}]},
        {"events": [{"type": TYPE}]},
        {"events": {"type": TYPE}},
        {"events": [{"type": TYPE, "message": "twinmesh.core.v1.Trust"}] * 2},
        {"consumes": "all"},
        {"consumes": [1]},
    ],
)
def test_a_malformed_manifest_is_refused(manifest):
    with pytest.raises(InvalidInputError):
        Contract.of(charter(contract=manifest), "", PROTOS)


@pytest.mark.parametrize(
    "text",
    ["", "- a", "a: &x [1]\nb: *x", "a: [", "a: 2026-01-01", "a: .nan",
     "a: !!python/name:os.system",
     "a: " + "x" * 300_000],
)  # fmt: skip
def test_a_charter_that_is_not_plain_is_refused(text):
    with pytest.raises(InvalidInputError):
        read_charter(text)


def test_a_package_without_generated_code_is_refused():
    with pytest.raises(InvalidInputError, match=r"twinmesh\.nothing\.v1"):
        descriptor_set(["twinmesh.nothing.v1"])


@pytest.mark.parametrize("package", ["os", "json", "", ".."])
def test_a_name_that_is_no_protobuf_package_is_refused(package):
    with pytest.raises(InvalidInputError):
        descriptor_set([package])


def test_a_folder_without_a_contract_is_not_found(tmp_path):
    with pytest.raises(NotFoundError, match=r"twin\.yaml"):
        Contract.read(tmp_path)


def test_a_descriptor_set_that_cannot_be_read_is_refused():
    with pytest.raises(InvalidInputError):
        bundle_digest(
            service="a", version="1", charter={}, sdl="", descriptors=b"\xff\xff", events=[]
        )
