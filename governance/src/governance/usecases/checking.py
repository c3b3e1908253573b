"""Is a new schema compatible with an old one, by a named profile?"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final, Protocol

from governance.decide.compat.buf_finding import BufFinding
from governance.decide.compat.case import BUF_CATEGORIES, Case, Format, Side
from governance.decide.compat.graphql_inspector import OPTIONS, compare_graphql_inspector
from governance.decide.compat.graphql_spec import compare_graphql_spec
from governance.decide.compat.lenient_source import split_reservations
from governance.decide.compat.protobuf_apicurio import compare_apicurio
from governance.decide.compat.protobuf_confluent import compare_confluent
from governance.decide.compat.protobuf_mesh import compare_mesh
from governance.decide.compat.protobuf_model import Schema, read_schema
from governance.decide.compat.verdict import Change, Mode
from governance.decide.sdl import schema_of
from twinmesh_sdk.core.errors import InvalidInputError

MAX_EARLIER: Final = 100


class Compiler(Protocol):
    """Compiles Protobuf source."""

    def __call__(self, sources: Mapping[str, str], wanted: list[str] | None = None) -> bytes:
        """Return a serialised descriptor set, imports included."""
        ...


class BufComparison(Protocol):
    """Compares two trees of Protobuf source as buf does."""

    def __call__(
        self,
        old: Mapping[str, str],
        new: Mapping[str, str],
        *,
        config: str,
        old_config: str | None = None,
    ) -> list[BufFinding]:
        """Return what buf finds."""
        ...


class BufImageComparison(Protocol):
    """Compares two descriptor sets as buf does."""

    def __call__(self, old: bytes, new: bytes, *, config: str) -> list[BufFinding]:
        """Return what buf finds."""
        ...


class CheckCompatibility:
    """Answer one question of compatibility. It needs no server."""

    def __init__(
        self, compile: Compiler, buf: BufComparison, buf_images: BufImageComparison
    ) -> None:
        self._compile = compile
        self._buf = buf
        self._buf_images = buf_images

    def __call__(self, case: Case) -> list[Change]:
        """Return the changes; the schemas are compatible when none is breaking.

        Raises:
            InvalidInputError: A schema cannot be read, or the profile does not exist.
            LimitExceededError: A schema is too large.
        """
        if case.mode is Mode.NONE:
            return []
        compare = self._comparison(case)
        olds = [case.old, *(case.earlier[:MAX_EARLIER] if case.mode.transitive else ())]
        changes: list[Change] = []
        for old in olds:
            if case.mode.backward:
                changes += compare(old, case.new)
            if case.mode.forward:
                changes += [
                    replace(change, why=f"the other way round: {change.why}")
                    for change in compare(case.new, old)
                ]
        return _each_once(changes) if case.mode.transitive else changes

    def _comparison(self, case: Case) -> Callable[[Side, Side], list[Change]]:
        profile, *options = case.profile.split("+")
        if case.format is Format.PROTOBUF:
            ours = {"mesh": self._mesh, "confluent": self._confluent, "apicurio": self._apicurio}
            return ours.get(profile) or self._by_buf(profile)
        if case.format is Format.GRAPHQL:
            return _graphql(profile, options, dangerous=case.dangerous)
        from governance.decide.compat.json_schema import compare_json_schema  # noqa: PLC0415

        lenient = profile == "confluent-lenient"
        return lambda old, new: compare_json_schema(
            old.value, new.value, lenient=lenient, old_refs=old.references, new_refs=new.references
        )

    def _schema(self, side: Side, *, lenient: bool = False) -> Schema:
        """Read a side; leniently where the registry's own parser reads more than protoc."""
        if side.descriptors:
            return read_schema(side.descriptors)
        files = side.files
        if lenient:
            files = {name: split_reservations(text) for name, text in files.items()}
        return read_schema(self._compile(files, [side.main] if side.main else None))

    def _mesh(self, old: Side, new: Side) -> list[Change]:
        return compare_mesh(self._schema(old), self._schema(new))

    def _confluent(self, old: Side, new: Side) -> list[Change]:
        before, after = self._schema(old, lenient=True), self._schema(new, lenient=True)
        return compare_confluent(
            before, after, old_file=_main(old, before), new_file=_main(new, after)
        )

    def _apicurio(self, old: Side, new: Side) -> list[Change]:
        return compare_apicurio(self._schema(old, lenient=True), self._schema(new, lenient=True))

    def _by_buf(self, profile: str) -> Callable[[Side, Side], list[Change]]:
        def compare(old: Side, new: Side) -> list[Change]:
            config = new.buf_yaml
            if profile in BUF_CATEGORIES:
                config = f"version: v2\nbreaking:\n  use:\n    - {BUF_CATEGORIES[profile]}\n"
            if config is None:
                raise InvalidInputError(
                    "profile buf needs a buf.yaml", hint=f"or use {', '.join(BUF_CATEGORIES)}"
                )
            if old.descriptors or new.descriptors:
                if not (old.descriptors and new.descriptors):
                    raise InvalidInputError("buf compares two trees of source, or two images")
                found = self._buf_images(old.descriptors, new.descriptors, config=config)
            else:
                old_config = old.buf_yaml if profile == "buf" else None
                found = self._buf(old.files, new.files, config=config, old_config=old_config)
            return [Change(c.rule, c.file, breaking=True, why=c.message) for c in found]

        return compare


def _each_once(changes: list[Change]) -> list[Change]:
    """Leave out what an earlier schema said already."""
    first = {(c.rule, c.path, c.old, c.new, c.why): c for c in reversed(changes)}
    kept = {id(change) for change in first.values()}
    return [change for change in changes if id(change) in kept]


def _main(side: Side, schema: Schema) -> str:
    """Return the file that was registered; in a descriptor set the one that nothing imports."""
    if side.main and not side.descriptors:
        return side.main
    found = schema.roots if side.descriptors else tuple(side.files)
    if len(found) != 1:
        raise InvalidInputError("profile confluent compares one file and what it imports")
    return found[0]


def _graphql(
    profile: str, options: list[str], *, dangerous: bool
) -> Callable[[Side, Side], list[Change]]:
    if unknown := set(options) - OPTIONS:
        raise InvalidInputError(
            f"no option {', '.join(sorted(unknown))}", hint=f"one of {', '.join(sorted(OPTIONS))}"
        )

    def compare(old: Side, new: Side) -> list[Change]:
        before, after = schema_of(old.value or ""), schema_of(new.value or "")
        if profile == "graphql-inspector":
            return compare_graphql_inspector(before, after, options)
        return compare_graphql_spec(before, after, dangerous=dangerous)

    return compare
