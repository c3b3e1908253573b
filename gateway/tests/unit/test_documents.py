"""The reference page of the gateway says what the code does."""

import re
from pathlib import Path

from pydantic import SecretStr

from gateway import caching, observing
from gateway.settings import GatewaySettings
from twinmesh_federation.serving.csrf import PREFLIGHT_HEADERS
from twinmesh_sdk.runtime.settings import PREFIX, TwinSettings

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "reference" / "gateway.md").read_text()


def rows(heading):
    """Return the cells of the table below a heading, without its head."""
    section = PAGE.split(f"## {heading}\n", 1)[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def shown(default):
    value = default.get_secret_value() if isinstance(default, SecretStr) else default
    return "empty" if value == "" else f"`{value}`"


def test_every_setting_is_told_with_its_default_and_no_other():
    told = {row[0].strip("`"): tuple(row[1:]) for row in rows("Settings")}
    true = {
        PREFIX + name.upper(): (shown(info.default), info.description)
        for name, info in GatewaySettings.model_fields.items()
        if name not in TwinSettings.model_fields
    }
    assert told == true


def test_every_metric_is_told_with_its_labels_and_no_other():
    told = {
        row[0].strip("`"): {part.split(":")[0].strip() for part in _labels(row[2])}
        for row in rows("Metrics")
    }
    true = {}
    for module in (observing, caching):
        for metric in vars(module).values():
            if hasattr(metric, "_labelnames"):
                name = metric._name + ("_total" if metric._type == "counter" else "")
                true[name] = set(metric._labelnames)
    assert told == true


def _labels(cell):
    """Cut "a, b: x, y" into labels: values follow a colon."""
    head = re.sub(r":.*", "", cell)
    return [part for part in head.split(",") if part.strip()]


def test_every_header_that_forces_a_preflight_is_told():
    assert all(f"`{name}`" in PAGE for name in PREFLIGHT_HEADERS)
