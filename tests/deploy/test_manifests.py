"""The manifests render, are valid, and keep what they promise about every pod."""

import shutil
import subprocess
import sys
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
K8S = ROOT / "deploy/k8s"
SERVICES = {
    "asset-registry",
    "telemetry",
    "maintenance-twin",
    "energy-twin",
    "governance",
    "gateway",
}


def render(command: list[str], folder: Path) -> list[dict]:
    done = subprocess.run(
        [*command, str(folder)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return [document for document in yaml.safe_load_all(done.stdout) if document]


@pytest.fixture(scope="session", params=["dev", "prod"])
def overlay(request, kustomize, tmp_path_factory):
    if request.param == "prod":
        return render(kustomize, K8S / "overlays/prod")
    copy = tmp_path_factory.mktemp("deploy") / "k8s"
    shutil.copytree(K8S, copy)
    subprocess.run([sys.executable, copy / "overlays/dev/make_secrets.py"], check=True, timeout=60)
    return render(kustomize, copy / "overlays/dev")


def pods(documents):
    for document in documents:
        if document["kind"] in {"Deployment", "StatefulSet", "Job"}:
            yield document["metadata"]["name"], document["spec"]["template"]


def members(documents):
    for name, template in pods(documents):
        if not any(key == "twinmesh.io/store" for key in template["metadata"]["labels"]):
            yield name, template


def test_every_document_is_valid_against_the_schema(overlay):
    for document in overlay:
        kubernetes_validate.validate(document, "1.37", strict=True)


def test_every_service_has_a_deployment_and_an_address(overlay):
    named = {(d["kind"], d["metadata"]["name"]) for d in overlay}
    for service in SERVICES:
        assert ("Deployment", service) in named
        assert ("Service", service) in named


def test_every_pod_meets_the_restricted_pod_security_standard(overlay):
    for name, template in pods(overlay):
        spec = template["spec"]
        assert spec["securityContext"]["runAsNonRoot"] is True, name
        assert spec["securityContext"]["seccompProfile"]["type"] == "RuntimeDefault", name
        for container in spec["containers"]:
            security = container["securityContext"]
            assert security["allowPrivilegeEscalation"] is False, name
            assert security["capabilities"]["drop"] == ["ALL"], name
        for volume in spec.get("volumes", []):
            assert not volume.keys() & {"hostPath", "nfs"}, name


def test_every_member_has_a_read_only_root_probes_and_bounds(overlay):
    for name, template in members(overlay):
        spec = template["spec"]
        assert spec["enableServiceLinks"] is False, name
        assert spec["automountServiceAccountToken"] is False, name
        for container in spec["containers"]:
            assert container["securityContext"]["readOnlyRootFilesystem"] is True, name
            assert container["resources"]["requests"].keys() >= {"cpu", "memory"}, name
            assert "memory" in container["resources"]["limits"], name
            if name in SERVICES:
                assert container["livenessProbe"]["httpGet"]["path"] == "/healthz/live"
                assert container["readinessProbe"]["httpGet"]["path"] == "/healthz/ready"


def test_services_with_a_store_are_migrated_by_a_job(overlay):
    jobs = {d["metadata"]["name"] for d in overlay if d["kind"] == "Job"}
    assert {f"migrate-{service}" for service in SERVICES - {"gateway"}} <= jobs


def test_everything_is_denied_unless_a_label_opens_it(overlay):
    policies = {d["metadata"]["name"]: d["spec"] for d in overlay if d["kind"] == "NetworkPolicy"}
    assert policies["default-deny"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    for name, policy in policies.items():
        labels = policy["podSelector"].get("matchLabels", {})
        assert "app.kubernetes.io/name" not in labels, f"{name} selects one service by name"


def test_no_secret_value_is_kept_in_the_repository():
    kept = subprocess.run(
        ["git", "ls-files", "deploy"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert not [path for path in kept if "/secrets/" in path]


def test_stores_of_the_dev_overlay_are_marked_non_production(overlay):
    for document in overlay:
        if document["kind"] == "StatefulSet":
            assert document["metadata"]["labels"]["twinmesh.io/non-production"] == "true"
