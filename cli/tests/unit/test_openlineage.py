"""Lineage as other catalogues read it: what OpenLineage requires, and the same ids each time."""

import uuid
from datetime import datetime

from twinmesh_cli.openlineage import events_of

IMPACT = {
    "outputs": [
        {
            "service": "maintenance-twin",
            "subject": "ast_1",
            "output_type": "WorkItem",
            "output_id": "wki_1",
            "output_version": "2",
            "model": "pump-condition",
            "model_version": "1.0.0",
            "state": "OPEN",
            "configuration_version": "cfg_1",
            "inputs_digest": "sha256:00",
            "at": "2026-01-05T08:00:00Z",
        }
    ],
    "consumers": [
        {
            "client": "erp-app",
            "door": "GATEWAY",
            "output_type": "WorkItem",
            "output_id": "wki_1",
            "output_version": "2",
            "last_at": "2026-01-05T09:00:00Z",
        }
    ],
}


def test_each_event_has_what_the_specification_requires():
    events = list(events_of(IMPACT, namespace="acme"))

    assert len(events) == 2
    for event in events:
        assert event["eventType"] == "COMPLETE"
        assert datetime.fromisoformat(event["eventTime"]).tzinfo is not None
        assert uuid.UUID(event["run"]["runId"])
        assert event["job"].keys() == {"namespace", "name"}
        assert event["producer"].startswith("https://")
        assert event["schemaURL"].endswith("/RunEvent")
        facets = [*event["run"]["facets"].values()]
        for dataset in event["inputs"] + event["outputs"]:
            assert dataset["namespace"] == "acme"
            assert dataset["name"]
            facets += dataset["facets"].values()
        for facet in facets:
            assert facet["_producer"]
            assert facet["_schemaURL"].startswith("https://")


def test_what_was_derived_is_what_was_consumed():
    derived, consumed = events_of(IMPACT, namespace="acme")

    assert derived["outputs"] == consumed["inputs"]
    assert derived["inputs"][0]["facets"]["version"]["datasetVersion"] == "sha256:00"
    assert derived["run"]["facets"]["twinmesh_model"]["version"] == "1.0.0"


def test_the_same_impact_gives_the_same_events_and_another_tenant_others():
    runs = [e["run"]["runId"] for e in events_of(IMPACT, namespace="acme")]

    assert runs == [e["run"]["runId"] for e in events_of(IMPACT, namespace="acme")]
    assert not {*runs} & {e["run"]["runId"] for e in events_of(IMPACT, namespace="globex")}
