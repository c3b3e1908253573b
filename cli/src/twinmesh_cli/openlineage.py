"""Lineage as OpenLineage events: one run per derived output, one per consumer of it.

Source: OpenLineage specification 2-0-2, RunEvent; facet DatasetVersionDatasetFacet 1-0-1.
"""

import uuid
from collections.abc import Iterator
from typing import Any, Final

PRODUCER: Final = "https://github.com/twinmesh/twinmesh"
EVENT: Final = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent"
VERSION_FACET: Final = (
    "https://openlineage.io/spec/facets/1-0-1/DatasetVersionDatasetFacet.json"
    "#/$defs/DatasetVersionDatasetFacet"
)
MODEL_FACET: Final = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunFacet"
RUNS: Final = uuid.UUID("6f1c2f1e-6d0a-5e3b-9a53-6f0f3c1f9a10")


def events_of(impact: dict[str, Any], *, namespace: str) -> Iterator[dict[str, Any]]:
    """Yield the events of an impact, as `twinmesh model impact --json` prints it.

    Args:
        namespace: Of jobs and data sets: the mesh and its tenant.
    """
    for output in impact["outputs"]:
        yield _derived(output, namespace)
    for receipt in impact["consumers"]:
        yield _consumed(receipt, namespace)


def _derived(output: dict[str, Any], namespace: str) -> dict[str, Any]:
    model = f"{output['model']}@{output['model_version']}"
    inputs = []
    if digest := output.get("inputs_digest"):
        inputs.append(_dataset(namespace, f"readings/{output['subject']}", digest))
    return _event(
        at=output["at"],
        run=f"derived {_name(output)} {output.get('output_version', 0)} {model}",
        job=(namespace, f"{output['service']}/{output['model']}"),
        facets={
            "twinmesh_model": {
                "_producer": PRODUCER,
                "_schemaURL": MODEL_FACET,
                "name": output["model"],
                "version": output["model_version"],
                "configurationVersion": output.get("configuration_version", ""),
                "state": output["state"],
            }
        },
        inputs=inputs,
        outputs=[_dataset(namespace, _name(output), str(output.get("output_version", 0)))],
    )


def _consumed(receipt: dict[str, Any], namespace: str) -> dict[str, Any]:
    version = str(receipt.get("output_version", 0))
    return _event(
        at=receipt["last_at"],
        run=f"consumed {_name(receipt)} {version} {receipt['client']} {receipt['door']}",
        job=(namespace, f"{receipt['door'].lower()}/{receipt['client']}"),
        facets={},
        inputs=[_dataset(namespace, _name(receipt), version)],
        outputs=[],
    )


def _name(output: dict[str, Any]) -> str:
    return f"{output['output_type']}/{output['output_id']}"


def _dataset(namespace: str, name: str, version: str) -> dict[str, Any]:
    facet = {"_producer": PRODUCER, "_schemaURL": VERSION_FACET, "datasetVersion": version}
    return {"namespace": namespace, "name": name, "facets": {"version": facet}}


def _event(
    *,
    at: str,
    run: str,
    job: tuple[str, str],
    facets: dict[str, Any],
    inputs: list[dict[str, Any]],
    outputs: list[dict[str, Any]],
) -> dict[str, Any]:
    return {
        "eventType": "COMPLETE",
        "eventTime": at,
        "run": {"runId": str(uuid.uuid5(RUNS, f"{job[0]} {run}")), "facets": facets},
        "job": {"namespace": job[0], "name": job[1]},
        "inputs": inputs,
        "outputs": outputs,
        "producer": PRODUCER,
        "schemaURL": EVENT,
    }
