"""buf as the oracle: the mesh's own rules let nothing pass that buf says breaks bytes or JSON."""

from hypothesis import given, settings
from hypothesis import strategies as st

from governance.adapters.buf import compare_images, compare_sources
from governance.adapters.protoc import compile_protos
from governance.decide.compat.protobuf_mesh import compare_mesh
from governance.decide.compat.protobuf_model import read_schema

MAIN = "a/v1/a.proto"
WIRE_JSON = "version: v2\nbreaking:\n  use:\n    - WIRE_JSON\n"

TYPES = st.sampled_from(["string", "int32", "uint64", "sint32", "bool", "bytes", "E", "N"])
LABELS = st.sampled_from(["", "optional ", "repeated "])
NAMES = st.sampled_from("abcd")
FIELDS = st.dictionaries(st.integers(1, 4), st.tuples(LABELS, TYPES, NAMES), max_size=3).filter(
    lambda fields: len({name for _, _, name in fields.values()}) == len(fields)
)
VALUES = st.dictionaries(st.integers(1, 3), st.sampled_from("XYZ"), max_size=2).filter(
    lambda values: len(set(values.values())) == len(values)
)


@st.composite
def sources(draw):
    fields = draw(FIELDS)
    reserved = draw(st.sets(st.sampled_from([5, 6, 7]), max_size=2))
    lines = [f"{label}{kind} {name} = {n};" for n, (label, kind, name) in fields.items()]
    lines += [f"reserved {number};" for number in sorted(reserved)]
    values = " ".join(f"{name} = {n};" for n, name in draw(VALUES).items())
    return (
        'syntax = "proto3"; package a.v1;\n'
        f"message M {{ {' '.join(lines)} }}\n"
        "message N { string n = 1; }\n"
        f"enum E {{ E_UNSPECIFIED = 0; {values} }}\n"
    )


@settings(max_examples=40, deadline=None, derandomize=True)
@given(sources(), sources())
def test_what_buf_says_breaks_bytes_or_json_the_mesh_refuses(old, new):
    by_buf = compare_sources({MAIN: old}, {MAIN: new}, config=WIRE_JSON)
    ours = compare_mesh(
        read_schema(compile_protos({MAIN: old})), read_schema(compile_protos({MAIN: new}))
    )

    if by_buf:
        assert ours, by_buf


def test_source_and_descriptors_get_one_verdict():
    old = 'syntax = "proto3"; package a.v1; message M { string a = 1; string b = 2; }'
    new = 'syntax = "proto3"; package a.v1; message M { string a = 1; }'
    config = "version: v2\nbreaking:\n  use:\n    - FILE\n"
    by_source = compare_sources({MAIN: old}, {MAIN: new}, config=config)
    images = compile_protos({MAIN: old}), compile_protos({MAIN: new})
    by_image = compare_images(*images, config=config)

    assert [c.rule for c in by_source] == [c.rule for c in by_image] == ["FIELD_NO_DELETE"]
