"""What of a workbook is opened at all, how much of it may stand in one place, and tables wider than tables are."""

import datetime as dt
import io
import json
import time
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import duckdb
import openpyxl
import pytest
import xlsxwriter
from openpyxl.utils.datetime import CALENDAR_MAC_1904

from portal.engine import pace, xlsx_source, xml_guard
from portal.engine.fetch import Fetched
from portal.engine.look import look
from portal.engine.reading import Reading
from portal.engine.stop import Stop
from portal.engine.xml_guard import Guarded
from portal.errors import Fault
from proofs.bomb_files import WORKBOOKS, book, many
from tests.engine.rows import fetched

MAIN = b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>'
STRINGS = b'<sst xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">'
END = b"</sheetData></worksheet>"
QUICK = ("styles", "one row", "runs", "an attribute", "a comment", "depth", "entities")


def rows(found: Fetched) -> list[list[Any]]:
    return look(found.path, found.columns).rows


@pytest.mark.parametrize("name", QUICK)
def test_a_swollen_part_is_refused(name: str, tmp_path: Path) -> None:
    make, ends = WORKBOOKS[name]
    make(tmp_path / "book")
    with pytest.raises(Fault) as caught:
        fetched(tmp_path / "book")
    assert {caught.value.code} == ends and not caught.value.passing


def test_parts_that_no_table_needs_may_be_broken(tmp_path: Path) -> None:
    broken: Iterable[bytes] = [b"<not XML"]
    names = ("theme/theme1", "comments1", "calcChain", "worksheets/_rels/sheet1.xml.rels", "externalLinks/x")
    book(**dict.fromkeys(names, broken))(tmp_path / "book")
    assert rows(fetched(tmp_path / "book")) == [[1]]


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
        fetched(tmp_path / "broken")


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
    found = fetched(tmp_path / "book.xlsx", header=names)
    assert [(column.name, column.type) for column in found.columns] == [("json", "json")]
    assert (found.rows, found.found["wide"], found.found["sheet"]) == (5, 16_384, "wide")
    whole = [json.loads(row[0]) for row in duckdb.connect().execute(f"FROM '{found.path}'").fetchall()]
    name = "c{}".format if names else lambda n: f"column{n + 1}"
    assert [row[name(16_383)] for row in whole] == [n * 16_384 + 16_383 for n in range(5)]
    assert list(whole[0]) == [name(n) for n in range(16_384)]


@pytest.mark.parametrize(("columns", "is_wide"), [(1000, False), (1001, True)])
def test_a_thousand_columns_are_a_table(columns: int, is_wide: bool, tmp_path: Path) -> None:
    wide(tmp_path / "book.xlsx", columns, 3, names=True)
    said: dict[str, Any] = {"max_bytes": 10**9, "report": lambda _: None}
    made = xlsx_source.to_ndjson(tmp_path / "book.xlsx", tmp_path / "lines", tmp_path, Reading(), stop=Stop(), **said)
    assert (len(made.fields), made.wide) == ((0, columns) if is_wide else (columns, None))


def test_no_sheet_has_16_385_columns(tmp_path: Path) -> None:
    book(sheet=[MAIN, b"<row>" + b"<c><v>1</v></c>" * 16_385 + b"</row></sheetData></worksheet>"])(tmp_path / "beyond")
    with pytest.raises(Fault) as caught:
        fetched(tmp_path / "beyond")
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
    found = fetched(tmp_path / "book")
    assert [column.name for column in found.columns] == ["a", "b", "c", "d", "column5"]
    stored = duckdb.connect().execute(f"FROM '{found.path}'").fetchall()
    assert [list(stored[n]) for n in (0, 1, -1)] == [[1, *[None] * 4], [None, 2, *[None] * 3], [None, None, 4, None, 5]]


def styled(change: Callable[[openpyxl.Workbook], None], path: Path) -> list[list[Any]]:
    made = openpyxl.Workbook()
    change(made)
    made.save(path)
    return rows(fetched(path, header=False))


