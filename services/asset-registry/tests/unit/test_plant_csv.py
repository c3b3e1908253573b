import csv
import io
import itertools
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asset_registry.decide import Ledger
from asset_registry.decide.plant import (
    COLUMNS,
    MAX_BYTES,
    MAX_ROWS,
    Minted,
    apply_rows,
    plan_rows,
    read_plant,
)
from asset_registry.model import Statement
from twinmesh_sdk.core.errors import InvalidInputError, PreconditionFailedError, TwinError
from twinmesh_sdk.core.ids import AssetId, ConfigurationId, SignalId, Tenant

NOW_US = 1_700_000_000_000_000
TABLES = {
    "assets": "key,name,class,lifecycle\nP-101,Pump 101,pump,planned\n",
    "signals": (
        "asset,name,source_unit,unit,range_min,range_max,cadence_s,source,device,source_signal\n"
        "P-101,flow,L/min,m3/s,0,0.01,1,plc,p101,ai_1\n"
    ),
}


@pytest.fixture
def mint():
    return minting()


def minting():
    numbers = itertools.count()

    def mint():
        ulid = f"01J{next(numbers):023d}"
        return Minted(
            AssetId("ast_" + ulid), ConfigurationId("cfg_" + ulid), SignalId("sig_" + ulid)
        )

    return mint


def ledger(current=()):
    return Ledger(Tenant("acme"), current, recorded_at_us=NOW_US + 1, recorded_by="ann")


def test_a_plant_is_read_in_the_order_in_which_it_can_be_applied(mint):
    plant = read_plant(dict(reversed(TABLES.items())), now_us=NOW_US, mint=mint)

    assert [row.table for row in plant.rows] == ["assets", "signals"]
    assert plant.problems == ()
    assert plan_rows(ledger(), plant.rows).changed == {"assets": 1, "signals": 1}


def test_a_plant_applied_twice_changes_nothing_the_second_time(mint):
    rows = read_plant(TABLES, now_us=NOW_US, mint=mint).rows
    book = ledger()
    apply_rows(book, rows)

    again = apply_rows(ledger(book.added), read_plant(TABLES, now_us=NOW_US + 99, mint=mint).rows)

    assert again.changed == {}
    assert again.unchanged == {"assets": 1, "signals": 1}


def test_blank_lines_blanks_and_a_byte_order_mark_do_no_harm(mint):
    tables = {"assets": "\ufeffkey , name,class\r\n\r\n  P-101 , Pump 101 ,pump\r\n,,\r\n"}

    plant = read_plant(tables, now_us=NOW_US, mint=mint)

    assert [row.keys[0].value for row in plant.rows] == ["P-101"]
    assert plant.problems == ()


@pytest.mark.parametrize(
    ("column", "cell", "message"),
    [
        ("source_unit", "l/min", "not known"),
        ("unit", "K", "cannot be converted"),
        ("range_max", "-1", "below range_max"),
        ("range_min", "nan", "finite"),
        ("cadence_s", "0", "above 0"),
        ("cadence_s", "often", "not a number"),
        ("source", "p.lc", "not a valid SubjectToken"),
        ("name", "fl ow", "not a valid SubjectToken"),
        ("asset", "", "asset is empty"),
    ],
)
def test_a_bad_cell_is_named_by_table_and_line(mint, column, cell, message):
    header, row = TABLES["signals"].split()
    cells = dict(zip(header.split(","), row.split(","), strict=True)) | {column: cell}
    text = f"{header}\n{row}\n{','.join(cells.values())}\n"

    plant = read_plant({"signals": text}, now_us=NOW_US, mint=mint)

    assert len(plant.rows) == 1
    (problem,) = plant.problems
    assert problem.startswith("signals line 3: ")
    assert message in problem


def test_a_key_with_two_candidates_is_refused(mint):
    rows = read_plant(TABLES, now_us=NOW_US, mint=mint).rows
    book = ledger()
    apply_rows(book, rows)
    asset = next(r for r in book.added if r.fact.lane[0] == "asset").fact
    alias = next(r for r in book.added if r.fact.lane[0] == "alias")
    other = replace(asset, asset_id=AssetId("ast_01J9999999999999999999999A"))
    book.state(Statement(other, NOW_US))
    book.state(Statement(replace(alias.fact, asset_id=other.asset_id), NOW_US))

    with pytest.raises(PreconditionFailedError, match=r"signals line 2: .* may mean 2 assets"):
        apply_rows(book, rows[1:])


def test_too_much_is_refused(mint):
    for text in ("x" * (MAX_BYTES + 1), "key,name,class\n" + "P-1,x,pump\n" * (MAX_ROWS + 1)):
        with pytest.raises(InvalidInputError, match="at most"):
            read_plant({"assets": text}, now_us=NOW_US, mint=mint)


@given(st.dictionaries(st.sampled_from(["assets", "aliases", "signals", "relations"]), st.text()))
def test_whatever_is_sent_is_read_or_refused(tables):
    try:
        plant = read_plant(tables, now_us=NOW_US, mint=minting())
    except TwinError:
        return
    plan_rows(ledger(), plant.rows)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["P-101", "P-102", ""]),
            st.text(max_size=8),
            st.sampled_from(["pump", "", "x" * 80]),
            st.sampled_from(["", "2026-01-01T00:00:00Z", "yesterday", "9999-12-31T23:59:59Z"]),
        ),
        max_size=6,
    )
)
def test_every_row_is_either_applied_or_named(rows):
    out = io.StringIO()
    csv.writer(out).writerows([("key", "name", "class", "valid_from"), *rows])
    try:
        plant = read_plant({"assets": out.getvalue()}, now_us=NOW_US, mint=minting())
    except InvalidInputError:
        return
    plan = plan_rows(ledger(), plant.rows)
    blank = sum(not any(cell.strip() for cell in row) for row in rows)
    counted = sum(plan.changed.values()) + sum(plan.unchanged.values())
    assert counted + len(plan.problems) + len(plant.problems) == len(rows) - blank


def test_the_reference_lists_every_column(pytestconfig):
    path = pytestconfig.rootpath / "docs" / "reference" / "plant-csv.md"
    if not path.is_file():
        pytest.skip("docs/reference/plant-csv.md is not in this checkout")
    text = path.read_text()
    for table, columns in COLUMNS.items():
        section = text.split(f"\n## {table}\n")[1].split("\n## ")[0]
        for column in columns:
            assert f"`{column}`" in section, (table, column)


def test_the_example_of_the_reference_is_read(pytestconfig, mint):
    path = pytestconfig.rootpath / "docs" / "reference" / "plant-csv.md"
    if not path.is_file():
        pytest.skip("docs/reference/plant-csv.md is not in this checkout")
    example, answer = (
        json.loads(part.split("```")[0]) for part in path.read_text().split("```json")[1:3]
    )

    rows = read_plant(example["tables"], now_us=NOW_US, mint=mint).rows

    assert plan_rows(ledger(), rows).changed == answer["changed"]
