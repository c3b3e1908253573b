"""Routes about the audit log: proofs, heads and the export, for auditors and their scripts."""

from typing import Annotated, Final

from fastapi import APIRouter, Query, Response

from governance.decide.audit_export import entry_line, header_line
from governance.decide.audit_heads import public_pem, written
from governance.http.shapes import Strict
from governance.usecases.auditing import MAX_PAGE, ReadAudit
from twinmesh_sdk.core.request import current_principal

MAX_NUMBER: Final = 2**53 - 1
Number = Annotated[int, Query(ge=1, le=MAX_NUMBER)]
Length = Annotated[int | None, Query(ge=1, le=MAX_NUMBER)]
After = Annotated[int, Query(ge=0, le=MAX_NUMBER)]
Page = Annotated[int, Query(ge=1, le=MAX_PAGE)]
LINES: Final = "application/jsonl"


class HeadOut(Strict):
    """A signed tree head; `line` is what was signed and published."""

    log: str
    size: int
    root: str
    line: str
    public_key_pem: str


class InclusionOut(Strict):
    """Shows that the log holds an entry; hashes in hexadecimal, from the leaf upwards."""

    leaf: str
    head: str
    path: list[str]


class ConsistencyOut(Strict):
    """Shows that the log still begins as it did; hashes in hexadecimal."""

    first_size: int
    first_root: str
    head: str
    path: list[str]


def add_audit(router: APIRouter, read: ReadAudit) -> None:
    """Add the routes."""

    @router.get("/audit/head")
    async def get_tree_head(mesh: bool = False) -> HeadOut:
        """Return the signed head of all that the log holds now."""
        signed = await read.head(current_principal(), mesh=mesh)
        return HeadOut(
            log=signed.head.log,
            size=signed.head.size,
            root=signed.head.root.hex(),
            line=written(signed),
            public_key_pem=public_pem(read.public_key()),
        )

    @router.get("/audit/heads")
    async def list_tree_heads(after: After = 0, limit: Page = 100, mesh: bool = False) -> Response:
        """Return heads as they were published, one per line."""
        heads = await read.published(current_principal(), mesh=mesh, after=after, limit=limit)
        return Response("".join(written(h) + "\n" for h in heads), media_type=LINES)

    @router.get("/audit/inclusion")
    async def get_inclusion_proof(
        sequence: Number, tree_size: Length = None, mesh: bool = False
    ) -> InclusionOut:
        """Prove that the log holds an entry."""
        proof = await read.inclusion(
            current_principal(), mesh=mesh, sequence=sequence, size=tree_size
        )
        return InclusionOut(
            leaf=proof.entry.leaf.decode(),
            head=written(proof.head),
            path=[step.hex() for step in proof.path],
        )

    @router.get("/audit/consistency")
    async def get_consistency_proof(
        first: Number, second: Length = None, mesh: bool = False
    ) -> ConsistencyOut:
        """Prove that the log still begins as it did when it was shorter."""
        proof = await read.consistency(current_principal(), mesh=mesh, first=first, second=second)
        return ConsistencyOut(
            first_size=proof.first_size,
            first_root=proof.first_root.hex(),
            head=written(proof.head),
            path=[step.hex() for step in proof.path],
        )

    @router.get("/audit/export")
    async def export_audit(after: After = 0, limit: Page = 500, mesh: bool = False) -> Response:
        """Return entries as lines of the file that `twinmesh audit verify` reads.

        The first page begins with the file's header.
        """
        log, entries = await read.export(current_principal(), mesh=mesh, after=after, limit=limit)
        lines = ([header_line(log)] if after == 0 else []) + [entry_line(e) for e in entries]
        return Response("".join(line + "\n" for line in lines), media_type=LINES)
