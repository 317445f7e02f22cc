"""What of a workbook is opened at all, how much of it may stand in one place, and tables wider than tables are."""

import datetime as dt
import io
import json
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import duckdb
import openpyxl
import pytest
import xlsxwriter
from openpyxl.utils.datetime import CALENDAR_MAC_1904

from portal.engine import xlsx_source, xml_guard
from portal.engine.download import Limits
from portal.engine.fetch import Fetched, Local, to_parquet
from portal.engine.guard import Policy
from portal.engine.look import look
from portal.engine.meter import Meter
from portal.engine.reading import Reading
from portal.engine.stop import Stop
from portal.engine.xml_guard import Guarded
from portal.errors import Fault
from proofs.bomb_files import WORKBOOKS, book, many

MAIN = b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>'
QUICK = ("styles", "one row", "runs", "an attribute", "a comment", "depth", "entities")


def read(path: Path, **said: Any) -> Fetched:
    work = path.with_suffix(".work")
    work.mkdir()
    source = Local(path, path.name, path.stat().st_size, "")
    reading = Reading(**said)
    return to_parquet(source, work, reading=reading, policy=Policy(), limits=Limits(), stop=Stop(), meter=Meter())


def rows(found: Fetched) -> list[list[Any]]:
    return look(found.path, found.columns).rows


@pytest.mark.parametrize("name", QUICK)
def test_a_swollen_part_is_refused(name: str, tmp_path: Path) -> None:
    make, ends = WORKBOOKS[name]
    make(tmp_path / "book")
    with pytest.raises(Fault) as caught:
        read(tmp_path / "book")
    assert {caught.value.code} == ends and not caught.value.passing


def test_parts_that_no_table_needs_may_be_broken(tmp_path: Path) -> None:
    broken: Iterable[bytes] = [b"<not XML"]
    names = ("theme/theme1", "comments1", "calcChain", "worksheets/_rels/sheet1.xml.rels", "externalLinks/x")
    book(**dict.fromkeys(names, broken))(tmp_path / "book")
    assert rows(read(tmp_path / "book")) == [[1]]


@pytest.mark.parametrize("piece", [1, 7, 64, 100_000])
def test_a_guarded_part_is_the_same_however_it_comes(piece: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xml_guard, "PIECE", piece)
    part = MAIN + b"<row><c><v>1</v></c></row>" * 50 + b"</sheetData>"
    behind = b"<mergeCells/></worksheet>"
    assert Guarded(io.BytesIO(part + behind), "p", unit="row").read() == part + behind
    assert Guarded(io.BytesIO(part + behind), "p", unit="row", until="sheetData").read() == part + b"</worksheet>"
    prefixed = (
        (part + behind).replace(b"</", b"</x:").replace(b"<row", b"<x:row").replace(b"<worksheet", b"<x:worksheet")
    )
    assert (
        Guarded(io.BytesIO(prefixed), "p", unit="row", until="sheetData")
        .read()
        .endswith(b"</x:sheetData></x:worksheet>")
    )


