"""Derived outputs that an answer carries: each once, bounded, and whatever a stranger sends."""

from hypothesis import given
from hypothesis import strategies as st

from twinmesh_sdk.adapters.nats.cloudevents import envelope_of, headers_of
from twinmesh_sdk.core.consumption import (
    MAX_OUTPUTS,
    CollectedOutputs,
    Derivation,
    Output,
    OutputState,
    collect_outputs,
    note_output,
)
from twinmesh_sdk.core.events import Envelope, EventType, subject_of
from twinmesh_sdk.core.ids import Tenant
from twinmesh_sdk.testing.clock import START

names = st.text(max_size=30)
outputs = st.builds(
    Output,
    type=names,
    id=names,
    version=st.integers(0, 2**63 - 1),
    model=names,
    model_version=names,
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["outputs", "items", "type", "model"]), inner)
    ),
)


def work_item(number, version=1):
    return Output("WorkItem", f"wki_{number}", version, "pump-condition", "1.0.0")


@given(st.lists(outputs, max_size=30))
def test_what_a_subgraph_says_of_its_outputs_is_read_as_said(noted):
    with collect_outputs() as collected:
        for output in noted:
            note_output(output)

    assert CollectedOutputs.of_extension(collected.as_extension()).outputs == dict.fromkeys(noted)


@given(json_values)
def test_no_form_of_a_strangers_extension_does_harm(value):
    found = CollectedOutputs.of_extension({"outputs": value, "outputsOmitted": value})

    assert all(isinstance(output, Output) for output in found.outputs)


def test_an_answer_names_a_bounded_number_and_counts_the_rest():
    collected = CollectedOutputs()
    for number in range(MAX_OUTPUTS + 5):
        collected.add(work_item(number))
        collected.add(work_item(number))

    assert len(collected.outputs) == MAX_OUTPUTS
    assert collected.as_extension()["outputsOmitted"] == 10


def test_outside_of_an_answer_nothing_is_noted():
    note_output(work_item(1))

    with collect_outputs() as collected:
        pass
    assert collected.as_extension() == {}


@given(outputs, st.sampled_from(OutputState), names, names)
def test_an_event_carries_the_derivation_that_it_announces(output, state, configuration, digest):
    kind, tenant = EventType("test.trust.changed.v1"), Tenant("acme")
    derived = Derivation(output, state, configuration, digest)
    sent = Envelope("evt_1", kind, "tester", tenant, "a", START, b"", derivation=derived)

    headers = headers_of(sent, dataschema="x#y", traceparent="")
    received = envelope_of(subject_of(tenant, kind), headers, b"")

    texts = (output.type, output.id, output.model, output.model_version, configuration, digest)
    assert received.derivation == (None if ";" in "".join(texts) else derived)