def test_what_is_a_date_is_told_by_its_format_and_the_calendar(tmp_path: Path) -> None:
    def dates(made: openpyxl.Workbook) -> None:
        sheet = made.worksheets[0]
        moment = dt.datetime(2026, 1, 2, 3, 4, 5)  # noqa: DTZ001  # sheets have no zones
        sheet.append([moment, dt.timedelta(hours=30), 45_000, 45_000, 45_000])
        sheet["C1"].number_format, sheet["D1"].number_format = "0.00", 'yyyy"y"mm"m"'
        sheet["E1"].number_format = '"dmy"0'

    said = [["2026-01-02T03:04:05", "30:00:00", 45_000, "2023-03-15", 45_000]]
    assert styled(dates, tmp_path / "a") == said

    def mac(made: openpyxl.Workbook) -> None:
        made.epoch = CALENDAR_MAC_1904
        dates(made)

    assert styled(mac, tmp_path / "b") == [["2026-01-02T03:04:05", "30:00:00", 45_000, "2027-03-16", 45_000]]


def test_hidden_sheets_and_charts_are_passed_over(tmp_path: Path) -> None:
    def several(made: openpyxl.Workbook) -> None:
        made.worksheets[0].append(["hidden"])
        made.worksheets[0].sheet_state = "hidden"
        made.create_chartsheet("chart", 0)
        made.create_sheet("seen").append(["seen"])

    assert styled(several, tmp_path / "a") == [["seen"]]


@pytest.mark.parametrize(
    ("parts", "part"),
    [
        (
            {"sheet": many(b"<row>" + b"<c/>" * 500 + b"</row>", 20_000, MAIN, END)},
            "sheet1.xml",
        ),
        ({"sharedStrings": many(b"<si/>", 4_000_000, STRINGS, b"</sst>")}, "sharedStrings.xml"),
        ({"sheet": many(b"<row/>", 1_000_000, MAIN, END)}, "sheet1.xml"),
    ],
)
def test_what_only_makes_work_ends_soon(
    parts: dict[str, Iterable[bytes]], part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "SECONDS", 0.2)
    book(**parts)(tmp_path / "book")
    began = time.process_time()
    with pytest.raises(Fault) as caught:
        fetched(tmp_path / "book")
    assert (caught.value.code, caught.value.params) == ("xlsx_swollen", {"part": part})
    assert time.process_time() - began < 1.5
    honest = b"<row>" + b"<c><v>7</v></c>" * 50 + b"</row>"
    book(sheet=many(honest, 2000, MAIN, b"</sheetData></worksheet>"))(tmp_path / "honest")
    assert fetched(tmp_path / "honest", header=False).rows == 2000  # two seconds more for that many values


def test_rows_that_stand_far_out_cost_what_is_in_them(tmp_path: Path) -> None:
    last = b'<row><c r="XFD1"><v>1</v></c></row>'
    growing = b"".join(b'<row><c r="%s"><v>1</v></c></row>' % cell for cell in (b"A1", b"ZZ1", b"AAA1", b"XFC1"))
    book(sheet=[MAIN, growing, *many(last, 20_000), END])(tmp_path / "book")
    began = time.process_time()
    found = fetched(tmp_path / "book", header=False)
    assert (found.rows, found.found["wide"]) == (20_004, 16_384)
    assert time.process_time() - began < 10  # it took 40


def test_a_sheet_of_many_names_is_read_once(tmp_path: Path) -> None:
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    sheets = "".join(f'<sheet name="s{n}" sheetId="{n}" r:id="rId1"/>' for n in range(20_000))
    named = f'<workbook xmlns="{main}" xmlns:r="{office}"><sheets>{sheets}</sheets></workbook>'
    book(book=[named.encode()], sheet=[MAIN, END])(tmp_path / "book")
    began = time.process_time()
    with pytest.raises(Fault, match="file_empty"):
        fetched(tmp_path / "book")
    assert time.process_time() - began < 2


def test_one_text_in_many_cells_does_not_fill_the_disk(tmp_path: Path) -> None:
    cells = many(b'<row><c t="s"><v>0</v></c></row>', 5000, MAIN, END)
    book(sheet=cells, sharedStrings=[STRINGS, b"<si><t>" + b"a" * 30_000 + b"</t></si></sst>"])(tmp_path / "book")
    said: dict[str, Any] = {"stop": Stop(), "report": lambda _: None}
    for most, code in ((20_000_000, "too_large"), (2**40, "bomb")):
        with pytest.raises(Fault, match=code):
            xlsx_source.to_ndjson(tmp_path / "book", tmp_path / "lines", tmp_path, Reading(), max_bytes=most, **said)
        assert (tmp_path / "lines").stat().st_size <= min(most, xlsx_source.LINES_AFTER)
