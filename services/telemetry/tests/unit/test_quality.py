import csv
import os
from pathlib import Path

import pytest

from telemetry.model import quality
from twinmesh_sdk.core.errors import InvalidInputError

DATA = Path(os.environ.get("TWINMESH_RECORDINGS", "../shared/data")) / "opcua" / "StatusCode.csv"


@pytest.mark.recordings
@pytest.mark.skipif(not DATA.is_file(), reason="needs the OPC UA table: set TWINMESH_RECORDINGS")
def test_every_named_status_code_is_that_of_the_standard():
    with DATA.open() as file:
        standard = {name: int(code, 16) for name, code, *_ in csv.reader(file)}

    assert {n: c for n, c in quality.CODE_BY_NAME.items() if standard.get(n) != c} == {}


def test_a_quality_is_a_name_a_code_or_nothing():
    assert quality.status_of(None) == 0
    assert quality.status_of("BadOutOfRange") == 0x803C0000
    assert quality.status_of(0x40930000) == 0x40930000
    assert quality.name_of(0x803C0400) == "BadOutOfRange"
    for nonsense in ("Splendid", -1, 2**32, True, 1.5, []):
        with pytest.raises(InvalidInputError):
            quality.status_of(nonsense)
