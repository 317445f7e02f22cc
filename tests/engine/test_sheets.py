"""What stands in the cells of strangers' workbooks, where their parts lie, and where in a sheet the table begins."""

import zipfile
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from python_calamine import CalamineWorkbook

from portal.engine.columns import Column
from portal.engine.download import Limits
from portal.engine.export import Wanted, export
from portal.engine.fetch import Fetched
from portal.engine.look import look
from portal.engine.meter import Meter
from portal.engine.stop import Stop
from portal.engine.xlsx_formats import Format, format_of
from portal.engine.xlsx_serials import written
from portal.errors import Fault
from tests.engine.rows import fetched, whole_rows

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
STRICT = "http://purl.oclc.org/ooxml/spreadsheetml/main"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
STRICT_OFFICE = "http://purl.oclc.org/ooxml/officeDocument/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"
Parts = dict[str, str]


def parts(cells: str, *, main: str = MAIN, office: str = OFFICE, book: str = "") -> Parts:
    """A small workbook; style 1 is a day, 2 hours, 3 a time of day, 4 text, 5 a day in China's own format."""
    formats = "".join(f'<xf numFmtId="{n}"/>' for n in (0, 164, 46, 20, 49, 31))
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"
    return {
        "[Content_Types].xml": f'<Types><Override PartName="/xl/workbook.xml" ContentType="{kind}"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{PACKAGE}"><Relationship Id="a" Type="{office}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{main}" xmlns:r="{office}">{book}<sheets><sheet name="S" sheetId="1" r:id="rId1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{PACKAGE}"><Relationship Id="rId1" Type="{office}/worksheet" Target="worksheets/sheet1.xml"/>'
        f'<Relationship Id="rId2" Type="{office}/styles" Target="styles.xml"/><Relationship Id="rId3" Type="{office}/sharedStrings" Target="sharedStrings.xml"/></Relationships>',
        "xl/styles.xml": f'<styleSheet xmlns="{main}"><numFmts><numFmt numFmtId="164" formatCode="yyyy\\-mm\\-dd;@"/></numFmts><cellXfs>{formats}</cellXfs></styleSheet>',
        "xl/sharedStrings.xml": f'<sst xmlns="{main}"><si><t>name</t></si><si><r><t>東</t></r><r><t>京</t></r><rPh><t>トウ</t></rPh></si></sst>',
        "xl/worksheets/sheet1.xml": f'<worksheet xmlns="{main}"><sheetData>{cells}</sheetData></worksheet>',
    }  # fmt: skip


def saved(made: Parts, path: Path) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in made.items():
            archive.writestr(name, text)
    return path


def column(*cells: str) -> str:
    """A named column of such cells."""
    rows = "".join(f"<row>{cell}</row>" for cell in cells)
    return f'<row><c t="str"><v>a</v></c></row>{rows}'


def values(found: Fetched) -> list[Any]:
    return [row[0] for row in look(found.path, found.columns).rows]


