"""Calls of `twinmesh.governance.v1.AuditService`."""

from typing import Final

from governance import wire
from governance.api_grpc.context import Context
from governance.decide.audit_export import entry_line, header_line
from governance.decide.audit_heads import public_pem
from governance.decide.audit_leaf import opened
from governance.usecases.auditing import EraseFromAudit, ReadAudit, RecordAudit
from twinmesh.governance.v1 import audit_service_pb2 as pb
from twinmesh.governance.v1 import audit_service_pb2_grpc as pb_grpc
from twinmesh_sdk.core.request import current_principal

HEADS_PAGE: Final = 100
EXPORT_PAGE: Final = 500


class AuditApi(pb_grpc.AuditServiceServicer):
    """Implements `twinmesh.governance.v1.AuditService`."""

    def __init__(self, read: ReadAudit, record: RecordAudit, erase: EraseFromAudit) -> None:
        self._read = read
        self._record = record
        self._erase = erase

    async def GetTreeHead(  # noqa: N802 - name fixed by the proto
        self, request: pb.GetTreeHeadRequest, context: Context
    ) -> pb.GetTreeHeadResponse:
        """See `ReadAudit.head`."""
        del context
        head = await self._read.head(current_principal(), mesh=request.mesh)
        return pb.GetTreeHeadResponse(
            head=wire.head_to_pb(head), public_key_pem=public_pem(self._read.public_key())
        )

    async def ListTreeHeads(  # noqa: N802 - name fixed by the proto
        self, request: pb.ListTreeHeadsRequest, context: Context
    ) -> pb.ListTreeHeadsResponse:
        """See `ReadAudit.published`."""
        del context
        heads = await self._read.published(
            current_principal(),
            mesh=request.mesh,
            after=request.after_size,
            limit=request.page_size or HEADS_PAGE,
        )
        return pb.ListTreeHeadsResponse(heads=[wire.head_to_pb(head) for head in heads])

    async def GetInclusionProof(  # noqa: N802 - name fixed by the proto
        self, request: pb.GetInclusionProofRequest, context: Context
    ) -> pb.GetInclusionProofResponse:
        """See `ReadAudit.inclusion`."""
        del context
        proof = await self._read.inclusion(
            current_principal(),
            mesh=request.mesh,
            sequence=request.sequence,
            size=request.tree_size or None,
        )
        return wire.inclusion_to_pb(proof)

    async def GetConsistencyProof(  # noqa: N802 - name fixed by the proto
        self, request: pb.GetConsistencyProofRequest, context: Context
    ) -> pb.GetConsistencyProofResponse:
        """See `ReadAudit.consistency`."""
        del context
        proof = await self._read.consistency(
            current_principal(),
            mesh=request.mesh,
            first=request.first_size,
            second=request.second_size or None,
        )
        return wire.consistency_to_pb(proof)

    async def ExportAudit(  # noqa: N802 - name fixed by the proto
        self, request: pb.ExportAuditRequest, context: Context
    ) -> pb.ExportAuditResponse:
        """See `ReadAudit.export`."""
        del context
        log, entries = await self._read.export(
            current_principal(),
            mesh=request.mesh,
            after=request.after_sequence,
            limit=request.page_size or EXPORT_PAGE,
        )
        return pb.ExportAuditResponse(
            header=header_line(log),
            lines=[entry_line(entry) for entry in entries],
            last_sequence=entries[-1].sequence if entries else request.after_sequence,
        )

    async def RecordAudit(  # noqa: N802 - name fixed by the proto
        self, request: pb.RecordAuditRequest, context: Context
    ) -> pb.RecordAuditResponse:
        """See `RecordAudit`."""
        del context
        logged = await self._record(
            current_principal(),
            action=request.action,
            subject=request.subject,
            outcome=request.outcome,
            actor=request.actor,
            detail=wire.facts_from_json(request.detail_json),
        )
        return pb.RecordAuditResponse(sequence=logged.sequence)

    async def ErasePerson(  # noqa: N802 - name fixed by the proto
        self, request: pb.ErasePersonRequest, context: Context
    ) -> pb.ErasePersonResponse:
        """See `EraseFromAudit`."""
        del context
        logged = await self._erase(
            current_principal(), request.person, reason=request.reason, mesh=request.mesh
        )
        said = opened(logged)
        return pb.ErasePersonResponse(
            sequence=said.sequence, pseudonym=said.subject, texts=said.detail["texts"]
        )
