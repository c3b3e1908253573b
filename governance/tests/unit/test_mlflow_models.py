import contextlib
import io
import json
import tarfile

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from governance.decide import mlflow_model
from governance.decide.mlflow_model import packed, read_mlmodel
from governance.model.releases import ModelField, ModelName
from twinmesh_sdk.core.errors import InvalidInputError, LimitExceededError, TwinError

MLMODEL = b"""
artifact_path: Pump Condition
flavors:
  python_function:
    env: {conda: conda.yaml, virtualenv: python_env.yaml}
    loader_module: mlflow.sklearn
    model_path: model.pkl
    python_version: 3.11.4
  sklearn:
    code: null
    pickled_model: model.pkl
    sklearn_version: 1.5.0
metadata:
  units: {flow: m3/s}
mlflow_version: 2.19.0
model_uuid: 6b1d3f2a9c4e4c06a7d7
run_id: 0f3c9a7a5d4f4c3a8f21
signature:
  inputs: '[{"type": "double", "name": "flow", "required": true}, {"type": "long", "name": "mode",
    "required": false}]'
  outputs: '[{"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1, 2]}}]'
  params: null
utc_time_created: '2026-01-05 08:00:00.000000'
"""


def written(**parts):
    value = {"flavors": {"python_function": {}}, **parts}
    return yaml.safe_dump(value).encode()


def test_what_mlflow_wrote_is_read():
    model = read_mlmodel(MLMODEL)
    assert model.name == "pump-condition"
    assert model.version == ""
    assert model.run_id == "0f3c9a7a5d4f4c3a8f21"
    assert model.flavors == ("python_function", "sklearn")
    assert model.schema.inputs == (
        ModelField("flow", "double", "m3/s"),
        ModelField("mode", "long", optional=True),
    )
    assert model.schema.outputs == (ModelField("0", "tensor<float64>[-1,2]"),)
    assert model.description == (
        "Imported from MLflow 2.19.0; run 0f3c9a7a5d4f4c3a8f21; model 6b1d3f2a9c4e4c06a7d7; "
        "flavors python_function, sklearn."
    )


def test_a_registered_model_has_name_and_version():
    model = read_mlmodel(MLMODEL, b"model_name: Feed Pump\nmodel_version: '7'\n")
    assert (model.name, model.version) == ("feed-pump", "1.7.0")


def test_a_model_without_signature_promises_nothing():
    assert read_mlmodel(written()).schema.inputs == ()


def test_nested_kinds_are_one_word():
    column = {
        "name": "x",
        "type": "object",
        "properties": {
            "b": {"type": "array", "items": {"type": "long"}, "required": False},
            "a": {"type": "map", "values": {"type": "double"}},
        },
    }
    model = read_mlmodel(written(signature={"inputs": json.dumps([column])}))
    assert model.schema.inputs[0].kind == "object<a:map<double>,b?:array<long>>"


@pytest.mark.parametrize(
    ("document", "said"),
    [
        (b"", "no mapping"),
        (b"[1]", "no mapping"),
        (b"a: [", "no YAML"),
        (b"flavors: {}", "no flavors"),
        (b"a: &x 1\nb: *x\n", "aliases"),
        (b"a: " + b"[" * 40 + b"]" * 40, "nested"),
        (b"!!python/object/apply:os.system ['true']", "no YAML"),
        (written(run_id=["x"]), "run_id"),
        (written(metadata={"units": {"flow": 1}}), "metadata.units"),
        (written(signature={"inputs": [1]}), "signature.inputs"),
        (written(signature={"inputs": "{"}), "signature.inputs"),
        (written(signature={"inputs": "[1]"}), "list of columns"),
        (written(signature={"inputs": '[{"type": "matrix"}]'}), "'matrix'"),
        (written(signature={"inputs": '[{"type": "tensor"}]'}), "tensor-spec"),
        (written(signature={"inputs": '[{"type": "long", "name": 3}]'}), "no text"),
        (written(signature={"inputs": '[{"type":"long","name":"a"},{"type":"long","name":"a"}]'}),
         "each once"),
    ],
)  # fmt: skip
def test_what_mlflow_does_not_write_is_refused_by_name(document, said):
    with pytest.raises(InvalidInputError, match=said):
        read_mlmodel(document)


def test_a_file_beyond_the_limit_is_not_parsed():
    with pytest.raises(LimitExceededError):
        read_mlmodel(b" " * (mlflow_model.MAX_DOCUMENT_BYTES + 1))


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(document):
    with contextlib.suppress(TwinError):
        read_mlmodel(document)


words = st.text("abcdefghij_ ", min_size=1, max_size=12)
columns = st.lists(
    st.tuples(words, st.sampled_from(sorted(mlflow_model._KINDS)), words, st.booleans()),
    unique_by=lambda column: column[0],
    max_size=8,
)


@given(columns, columns)
def test_a_signature_survives_being_written_and_read(inputs, outputs):
    def text(fields):
        return json.dumps(
            [{"name": n, "type": k, "required": not optional} for n, k, _, optional in fields]
        )

    units = {n: unit for n, _, unit, _ in (*inputs, *outputs)}
    signature = {"inputs": text(inputs), "outputs": text(outputs)}
    schema = read_mlmodel(written(signature=signature, metadata={"units": units})).schema
    for fields, read in ((inputs, schema.inputs), (outputs, schema.outputs)):
        assert read == tuple(ModelField(n, k, units[n], optional) for n, k, _, optional in fields)


@given(st.text(max_size=100))
def test_a_name_is_ours_or_empty(text):
    found = read_mlmodel(written(artifact_path=text[:100])).name
    assert found == "" or ModelName(found)


files = st.dictionaries(st.text("abc", min_size=1, max_size=3), st.binary(max_size=50), min_size=1)


@given(files)
def test_a_folder_packed_is_the_same_whatever_the_order(content):
    backwards = dict(reversed(content.items()))
    archive = packed(content)
    assert archive == packed(backwards)
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        assert {m.name: tar.extractfile(m).read() for m in tar.getmembers()} == content


@pytest.mark.parametrize("path", ["/etc/x", "../x", "a/../x", "a//x", "./x", "a" * 201])
def test_a_path_that_leads_out_of_the_folder_is_refused(path):
    with pytest.raises(InvalidInputError):
        packed({path: b""})


def test_a_folder_has_a_bounded_number_of_files():
    with pytest.raises(LimitExceededError):
        packed({})
    with pytest.raises(LimitExceededError):
        packed({str(i): b"" for i in range(mlflow_model.MAX_FILES + 1)})