@pytest.mark.parametrize(
    ("cells", "type_", "expected", "told"),
    [
        (['<c s="2"><v>1.1041666666666667</v></c>', '<c s="2"><v>-0.5</v></c>'], "text", ["26:30:00", "-12:00:00"], {}),
        (['<c s="3"><v>0</v></c>', '<c s="3"><v>0.99999</v></c>', '<c s="3"><v>1.25</v></c>'], "text", ["00:00:00", "23:59:59.136", "30:00:00"], {}),
        (['<c s="1"><v>1</v></c>', '<c s="1"><v>59</v></c>', '<c s="1"><v>61</v></c>'], "date", ["1900-01-01", "1900-02-28", "1900-03-01"], {}),
        (['<c s="1"><v>0</v></c>', '<c s="1"><v>60</v></c>', '<c s="1"><v>61</v></c>'], "date", [None, None, "1900-03-01"], {"no_days": 2}),
        (['<c s="1"><v>45000.5</v></c>', '<c s="1"><v>45001</v></c>'], "timestamp", ["2023-03-15T12:00:00", "2023-03-16T00:00:00"], {}),
        (['<c s="5"><v>45000</v></c>'], "date", ["2023-03-15"], {}),
        (['<c s="1"><v>20260102</v></c>', '<c s="1"><v>45000</v></c>'], "text", ["20260102", "2023-03-15"], {}),
        (['<c s="1" t="d"><v>2026-01-02T00:00:00</v></c>', '<c s="1" t="d"><v>2026-01-03</v></c>'], "date", ["2026-01-02", "2026-01-03"], {}),
        (['<c><v>1.5</v></c>', '<c t="e"><v>#SPILL!</v></c>', '<c t="e"><v>#N/A</v></c>', '<c><v>2</v></c>'], "number", [1.5, None, None, 2.0], {"errors": 2}),
        (['<c t="str"><v>#N/A</v></c>', '<c t="str"><v>x</v></c>'], "text", ["#N/A", "x"], {}),
        (['<c><f>A1+1</f></c>', '<c><f>A1+2</f><v>3</v></c>'], "integer", [None, 3], {"uncalculated": 1}),
        (['<c t="inlineStr"><is><t>x</t></is><v>y</v></c>', '<c t="inlineStr"><is><t/></is></c>'], "text", ["x", ""], {}),
        (['<c t="str"><v>1,234.50</v></c>', '<c t="str"><v>12%</v></c>', '<c t="str"><v>007</v></c>'], "text", ["1,234.50", "12%", "007"], {}),
        (['<c><v>12345678901234567890</v></c>', '<c><v>1</v></c>'], "decimal(38,0)", ["12345678901234567890", "1"], {}),
        (['<c><v>9007199254740993</v></c>', '<c><v>1.5</v></c>'], "text", ["9007199254740993", "1.5"], {}),
        (['<c><v>1E3</v></c>', '<c><v> 2 </v></c>', '<c><v/></c>', '<c s="4"><v>3.0</v></c>'], "integer", [1000, 2, 3], {"empty_rows": 1}),
        (['<c t="b"><v>1</v></c>', '<c t="b"><v>false</v></c>'], "boolean", [True, False], {}),
        (['<c t="b"><v>1</v></c>', '<c><v>0.1</v></c>', '<c t="str"><v>_xD83D__xDE00_ _x005F_x0041_</v></c>'], "text", ["true", "0.1", "😀 _x0041_"], {}),
        (['<c t="s"><v>1</v></c>', '<c t="s" s="x"><v>1</v></c>'], "text", ["東京", "東京"], {}),
        (['<c t="str"><v>2026-01-02</v></c>', '<c s="1"><v>45000</v></c>'], "date", ["2026-01-02", "2023-03-15"], {}),
    ],
)  # fmt: skip
def test_what_a_cell_says(
    cells: list[str], type_: str, expected: list[Any], told: dict[str, int], tmp_path: Path
) -> None:
    found = fetched(saved(parts(column(*cells)), tmp_path / "book"))
    assert (values(found), [each.type for each in found.columns]) == (
        expected,
        ["integer" if type_.startswith("decimal") else type_],
    )
    assert {
        name: found.found[name] for name in ("errors", "uncalculated", "no_days", "empty_rows") if name in found.found
    } == told


@pytest.mark.parametrize(
    ("code", "format_"),
    [
        ("yyyy\\-mm\\-dd;@", Format.DAY), ('yyyy"年"m"月"d"日"', Format.DAY), ("[$-804]aaaa;@", Format.DAY), ("m/d/yy h:mm", Format.MOMENT),
        ("[$-F400]h:mm:ss AM/PM", Format.CLOCK), ("mm:ss.0", Format.CLOCK), ('上午/下午h"时"mm"分"', Format.CLOCK), ("[h]:mm:ss", Format.DURATION), ("[mm]:ss", Format.DURATION),
        ("General", Format.NUMBER), ("G/通用格式", Format.NUMBER), ("Standard", Format.NUMBER), ('0.00 "days"', Format.NUMBER), ("[Red]#,##0;[Blue]-0", Format.NUMBER),
        ("0.00E+00", Format.NUMBER), ("#,##0.00\\ \\h", Format.NUMBER), ("@", Format.NUMBER), ("_-* #,##0_d", Format.NUMBER), ('"";yyyy', Format.DAY), ("d-mmm", Format.DAY),
    ],
)  # fmt: skip
def test_a_format_s_code(code: str, format_: Format) -> None:
    assert format_of(code) == format_


def test_days_since_1904(tmp_path: Path) -> None:
    cells = column(*(f'<c s="1"><v>{n}</v></c>' for n in (0, 1, 44621)))
    found = fetched(saved(parts(cells, book='<workbookPr date1904="true"/>'), tmp_path / "book"))
    assert values(found) == ["1904-01-01", "1904-01-02", "2026-03-02"]
    assert written(3_000_000, Format.DAY, is_1904=False) is None


