"""Receipts and derivations as rows."""

from typing import Any

from governance.adapters.rows.row import Row, utc
from governance.model.lineage import Derived, Receipt
from twinmesh_sdk.core.consumption import Derivation, Door, Output, OutputState
from twinmesh_sdk.core.ids import Tenant


def receipt_row(tenant: Tenant, receipt: Receipt) -> dict[str, Any]:
    """Return a receipt as columns."""
    return {
        "tenant": str(tenant),
        "client": receipt.client,
        "door": str(receipt.door),
        **_output_row(receipt.output),
        "operation": receipt.operation,
        "first_at": receipt.first_at,
        "last_at": receipt.last_at,
        "count": receipt.count,
    }


def receipt_of(row: Row) -> Receipt:
    """Return the receipt in a row."""
    return Receipt(
        client=row["client"],
        door=Door(row["door"]),
        output=_output_of(row),
        operation=row["operation"],
        first_at=utc(row["first_at"]),
        last_at=utc(row["last_at"]),
        count=row["count"],
    )


def derived_row(derived: Derived) -> dict[str, Any]:
    """Return a derived output as columns, without the time of its announcement."""
    return {
        "tenant": str(derived.tenant),
        **_output_row(derived.output),
        "service": derived.service,
        "subject": derived.subject,
        "state": str(derived.state),
        "configuration_version": derived.derivation.configuration_version,
        "inputs_digest": derived.derivation.inputs_digest,
        "at": derived.at,
    }


def derived_of(row: Row) -> Derived:
    """Return the derived output in a row."""
    return Derived(
        tenant=Tenant(row["tenant"]),
        service=row["service"],
        subject=row["subject"],
        derivation=Derivation(
            output=_output_of(row),
            state=OutputState(row["state"]),
            configuration_version=row["configuration_version"],
            inputs_digest=row["inputs_digest"],
        ),
        at=utc(row["at"]),
    )


def _output_row(output: Output) -> dict[str, Any]:
    return {
        "output_type": output.type,
        "output_id": output.id,
        "output_version": output.version,
        "model": output.model,
        "model_version": output.model_version,
    }


def _output_of(row: Row) -> Output:
    return Output(
        type=row["output_type"],
        id=row["output_id"],
        version=row["output_version"],
        model=row["model"],
        model_version=row["model_version"],
    )
