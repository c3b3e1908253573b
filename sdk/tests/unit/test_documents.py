"""Documents about the SDK say what the code does."""

import re
from pathlib import Path

import pytest

from twinmesh_sdk.core.disposition import DISPOSITION
from twinmesh_sdk.core.errors import RETRYABLE, ErrorCode
from twinmesh_sdk.runtime.failures import GRPC_STATUS, HTTP_STATUS
from twinmesh_sdk.runtime.service import TwinService
from twinmesh_sdk.runtime.settings import PREFIX, DatabaseSettings

ROOT = Path(__file__).resolve().parents[3]
HOW_TO = (ROOT / "docs" / "how-to" / "add-your-twin.md").read_text()
SHOWN = re.findall(r"<!-- file: (\S+) -->\n```\w+\n(.*?)```", HOW_TO, re.DOTALL)


def rows(name):
    lines = (ROOT / "docs" / "reference" / name).read_text().splitlines()
    cells = [[c.strip() for c in line.strip("|").split("|")] for line in lines if "|" in line]
    return cells[2:]


@pytest.mark.parametrize(("path", "text"), SHOWN, ids=[path for path, _ in SHOWN])
def test_the_how_to_shows_the_example_as_it_is(path, text):
    assert (ROOT / path).read_text() == text


def test_the_how_to_shows_something():
    assert len(SHOWN) == 3


@pytest.mark.parametrize("method", sorted(set(re.findall(r"`service\.(\w+)\(", HOW_TO))))
def test_what_the_how_to_calls_exists(method):
    assert callable(getattr(TwinService, method))


def test_the_page_of_errors_is_the_tables():
    told = {row[0]: row[1:5] for row in rows("errors.md")}
    true = {
        code.value: [
            GRPC_STATUS[code].name,
            str(HTTP_STATUS[code]),
            "yes" if code in RETRYABLE else "no",
            DISPOSITION[code].value,
        ]
        for code in ErrorCode
    }

    assert told == true


def test_the_page_of_settings_names_every_knob_and_no_other():
    told = {row[0].strip("`"): row[2] for row in rows("settings.md")}
    true = {PREFIX + n.upper(): i.description for n, i in DatabaseSettings.model_fields.items()}

    assert told == true
