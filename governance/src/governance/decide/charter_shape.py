"""Rule: a charter has the shape of the published JSON Schema."""

import json
from functools import cache
from importlib.resources import files
from typing import Any, Final

from governance.model.findings import Finding

MAX_FINDINGS: Final = 20
SCHEMA_HINT: Final = "see docs/reference/charter.schema.json"


@cache
def charter_schema() -> dict[str, Any]:
    """Return the published schema of `twin.yaml`."""
    text = (files("governance") / "contract" / "charter.schema.json").read_text("utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema


@cache
def _validator() -> Any:  # noqa: ANN401 - jsonschema's validator classes are made at run time
    from jsonschema import Draft202012Validator  # noqa: PLC0415 - 0.1 s that a cold start can wait with

    return Draft202012Validator(charter_schema())


def check_charter_shape(service: str, charter: dict[str, Any]) -> list[Finding]:
    """Return one finding per place where the charter leaves the schema, at most MAX_FINDINGS."""
    findings = []
    for error in sorted(_validator().iter_errors(charter), key=lambda e: [str(p) for p in e.path]):
        path = ".".join(str(part) for part in error.absolute_path) or "(charter)"
        message = error.message if len(error.message) <= 300 else error.message[:300] + "…"
        findings.append(
            Finding(
                code="CHARTER_SCHEMA",
                subject=path,
                message=f"{path}: {message}",
                hint=SCHEMA_HINT,
                service=service,
            )
        )
        if len(findings) == MAX_FINDINGS:
            break
    return findings