TEXT = column('<c t="s"><v>1</v></c>', '<c s="1"><v>45000</v></c>')
EXPECTED = ["東京", "2023-03-15"]


def moved(made: Parts, before: str, after: str) -> Parts:
    return {after if name == before else name: text for name, text in made.items()}


@pytest.mark.parametrize(
    "made",
    [
        parts(TEXT),
        parts(TEXT, main=STRICT, office=STRICT_OFFICE),
        moved(parts(TEXT), "xl/sharedStrings.xml", "xl/SharedStrings.xml"),
        {name.replace("/", "\\"): text.replace("worksheets/", "worksheets\\") for name, text in parts(TEXT).items()},
        {name.replace("xl/", "Book/").replace("worksheets/sheet1", "s"): text.replace("xl/workbook", "/Book/workbook").replace("worksheets/sheet1", "/Book/s") for name, text in parts(TEXT).items()},
        {name: text.replace('Target="', 'Target="/xl/').replace("/xl/xl", "/xl") for name, text in parts(TEXT).items()},
        {name: text.replace("<", "<x:").replace("<x:/", "</x:").replace("xmlns=", "xmlns:x=") if "sheet1" in name or "Strings" in name else text for name, text in parts(TEXT).items()},
        {name: text for name, text in parts(TEXT).items() if name != "_rels/.rels"},
        parts(TEXT) | {"[Content_Types].xml": "<broken", "docProps/app.xml": "<broken", "xl/theme/theme1.xml": ""},
        parts(TEXT) | {"_rels/.rels": "<broken"},
    ],
)  # fmt: skip
def test_parts_are_found_wherever_they_lie(made: Parts, tmp_path: Path) -> None:
    assert values(fetched(saved(made, tmp_path / "book"))) == EXPECTED


def test_damaged_styles_are_told(tmp_path: Path) -> None:
    styles = parts(TEXT)["xl/styles.xml"]
    late, early = styles.replace("</styleSheet>", "<broken"), "<styleSheet><fonts>"
    for damaged, expected in ((late, EXPECTED), (early, ["東京", "45000"])):
        folder = tmp_path / str(len(damaged))
        folder.mkdir()
        found = fetched(saved(parts(TEXT) | {"xl/styles.xml": damaged}, folder / "book"))
        assert (values(found), found.found["styles_damaged"]) == (expected, True)


@pytest.mark.parametrize(
    ("table", "columns", "types", "rows"),
    [
        ([["city", "n"]], ["city", "n"], ["text", "text"], []),
        ([["city", "n"], ["A", 1]], ["city", "n"], ["text", "integer"], [["A", 1]]),
        ([["city", "n"], ["A", None]], ["city", "n"], ["text", "text"], [["A", None]]),
        ([["note", "note", "x"], ["a", None, 1]], ["note", "note_2", "x"], ["text", "text", "integer"], [["a", None, 1]]),
        ([["销售报表"], ["单位：元"], ["城市", "数量", "金额"], ["上海", 1, 2.5], ["北京", 2, 3]], ["城市", "数量", "金额"], ["text", "integer", "number"], [["上海", 1, 2.5], ["北京", 2, 3.0]]),
        ([["Report"], [], ["a", "b", "c"]], ["a", "b", "c"], ["text"] * 3, []),
        ([[None, "a"], [0, 1], [1, 2]], ["column1", "a"], ["integer", "integer"], [[0, 1], [1, 2]]),
        ([["a"], [1, 2], [3, 4]], ["a", "column2"], ["integer", "integer"], [[1, 2], [3, 4]]),
    ],
)  # fmt: skip
def test_names_and_what_stands_above_them(
    table: list[list[Any]], columns: list[str], types: list[str], rows: list[list[Any]], tmp_path: Path
) -> None:
    made = openpyxl.Workbook()
    for row in table:
        made.worksheets[0].append(row)
    made.save(tmp_path / "book")
    found = fetched(tmp_path / "book")
    assert [(each.name, each.type) for each in found.columns] == list(zip(columns, types, strict=True))
    assert look(found.path, found.columns).rows == rows
    above = [str(row[0]) for row in table[: found.found["header_row"] - 1] if row]
    assert found.found.get("above", []) == above