@pytest.mark.parametrize(
    ("row", "limits"),
    [
        (b"<row>" + b"<c/>" * 30 + b"</row>", {"UNIT_TAGS": 30}),
        (b"<x:row><c>" + b"a" * 300 + b"</c><c/></x:row>", {"UNIT_BYTES": 300}),
        (b"<row><c>" + b"a" * 200 + b"</c></row>", {"TAG_BYTES": 150}),
    ],
)
def test_each_row_may_be_large_and_none_too_large(
    row: bytes, limits: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, most in limits.items():
        monkeypatch.setattr(xml_guard, name, most * 4)
    assert Guarded(io.BytesIO(MAIN + row * 40), "p", unit="row").read() == MAIN + row * 40
    for name, most in limits.items():
        monkeypatch.setattr(xml_guard, name, most)
    with pytest.raises(Fault, match="xlsx_swollen"):
        Guarded(io.BytesIO(MAIN + row * 40), "p", unit="row").read()


def test_what_stands_behind_the_data_is_still_checked(tmp_path: Path) -> None:
    sheet = [MAIN, b"<row><c><v>1</v></c></row></sheetData>", *many(b"<mergeCell/>", 50_000), b"</worksheet>"]
    book(sheet=sheet)(tmp_path / "book")
    data = bytearray((tmp_path / "book").read_bytes())
    with zipfile.ZipFile(tmp_path / "book") as archive:
        info = archive.getinfo("xl/worksheets/sheet1.xml")
    data[info.header_offset + 30 + len(info.filename) + 20 + info.compress_size - 3] ^= 0xFF
    (tmp_path / "broken").write_bytes(data)
    with pytest.raises(Fault, match="xlsx_corrupt"):
        read(tmp_path / "broken")


def wide(path: Path, columns: int, rows_: int, *, names: bool) -> None:
    made = xlsxwriter.Workbook(str(path), {"constant_memory": True})
    sheet = made.add_worksheet("wide")
    if names:
        sheet.write_row(0, 0, [f"c{n}" for n in range(columns)])
    for row in range(rows_):
        sheet.write_row(row + names, 0, [row * columns + n for n in range(columns)])
    made.close()


@pytest.mark.parametrize("names", [True, False])
def test_more_columns_than_a_table_has_are_kept_row_by_row(names: bool, tmp_path: Path) -> None:
    wide(tmp_path / "book.xlsx", 16_384, 5, names=names)
    found = read(tmp_path / "book.xlsx", header=names)
    assert [(column.name, column.type) for column in found.columns] == [("json", "json")]
    assert (found.rows, found.found["wide"], found.found["sheet"]) == (5, 16_384, "wide")
    whole = [json.loads(row[0]) for row in duckdb.connect().execute(f"FROM '{found.path}'").fetchall()]
    name = "c{}".format if names else lambda n: f"column{n + 1}"
    assert [row[name(16_383)] for row in whole] == [n * 16_384 + 16_383 for n in range(5)]
    assert list(whole[0]) == [name(n) for n in range(16_384)]


@pytest.mark.parametrize(("columns", "is_wide"), [(1000, False), (1001, True)])
def test_a_thousand_columns_are_a_table(columns: int, is_wide: bool, tmp_path: Path) -> None:
    wide(tmp_path / "book.xlsx", columns, 3, names=True)
    said: dict[str, Any] = {"sheet": None, "header": None, "max_bytes": 10**9, "report": lambda _: None}
    made = xlsx_source.to_ndjson(tmp_path / "book.xlsx", tmp_path / "lines", work=tmp_path, stop=Stop(), **said)
    assert (len(made.columns), made.is_wide) == (columns, is_wide)


def test_no_sheet_has_16_385_columns(tmp_path: Path) -> None:
    book(sheet=[MAIN, b"<row>" + b"<c><v>1</v></c>" * 16_385 + b"</row></sheetData></worksheet>"])(tmp_path / "beyond")
    with pytest.raises(Fault) as caught:
        read(tmp_path / "beyond")
    assert (caught.value.code, caught.value.params) == ("too_many_columns", {"columns": 16_385, "limit": 16_384})


def test_columns_that_begin_later_and_gaps(tmp_path: Path) -> None:
    made = openpyxl.Workbook()
    sheet = made.worksheets[0]
    table: list[list[Any]] = [
        ["a", "b", "c", "d"],
        [1, None, None, None],
        [None, 2, None, None],
        *[[3]] * 200,
        [None, None, 4, None, 5],
    ]
    for row in table:
        sheet.append(row)
    made.save(tmp_path / "book")
    found = read(tmp_path / "book")
    assert [column.name for column in found.columns] == ["a", "b", "c", "d", "column5"]
    stored = duckdb.connect().execute(f"FROM '{found.path}'").fetchall()
    assert [list(stored[n]) for n in (0, 1, -1)] == [[1, *[None] * 4], [None, 2, *[None] * 3], [None, None, 4, None, 5]]


def styled(change: Callable[[openpyxl.Workbook], None], path: Path) -> list[list[Any]]:
    made = openpyxl.Workbook()
    change(made)
    made.save(path)
    return rows(read(path, header=False))


def test_what_is_a_date_is_told_by_its_format_and_the_calendar(tmp_path: Path) -> None:
    def dates(made: openpyxl.Workbook) -> None:
        sheet = made.worksheets[0]
        moment = dt.datetime(2026, 1, 2, 3, 4, 5)  # noqa: DTZ001  # sheets have no zones
        sheet.append([moment, dt.timedelta(hours=30), 45_000, 45_000, 45_000])
        sheet["C1"].number_format, sheet["D1"].number_format = "0.00", 'yyyy"y"mm"m"'
        sheet["E1"].number_format = '"dmy"0'

    said = [["2026-01-02T03:04:05", "1 day, 6:00:00", 45_000, "2023-03-15", 45_000]]
    assert styled(dates, tmp_path / "a") == said

    def mac(made: openpyxl.Workbook) -> None:
        made.epoch = CALENDAR_MAC_1904
        dates(made)

    assert styled(mac, tmp_path / "b") == [["2026-01-02T03:04:05", "1 day, 6:00:00", 45_000, "2027-03-16", 45_000]]


def test_hidden_sheets_and_charts_are_passed_over(tmp_path: Path) -> None:
    def several(made: openpyxl.Workbook) -> None:
        made.worksheets[0].append(["hidden"])
        made.worksheets[0].sheet_state = "hidden"
        made.create_chartsheet("chart", 0)
        made.create_sheet("seen").append(["seen"])

    assert styled(several, tmp_path / "a") == [["seen"]]
