"""`twinmesh audit`: list, prove, export and verify the audit log; erase a person."""

import itertools
from collections.abc import Callable, Iterator
from operator import methodcaller
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

import click

from twinmesh_cli.governance_door import Door, call, door_options, print_json, unusable
from twinmesh_sdk.core.errors import InvalidInputError, TwinError

if TYPE_CHECKING:
    from governance.decide.audit_export import Report
    from governance.model.audit import SignedHead

PAGE: Final = 500
MAX_HEADS: Final = 1_000_000
MAX_KEY_BYTES: Final = 4096
TAMPERED: Final = 1

_FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)
_mesh_option = click.option("--mesh", is_flag=True, help="The mesh's own log (role audit.mesh).")


@click.group()
def audit() -> None:
    """List, prove, export and verify the audit log; erase a person.

    Every command is about the log of your token's tenant.
    """


@audit.command("list")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@door_options("author")
def list_(door: Door, limit: int, *, as_json: bool) -> None:
    """List what was asked of governance, by whom, and what became of it; newest first."""
    from google.protobuf.json_format import MessageToDict  # noqa: PLC0415 - slow to import

    from twinmesh.governance.v1 import governance_service_pb2 as pb  # noqa: PLC0415

    entries: list[Any] = []
    token = ""
    while len(entries) < limit:
        request = pb.ListAuditRequest(page_size=min(200, limit - len(entries)), page_token=token)
        answer = call(door, methodcaller("ListAudit", request))
        entries += answer.entries
        if not (token := answer.next_page_token):
            break
    if as_json:
        print_json([MessageToDict(e, preserving_proto_field_name=True) for e in entries])
        return
    for each in entries:
        when = each.recorded_at.ToJsonString()
        click.echo(
            f"{each.sequence:>8}  {when}  {each.outcome:<9} {each.action:<18} "
            f"{each.subject}  by {each.actor}"
        )


@audit.command()
@_mesh_option
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Append it here.")
@click.option("--key-out", type=click.Path(dir_okay=False, path_type=Path), help="Save the key.")
@door_options("author")
def head(door: Door, out: Path | None, key_out: Path | None, *, mesh: bool) -> None:
    """Print the signed head of all that the log holds now."""
    from twinmesh.governance.v1 import audit_service_pb2 as pb  # noqa: PLC0415

    answer = _ask(door, lambda stub: stub.GetTreeHead(pb.GetTreeHeadRequest(mesh=mesh)))
    if key_out is not None:
        key_out.write_text(answer.public_key_pem)
    if out is not None:
        with out.open("a", encoding="utf-8") as file:
            file.write(answer.head.line + "\n")
    click.echo(answer.head.line)


@audit.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@_mesh_option
@click.option(
    "--heads",
    "heads_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Also save the heads that governance published.",
)
@door_options("author")
def export(door: Door, file: Path, heads_file: Path | None, *, mesh: bool) -> None:
    """Save the log to FILE, for `audit verify`."""
    count = 0
    with file.open("w", encoding="utf-8") as target:
        for line in _exported(door, mesh=mesh):
            target.write(line + "\n")
            count += 1
    if heads_file is not None:
        with heads_file.open("w", encoding="utf-8") as target:
            target.writelines(line + "\n" for line in _published(door, mesh=mesh))
    click.echo(f"{max(count - 1, 0)} entries saved to {file}")


@audit.command()
@click.argument("sequence", type=click.IntRange(1))
@click.option("--key", "key_file", type=_FILE, required=True, help="The public key, PEM.")
@_mesh_option
@door_options("author")
def prove(door: Door, sequence: int, key_file: Path, *, mesh: bool) -> None:
    """Fetch the proof that the log holds entry SEQUENCE, check it here, and print it.

    Exits with 1 when the proof does not hold.
    """
    from governance.decide import audit_heads, merkle  # noqa: PLC0415 - slow to import
    from twinmesh.governance.v1 import audit_service_pb2 as pb  # noqa: PLC0415

    key = _key(key_file)
    request = pb.GetInclusionProofRequest(sequence=sequence, mesh=mesh)
    proof = _ask(door, lambda stub: stub.GetInclusionProof(request))
    signed = _read_head(proof.head.line)
    path = list(proof.path)
    print_json(
        {"leaf": proof.leaf.decode(), "head": proof.head.line, "path": [h.hex() for h in path]}
    )
    holds = audit_heads.is_signed_by(signed, key) and merkle.includes(
        merkle.leaf_hash(proof.leaf),
        index=sequence - 1,
        size=signed.head.size,
        path=path,
        root=signed.head.root,
    )
    if not holds:
        click.echo("the proof does not hold", err=True)
        raise SystemExit(TAMPERED)
    click.echo(f"entry {sequence} is in the log of {signed.head.size}", err=True)