def test_lines_that_are_said(tmp_path: Path) -> None:
    for name, said, columns, rows in (
        ("a", {"header_row": 3}, ["x", "2"], [["y", 3], ["sum", 5]]),
        ("b", {"skip_rows": 2, "header": False, "footer_rows": 1}, ["column1", "column2"], [["x", 2], ["y", 3]]),
        ("c", {"skip_rows": 0}, ["a title", "column2"], [["k", "v"], ["x", "2"], ["y", "3"], ["sum", "5"]]),
        ("d", {"footer_rows": 2, "header": True, "skip_rows": 1}, ["k", "v"], [["x", 2]]),
    ):
        folder = tmp_path / name
        folder.mkdir()
        made = openpyxl.Workbook()
        for row in (["a title"], ["k", "v"], ["x", 2], ["y", 3], ["sum", 5]):
            made.worksheets[0].append(row)
        made.save(folder / "book")
        found = fetched(folder / "book", **said)
        assert [each.name for each in found.columns] == columns
        assert look(found.path, found.columns).rows == rows


def test_sheets_that_are_not_read_are_told(tmp_path: Path) -> None:
    made = openpyxl.Workbook()
    made.worksheets[0].append(["secret"])
    made.worksheets[0].sheet_state = "veryHidden"
    made.create_sheet("Cover")
    made.save(tmp_path / "only")
    with pytest.raises(Fault) as caught:
        fetched(tmp_path / "only")
    assert (caught.value.code, caught.value.params) == ("sheets_hidden", {"names": ["Sheet"]})
    made.create_sheet("Data").append(["a", 1])
    made.save(tmp_path / "book")
    found = fetched(tmp_path / "book")
    told = {name: found.found[name] for name in ("sheet", "sheets", "hidden_sheets")}
    assert told == {"sheet": "Data", "sheets": ["Cover", "Data"], "hidden_sheets": ["Sheet"]}
    (tmp_path / "again").mkdir()
    made.save(tmp_path / "again" / "book")
    assert fetched(tmp_path / "again" / "book", sheet="Sheet").found["sheet"] == "Sheet"


@pytest.mark.parametrize(
    ("members", "found"),
    [
        ({"mimetype": "application/vnd.oasis.opendocument.spreadsheet", "content.xml": "<x/>"}, "ods"),
        ({"[Content_Types].xml": "application/vnd.ms-excel.sheet.binary.macroEnabled.main", "xl/workbook.bin": ""}, "xlsb"),
        ({"Index/Document.iwa": "x", "Index/Tables/1.iwa": "y"}, "numbers"),
    ],
)  # fmt: skip
def test_other_workbooks_are_refused_by_name(members: Parts, found: str, tmp_path: Path) -> None:
    with pytest.raises(Fault) as caught:
        fetched(saved(members, tmp_path / "book"))
    assert (caught.value.code, caught.value.params) == ("format_not_supported", {"found": found})


def test_a_workbook_that_needs_a_password(tmp_path: Path) -> None:
    (tmp_path / "book").write_bytes(
        b"\xd0\xcf\x11\xe0" + bytes(2000) + "EncryptedPackage".encode("utf-16-le") + bytes(99)
    )
    with pytest.raises(Fault) as caught:
        fetched(tmp_path / "book")
    assert caught.value.params == {"found": "encrypted"}


def test_rows_of_nulls_go_out_and_come_back(tmp_path: Path) -> None:
    source = tmp_path / "rows.ndjson"
    source.write_text('{"n":1,"t":"x"}\n{"n":null,"t":null}\n{"n":2,"t":""}\n{"n":null,"t":null}\n')
    first = fetched(source)
    out = tmp_path / "out"
    out.mkdir()
    made = export(
        first.path, first.columns, Wanted("xlsx"), out, threads=1, max_bytes=10**9, stop=Stop(), meter=Meter()
    )
    again = fetched(made.path)
    assert whole_rows(again.path) == whole_rows(first.path) == [[1, "x"], [None, None], [2, ""], [None, None]]
    assert again.columns == [Column("n", "integer"), Column("t", "text")]
    assert "empty_rows" not in again.found


def test_two_other_readers_agree(tmp_path: Path) -> None:
    made = openpyxl.Workbook()
    table: list[list[Any]] = [["k", "v", "w"], *([n, f"text {n % 7}", n / 4] for n in range(3000))]
    for row in table:
        made.worksheets[0].append(row)
    made.save(tmp_path / "book.xlsx")
    found = fetched(tmp_path / "book.xlsx")
    rows = whole_rows(found.path)
    other = CalamineWorkbook.from_path(str(tmp_path / "book.xlsx")).get_sheet_by_index(0).to_python()
    assert rows == other[1:] == table[1:]
    assert found.rows == 3000 and Limits().max_bytes > found.stored_bytes
