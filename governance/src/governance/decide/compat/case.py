"""One question of compatibility, as it is asked: two schemas, a profile, a mode."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from governance.decide.compat.verdict import Mode
from twinmesh_sdk.core.errors import InvalidInputError


class Format(StrEnum):
    """What kind of schema is compared."""

    PROTOBUF = "protobuf"
    JSON_SCHEMA = "json-schema"
    GRAPHQL = "graphql"


MAIN: Final = "schema.proto"
"""The name a single Protobuf file gets on both sides, so that its own name is no change."""

BUF_CATEGORIES: Final = {
    "buf-file": "FILE",
    "buf-package": "PACKAGE",
    "buf-wire": "WIRE",
    "buf-wire-json": "WIRE_JSON",
}
PROFILES: Final = {
    Format.PROTOBUF: ("mesh", "confluent", "apicurio", *BUF_CATEGORIES, "buf"),
    Format.JSON_SCHEMA: ("mesh", "confluent", "confluent-strict", "confluent-lenient"),
    Format.GRAPHQL: ("mesh", "graphql-spec", "graphql-js", "graphql-inspector"),
}
"""Names of the profiles of each format, the default first. `buf` needs a buf.yaml."""

_FORMATS: Final = {
    "protobuf": Format.PROTOBUF,
    "json_schema": Format.JSON_SCHEMA,
    "json-schema": Format.JSON_SCHEMA,
    "json": Format.JSON_SCHEMA,
    "graphql": Format.GRAPHQL,
}
_CASE_MODES: Final = {"BUF_CONFIG", "NO_BREAKING", "NO_DANGEROUS"}


@dataclass(frozen=True, slots=True)
class Side:
    """One schema.

    Attributes:
        files: Protobuf: text by path.
        main: Protobuf: the path that was registered; empty when all were.
        value: JSON Schema: the parsed schema. GraphQL: the SDL.
        references: JSON Schema: further schemas by the name that `$ref` uses.
        descriptors: Protobuf: a serialised descriptor set instead of source.
        buf_yaml: Protobuf: the tree's configuration.
    """

    files: Mapping[str, str] = field(default_factory=dict)
    main: str = ""
    value: Any = None
    references: Mapping[str, Any] = field(default_factory=dict)
    descriptors: bytes = b""
    buf_yaml: str | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """A question.

    Attributes:
        profile: One of PROFILES, for graphql-inspector with `+option`s.
        dangerous: GraphQL: count dangerous changes as incompatible.
        earlier: Older schemas than `old`, which transitive modes compare with too.
    """

    id: str
    format: Format
    profile: str
    mode: Mode
    old: Side
    new: Side
    dangerous: bool = False
    earlier: tuple[Side, ...] = ()


def parse_format(text: str) -> Format:
    """Return the format of a name.

    Raises:
        InvalidInputError: There is none of that name.
    """
    if (found := _FORMATS.get(text.lower())) is None:
        raise InvalidInputError(f"no format {text[:40]!r}", hint=f"one of {', '.join(Format)}")
    return found


def parse_mode(text: str) -> Mode:
    """Return the mode of a name.

    Raises:
        InvalidInputError: There is none of that name.
    """
    if text in _CASE_MODES:
        return Mode.BACKWARD
    try:
        return Mode(text.upper().replace("-", "_"))
    except ValueError as error:
        raise InvalidInputError(
            f"no mode {text[:40]!r}", hint=f"one of {', '.join(Mode)}"
        ) from error


def known_profile(format: Format, profile: str) -> str:
    """Return the profile when the format has it.

    Raises:
        InvalidInputError: It has not.
    """
    base = profile.split("+", maxsplit=1)[0]
    if base not in PROFILES[format]:
        raise InvalidInputError(
            f"{format} has no profile {profile[:60]!r}",
            hint=f"one of {', '.join(PROFILES[format])}",
        )
    return profile


def case_of(line: Mapping[str, Any], *, profile: str = "") -> Case:
    """Read one line of a table of cases.

    Args:
        line: `id`, `format`, `mode`, `old`, `new`; the profile is named by `profile` or `policy`.
        profile: Use this one, whatever the line says.

    Raises:
        InvalidInputError: It is no such line.
    """
    try:
        kind = parse_format(str(line["format"]))
        mode_name = str(line.get("mode") or Mode.BACKWARD)
        named = str(profile or line.get("profile") or line.get("policy") or PROFILES[kind][0])
        if named.split("+", maxsplit=1)[0] not in PROFILES[kind] and not profile:
            named = PROFILES[kind][0]
        old, new = line["old"], line["new"]
    except KeyError as error:
        raise InvalidInputError(f"a case needs {error}") from error
    return Case(
        id=str(line.get("id", "")),
        format=kind,
        profile=known_profile(kind, named),
        mode=parse_mode(mode_name),
        old=_side(kind, old, line.get("old_deps"), _yaml(line, "old_buf_yaml", "buf_yaml")),
        new=_side(kind, new, line.get("new_deps"), _yaml(line, "buf_yaml")),
        dangerous=mode_name == "NO_DANGEROUS",
        earlier=tuple(_side(kind, e, None, None) for e in _listed(line.get("earlier"))),
    )


def _listed(value: Any) -> list[Any]:  # noqa: ANN401 - any JSON value
    if value is not None and not isinstance(value, list):
        raise InvalidInputError("earlier is a list of schemas")
    return value or []


def _yaml(line: Mapping[str, Any], *names: str) -> str | None:
    return next((str(line[name]) for name in names if line.get(name) is not None), None)


def _references(dependencies: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON value
    """Return schemas by the name that others refer to them by."""
    if dependencies is None:
        return {}
    wanted = {"name", "dependency"}
    if not isinstance(dependencies, list) or not all(
        isinstance(d, dict) and wanted <= d.keys() for d in dependencies
    ):
        raise InvalidInputError("dependencies are a list of objects with name and dependency")
    return {str(d["name"]): d["dependency"] for d in dependencies}


def _side(format: Format, schema: Any, dependencies: Any, buf_yaml: str | None) -> Side:  # noqa: ANN401
    references = _references(dependencies)
    if format is not Format.PROTOBUF:
        if format is Format.GRAPHQL and not isinstance(schema, str | None):
            raise InvalidInputError("a GraphQL schema is text")
        return Side(value=schema, references=references)
    if isinstance(schema, str):
        texts = {name: str(text) for name, text in references.items()}
        return Side(files={MAIN: schema, **texts}, main=MAIN, buf_yaml=buf_yaml)
    if isinstance(schema, dict):
        files = {str(path): str(text) for path, text in schema.items()}
        return Side(files=files | references, buf_yaml=buf_yaml)
    raise InvalidInputError("a Protobuf schema is text, or texts by path")