@audit.command()
@click.argument("file", type=_FILE)
@click.option("--heads", "heads_file", type=_FILE, required=True, help="Signed heads, one a line.")
@click.option("--key", "key_file", type=_FILE, required=True, help="The public key, PEM.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def verify(file: Path, heads_file: Path, key_file: Path, *, as_json: bool) -> None:
    """Compare an exported log with signed heads from elsewhere. Needs no server.

    Exits with 0 when the file is what was signed, 1 when it is not, 2 when it is no such file.
    """
    from governance.decide import audit_export  # noqa: PLC0415 - slow to import

    try:
        key, heads = _key(key_file), _heads(heads_file)
        with file.open(encoding="utf-8", errors="surrogateescape", newline="\n") as source:
            report = audit_export.verify(_lines(source), heads, key)
    except TwinError as error:
        raise unusable(error) from error
    except OSError as error:
        raise unusable(InvalidInputError(f"{file} cannot be read: {error}")) from error
    _tell(report, as_json=as_json)
    if not report.sound:
        raise SystemExit(TAMPERED)


@audit.command()
@click.argument("person")
@click.option("--reason", required=True, help="Why; recorded.")
@_mesh_option
@door_options("auditor")
def erase(door: Door, person: str, reason: str, *, mesh: bool) -> None:
    """Erase a person's name and words from beside the log; every proof stays what it was.

    PERSON is the subject of the person's token.
    """
    from twinmesh.governance.v1 import audit_service_pb2 as pb  # noqa: PLC0415

    request = pb.ErasePersonRequest(person=person, reason=reason, mesh=mesh)
    answer = _ask(door, lambda stub: stub.ErasePerson(request))
    who = f"{answer.pseudonym} is nobody now" if answer.pseudonym else "the log knew no such person"
    click.echo(f"{who}; {answer.texts} texts erased; recorded as entry {answer.sequence}")


def _ask(door: Door, ask: Callable[[Any], Any]) -> Any:  # noqa: ANN401 - any answer
    from twinmesh.governance.v1.audit_service_pb2_grpc import AuditServiceStub  # noqa: PLC0415

    return call(door, ask, AuditServiceStub)


def _exported(door: Door, *, mesh: bool) -> Iterator[str]:
    """Yield the lines of the whole log, page by page."""
    from twinmesh.governance.v1 import audit_service_pb2 as pb  # noqa: PLC0415

    after = 0
    while True:
        request = pb.ExportAuditRequest(mesh=mesh, after_sequence=after, page_size=PAGE)
        answer = _ask(door, methodcaller("ExportAudit", request))
        if after == 0:
            yield answer.header
        yield from answer.lines
        if not answer.lines:
            return
        after = answer.last_sequence


def _published(door: Door, *, mesh: bool) -> Iterator[str]:
    """Yield the lines of all published heads, page by page."""
    from twinmesh.governance.v1 import audit_service_pb2 as pb  # noqa: PLC0415

    after = 0
    while True:
        request = pb.ListTreeHeadsRequest(mesh=mesh, after_size=after, page_size=PAGE)
        answer = _ask(door, methodcaller("ListTreeHeads", request))
        if not answer.heads:
            return
        for each in answer.heads:
            yield each.line
        after = answer.heads[-1].size


def _lines(source: IO[str]) -> Iterator[str]:
    """Yield a file's lines without their ends, none longer than a line may be."""
    from governance.decide.audit_export import MAX_LINE_BYTES  # noqa: PLC0415 - slow to import

    while line := source.readline(MAX_LINE_BYTES + 2):
        yield line.removesuffix("\n")


def _heads(file: Path) -> "list[SignedHead]":
    with file.open(encoding="utf-8", errors="surrogateescape", newline="\n") as source:
        lines = list(itertools.islice(_lines(source), MAX_HEADS + 1))
    if len(lines) > MAX_HEADS:
        raise InvalidInputError(f"{file} holds more than {MAX_HEADS} heads")
    return [_read_head(line) for line in lines if line]


def _read_head(line: str) -> "SignedHead":
    from governance.decide.audit_heads import read_head  # noqa: PLC0415 - slow to import

    return read_head(line)


def _key(file: Path) -> bytes:
    from governance.decide.audit_heads import read_public_key  # noqa: PLC0415 - slow to import

    if file.stat().st_size > MAX_KEY_BYTES:
        raise InvalidInputError(f"{file} is no public key")
    return read_public_key(file.read_bytes())


def _tell(report: "Report", *, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "log": str(report.log),
                "sound": report.sound,
                "entries": report.entries,
                "heads": report.heads,
                "covered": report.covered,
                "erased": report.erased,
                "faults": report.faults,
            }
        )
        return
    for fault in report.faults:
        click.echo(fault, err=True)
    verdict = "is what was signed" if report.sound else "IS NOT what was signed"
    click.echo(
        f"log {report.log}: {report.entries} entries, {report.heads} heads; {verdict}; "
        f"{report.covered} entries under a signed head, {report.erased} with something erased"
    )
