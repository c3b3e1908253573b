"""`twinmesh contract check`: is a new schema compatible, by a named profile? Needs no server."""

import itertools
import json
import logging
import re
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from twinmesh_cli.governance_door import REFUSED, UNUSABLE, print_json, unusable
from twinmesh_sdk.core.errors import InvalidInputError, LimitExceededError, TwinError

if TYPE_CHECKING:
    from governance.decide.compat.case import Case, Format, Side
    from governance.decide.compat.verdict import Change
    from governance.usecases.checking import CheckCompatibility

log = logging.getLogger(__name__)

MAX_FILE_BYTES: Final = 4 * 1024 * 1024
MAX_FILES: Final = 500
MAX_CASE_S: Final = 30
MAX_LINES: Final = 100_000
MAX_LINE_CHARS: Final = 16 * 1024 * 1024
_IMPORT: Final = re.compile(r'^\s*import\s+(?:public\s+|weak\s+)?"([^"]+)"\s*;', re.MULTILINE)
_DESCRIPTORS: Final = {".binpb", ".pb", ".bin", ".desc", ".protoset"}
_FORMATS: Final = ("protobuf", "json-schema", "graphql")


@click.command()
@click.argument("schemas", nargs=-1, metavar="[OLD]... [NEW]", type=click.Path(path_type=Path))
@click.option("--format", "kind", type=click.Choice(_FORMATS), help="What is compared.")
@click.option("--profile", default="", help="Whose rules; by default the mesh's own.")
@click.option(
    "--mode", default="BACKWARD", show_default=True,
    help="NONE, BACKWARD, FORWARD, FULL, or one of these with _TRANSITIVE (several OLD).",
)  # fmt: skip
@click.option(
    "--batch",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Cases, one JSON object a line: id, format, mode, old, new, and profile or policy.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def check(
    schemas: tuple[Path, ...],
    kind: str | None,
    profile: str,
    mode: str,
    batch: Path | None,
    *,
    as_json: bool,
) -> None:
    """Say whether NEW is compatible with OLD, and if not, what breaks whom.

    A schema is a file; for Protobuf also a folder of .proto files or a descriptor set. Profiles:
    protobuf mesh, confluent, apicurio, buf-file, buf-package, buf-wire, buf-wire-json; json-schema
    confluent, confluent-lenient; graphql graphql-spec, graphql-inspector (with +option).

    Exit 0: compatible; 1: not; 2: unusable input.
    """
    try:
        if batch is not None and (schemas or kind):
            raise click.UsageError("--batch FILE names formats and schemas line by line")
        if batch is not None:
            raise SystemExit(_check_batch(batch, profile))
        if kind is None or len(schemas) < 2:
            raise click.UsageError("give --format, OLD and NEW; or --batch FILE")
        case = _case(kind, profile, mode, schemas)
        with deadline():
            changes = _checker()(case)
    except TwinError as error:
        raise unusable(error) from error
    compatible = not any(change.breaking for change in changes)
    if as_json:
        print_json({"profile": case.profile, "mode": case.mode, **_verdict(changes, whole=True)})
    else:
        _print(case, changes, compatible=compatible)
    raise SystemExit(0 if compatible else REFUSED)


def _checker() -> "CheckCompatibility":
    from governance.adapters.buf import compare_images, compare_sources  # noqa: PLC0415 - `--help` need not wait
    from governance.adapters.protoc import compile_protos  # noqa: PLC0415
    from governance.usecases.checking import CheckCompatibility  # noqa: PLC0415

    return CheckCompatibility(compile_protos, compare_sources, compare_images)


def _check_batch(file: Path, profile: str) -> int:
    """Judge every line; returns the exit code: 2 when a line could not be used."""
    from governance.decide.compat.case import case_of  # noqa: PLC0415 - see above

    checker = _checker()
    unusable_lines = 0
    for number, line in _lines(file):
        name: Any = f"line {number}"
        try:
            value = json.loads(line)
            if not isinstance(value, dict):
                raise InvalidInputError("a case is a JSON object")
            name = value.get("id", name)
            with deadline():
                answer = _verdict(checker(case_of(value, profile=profile)), whole=False)
        except (TwinError, ValueError, RecursionError) as error:
            unusable_lines += 1
            answer = {"compatible": None, "reasons": [], "error": str(error)}
        except Exception as error:  # one line's fault must not cost the others their answer
            log.exception("a case cannot be judged", extra={"case": str(name)[:200]})
            unusable_lines += 1
            answer = {"compatible": None, "reasons": [], "error": f"fault: {error!r}"}
        click.echo(json.dumps({"id": name, **answer}, ensure_ascii=False))
    return UNUSABLE if unusable_lines else 0


@contextmanager
def deadline(seconds: float = MAX_CASE_S) -> Iterator[None]:
    """Give one case so long: a regular expression in a schema may take for ever.

    Only in the main thread, where signals arrive; elsewhere the caller keeps the time.

    Raises:
        LimitExceededError: It took longer.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def late(*_: object) -> None:
        raise LimitExceededError(f"comparing them takes more than {seconds:g} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _lines(file: Path) -> Iterator[tuple[int, str]]:
    with file.open(encoding="utf-8", errors="replace") as opened:
        for number in itertools.count(1):
            line = opened.readline(MAX_LINE_CHARS + 1)
            if not line:
                return
            if number > MAX_LINES or len(line) > MAX_LINE_CHARS:
                raise InvalidInputError(
                    f"a batch has at most {MAX_LINES} lines of {MAX_LINE_CHARS} characters"
                )
            if line.strip():
                yield number, line


def _verdict(changes: "list[Change]", *, whole: bool) -> dict[str, Any]:
    breaking = [change for change in changes if change.breaking]
    verdict: dict[str, Any] = {
        "compatible": not breaking,
        "reasons": [_as_json(change) for change in breaking],
    }
    if whole:
        verdict["other_changes"] = [_as_json(change) for change in changes if not change.breaking]
    return verdict


def _as_json(change: "Change") -> dict[str, Any]:
    said: dict[str, Any] = {"rule": change.rule, "path": change.path, "why": change.why}
    if change.old or change.new:
        said |= {"old": change.old, "new": change.new}
    if change.has_witness:
        said["witness"] = change.witness
    return said


def _print(case: "Case", changes: "list[Change]", *, compatible: bool) -> None:
    word = "compatible" if compatible else "not compatible"
    click.echo(f"{word} ({case.format}, profile {case.profile}, mode {case.mode})")
    for change in changes:
        mark = "breaks" if change.breaking else "fine"
        become = f" ({change.old or 'nothing'} -> {change.new or 'nothing'})"
        click.echo(
            f"  {mark:6} {change.rule} {change.path}"
            f"{become if change.old or change.new else ''}: {change.why}"
        )
    witnesses = [change.witness for change in changes if change.has_witness]
    if witnesses:
        click.echo(f"  for example, valid before and not now: {json.dumps(witnesses[0])}")


def _case(kind: str, profile: str, mode: str, schemas: tuple[Path, ...]) -> "Case":
    from governance.decide.compat.case import (  # noqa: PLC0415 - see above
        PROFILES,
        Case,
        known_profile,
        parse_format,
        parse_mode,
    )

    format_ = parse_format(kind)
    asked = parse_mode(mode)
    *olds, new = (_side(format_, path) for path in schemas)
    if len(olds) > 1 and not asked.transitive:
        raise InvalidInputError("several OLD schemas need a _TRANSITIVE mode")
    return Case(
        id="",
        format=format_,
        profile=known_profile(format_, profile or PROFILES[format_][0]),
        mode=asked,
        old=olds[-1],
        new=new,
        earlier=tuple(olds[:-1]),
    )


def _side(kind: "Format", path: Path) -> "Side":
    from governance.decide.compat.case import MAIN, Format, Side  # noqa: PLC0415 - see above

    if kind is Format.GRAPHQL:
        return Side(value=_text(path))
    if kind is Format.JSON_SCHEMA:
        try:
            return Side(value=json.loads(_text(path)))
        except (ValueError, RecursionError) as error:
            raise InvalidInputError(f"{path} is not JSON: {error}") from error
    if path.is_dir():
        files = sorted(path.rglob("*.proto"))
        if not 0 < len(files) <= MAX_FILES:
            raise InvalidInputError(f"{path} needs 1 to {MAX_FILES} .proto files")
        config = path / "buf.yaml"
        return Side(
            files={file.relative_to(path).as_posix(): _text(file) for file in files},
            buf_yaml=_text(config) if config.is_file() else None,
        )
    if path.suffix in _DESCRIPTORS:
        return Side(descriptors=_bytes(path), main=path.name)
    text = _text(path)
    return Side(files={MAIN: text, **_imported(path.parent, text)}, main=MAIN)


def _imported(folder: Path, text: str) -> dict[str, str]:
    """Return the imports of a file that lie beside it, and theirs."""
    found: dict[str, str] = {}
    waiting = [text]
    while waiting and len(found) < MAX_FILES:
        for name in _IMPORT.findall(waiting.pop()):
            file = folder / name
            if name not in found and ".." not in name and file.is_file():
                found[name] = _text(file)
                waiting.append(found[name])
    return found


def _bytes(path: Path) -> bytes:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise InvalidInputError(f"{path} is larger than {MAX_FILE_BYTES} bytes")
        return path.read_bytes()
    except OSError as error:
        raise InvalidInputError(f"{path}: {error.strerror}") from error


def _text(path: Path) -> str:
    try:
        return _bytes(path).decode()
    except UnicodeDecodeError as error:
        raise InvalidInputError(f"{path} is not UTF-8") from error
