"""Names that strangers give are as long as names are, whatever the format: of columns, sheets, types."""

import json
from pathlib import Path
from typing import Any

import duckdb
import pytest

from portal.engine.columns import readable
from portal.engine.csv_dialect import NAME_CHARS, unique_names
from proofs.bomb_files import book
from tests.engine.rows import fetched

LONG = "q" * 5000


@pytest.mark.parametrize("lines", [True, False])
def test_long_keys_are_cut_and_stay_apart(lines: bool, tmp_path: Path) -> None:
    row: dict[str, Any] = {LONG: 1, LONG + "b": "2", LONG.upper() + "c": [1.5], "a": 2**60, LONG[:NAME_CHARS]: "x"}
    (tmp_path / "data").write_text(json.dumps(row) if lines else json.dumps([row]))
    found = fetched(tmp_path / "data")
    names = [column.name for column in found.columns]
    cut = LONG[:NAME_CHARS]
    assert names == [f"{cut}_2", f"{cut}_3", f"{cut.upper()}_4", "a", cut]
    assert duckdb.connect().execute(f"FROM '{found.path}'").fetchall() == [(1, "2", [1.5], 2**60, "x")]


def test_sheets_and_types_too(tmp_path: Path) -> None:
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    sheet = f'<sheet name="{LONG}" sheetId="1" r:id="rId1"/>'
    named = f'<workbook xmlns="{main}" xmlns:r="{office}"><sheets>{sheet}</sheets></workbook>'
    book(book=[named.encode()])(tmp_path / "book")
    assert fetched(tmp_path / "book").found["sheet"] == LONG[:100]
    assert readable(duckdb.sqltype("INTEGER" + "[]" * 500)) == "…[]" + "[]" * 8


def test_as_many_equal_names_as_a_sheet_has_are_told_apart_at_once() -> None:
    names = unique_names(["a", "A_2", *["a"] * 100_000])
    assert len(names) == len(set(map(str.lower, names))) and names[:4] == ["a", "A_2", "a_3", "a_4"]
