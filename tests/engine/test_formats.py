"""Every format that is read: the same table from each, nested values, encodings, workbooks, broken rows, overrides."""

import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import openpyxl
import psutil
import pytest

from portal.engine.fetch import Fetched
from portal.engine.look import CELL_CHARS, look
from portal.errors import Fault
from tests.engine.servers import Site, gz

Fetch = Callable[..., Fetched]
ROWS = [[1, "上海", 1.5, True], [2, "北京", -2.25, False]]
OBJECTS = [dict(zip(("id", "城市", "x", "yes"), row, strict=True)) for row in ROWS]
CSV = "id,城市,x,yes\n1,上海,1.5,true\n2,北京,-2.25,false\n"


def rows(found: Fetched) -> list[list[Any]]:
    return look(found.path, found.columns).rows


def workbook(path: Path, *sheets: list[list[Any]]) -> bytes:
    book = openpyxl.Workbook()
    assert book.active is not None
    book.remove(book.active)
    for number, table in enumerate(sheets):
        sheet = book.create_sheet(f"Sheet {number + 1}")
        for row in table:
            sheet.append(row)
    book.save(path)
    return path.read_bytes()


def parquet(path: Path, query: str) -> bytes:
    duckdb.connect().execute(f"SET TimeZone = 'UTC'; COPY ({query}) TO '{path}' (FORMAT parquet)")
    return path.read_bytes()


@pytest.mark.parametrize(
    ("body", "format_"),
    [
        (CSV.encode(), "csv"),
        (CSV.encode("utf-8-sig"), "csv"),
        (CSV.encode("utf-16"), "csv"),
        (CSV.encode("utf-16-be"), "csv"),
        (CSV.encode("gb18030"), "csv"),
        (CSV.replace(",", "\t").encode(), "tsv"),
        (CSV.replace(",", ";").encode("gb18030"), "csv"),
        (json.dumps(OBJECTS).encode(), "json"),
        (json.dumps(OBJECTS, indent=2, ensure_ascii=False).encode(), "json"),
        (json.dumps({"total": 2, "data": OBJECTS}, indent=1).encode(), "json"),
        ("".join(json.dumps(each) + "\n" for each in OBJECTS).encode(), "ndjson"),
        (gz(json.dumps(OBJECTS).encode()), "json"),
    ],
)  # fmt: skip
def test_the_same_table_from_each(site: Site, fetch: Fetch, body: bytes, format_: str) -> None:
    found = fetch(site.file("/table", body))
    assert (rows(found), found.found["format"]) == (ROWS, format_)
    assert [column.name for column in found.columns] == ["id", "城市", "x", "yes"]


def test_a_workbook(site: Site, fetch: Fetch, tmp_path: Path) -> None:
    table: list[list[Any]] = [
        ["id", "code", "when", "at", "mixed", "empty"],
        [1, "007", dt.date(2026, 1, 2), dt.datetime(2026, 1, 2, 3, 4, 5), "x", None],  # noqa: DTZ001
        [2.0, "123", dt.date(1999, 12, 31), dt.datetime(2026, 1, 3), 5, None],  # noqa: DTZ001
        [],
        [3, "=1+1", None, None, True, "#N/A"],
    ]
    body = workbook(tmp_path / "book", [], table, [["other"], ["y"]])
    found = fetch(site.file("/book", body))
    assert [column.type for column in found.columns] == ["integer", "text", "date", "timestamp", "text", "text"]
    assert rows(found)[:2] == [
        [1, "007", "2026-01-02", "2026-01-02T03:04:05", "x", None],
        [2, "123", "1999-12-31", "2026-01-03T00:00:00", "5", None],
    ]
    assert found.found == {
        "format": "xlsx", "sheet": "Sheet 2", "sheets": ["Sheet 1", "Sheet 2", "Sheet 3"],
        "header": True, "header_by": "kinds", "header_row": 1, "errors": 1, "uncalculated": 1, "empty_rows": 1,
    }  # fmt: skip
    assert rows(fetch(site.file("/book2", body), sheet="Sheet 3")) == [["y"]]
    with pytest.raises(Fault) as caught:
        fetch(site.file("/book3", body), sheet="Nothing")
    assert (caught.value.code, caught.value.params["names"]) == ("sheet_unknown", ["Sheet 1", "Sheet 2", "Sheet 3"])


def test_a_large_workbook_in_little_memory(site: Site, fetch: Fetch, tmp_path: Path) -> None:
    body = workbook(tmp_path / "book", [["n", "text"], *([n, f"text {n} " * 20] for n in range(20_000))])
    process = psutil.Process()
    fetch(site.file("/warm", workbook(tmp_path / "warm", [["n"], [1]])))
    before = process.memory_info().rss
    assert fetch(site.file("/book", body), max_bytes=64 * 1024**2, ratio_after=64 * 1024**2).rows == 20_000
    assert process.memory_info().rss - before < 100 * 1024**2


def test_types_of_parquet(site: Site, fetch: Fetch, tmp_path: Path) -> None:
    query = (
        "SELECT 1::TINYINT AS a, 18446744073709551615::UBIGINT AS b, 0.1::FLOAT AS c, '\\xFF'::BLOB AS d, "
        "'2026-01-02 03:04:05.123456789'::TIMESTAMP_NS AS e, MAP {'k': 1} AS f, [1, 2] AS g, {'h': 'i'} AS h, "
        "TIMESTAMPTZ '2026-01-02 03:04:05+08' AS j, 1.50::DECIMAL(5, 2) AS k, uuid() AS l, TIME '03:04:05' AS m, "
        "'2026-01-02 03:04:05.123456'::TIMESTAMP_NS AS n, NULL::TIMESTAMP_NS AS o, '2026-01-02'::TIMESTAMP_S AS p, "
        "'2026-01-02 03:04:05+00'::TIMESTAMPTZ_NS AS q"
    )
    found = fetch(site.file("/p", parquet(tmp_path / "p", query)))
    kinds = {column.name: column.type for column in found.columns}
    assert kinds == {
        "a": "integer", "b": "integer", "c": "number", "d": "text", "e": "text", "f": "json", "g": "integer[]",
        "h": "struct", "j": "timestamp with time zone", "k": "decimal(5,2)", "l": "text", "m": "time",
        "n": "timestamp", "o": "timestamp", "p": "timestamp",
        "q": "timestamp with time zone",
    }  # fmt: skip
    row = dict(zip(kinds, rows(found)[0], strict=True))
    assert (row["b"], row["c"], row["d"], row["f"], row["k"]) == ("18446744073709551615", 0.1, "/w==", {"k": 1}, "1.50")
    assert (row["e"], row["n"]) == ("2026-01-02 03:04:05.123456789", "2026-01-02T03:04:05.123456")
    assert row["j"] == "2026-01-01T19:04:05Z"


def test_a_parquet_of_many_columns_with_texts(site: Site, fetch: Fetch, tmp_path: Path) -> None:
    """More text than the bound, should each be as long as its page: so it is added up, over a thousand columns."""
    cells = ", ".join(f"repeat('{n % 10}', 30) || i AS c{n}" for n in range(1000))
    body = parquet(tmp_path / "p", f"SELECT {cells} FROM range(50) t(i)")
    found = fetch(site.file("/p", body))
    assert (found.rows, len(found.columns)) == (50, 1000)


def test_a_parquet_that_tells_of_too_much(site: Site, fetch: Fetch, tmp_path: Path) -> None:
    body = parquet(tmp_path / "p", "SELECT 1 AS a FROM range(10000000)")
    with pytest.raises(Fault) as caught:
        fetch(site.file("/p", body))
    assert caught.value.code == "too_large"
    with pytest.raises(Fault, match="parquet_corrupt"):
        fetch(site.file("/q", body[:-100]))


@pytest.mark.parametrize(
    ("document", "line"),
    [('[{"a": 1},\n {"a": }]', 2), ('[{"a": 1}', 1), ('{"a": [1, 2}', 1), ('[1,\n2,\n]', 3)],
)  # fmt: skip
def test_broken_json(site: Site, fetch: Fetch, document: str, line: int) -> None:
    with pytest.raises(Fault) as caught:
        fetch(site.file("/j", document.encode()), format="json")
    assert (caught.value.code, caught.value.params["line"]) == ("json_broken", line)


@pytest.mark.parametrize(
    ("document", "columns", "expected"),
    [
        (
            '[{"n": 12345678901234567890, "o": {"p": [1, null]}}]',
            ["n", "o"],
            [["12345678901234567890", {"p": [1, None]}]],
        ),
        ("[1, 2]", ["value"], [[1], [2]]),
        ('[[1, 2], ["x"]]', ["value"], [[[1, 2]], [["x"]]]),
        ('{\n"a": 1\n}', ["a"], [[1]]),
        ('[{"a": "line\\nbreak \\u4e0a"}]', ["a"], [["line\nbreak 上"]]),
        ('{"status":"ok","results":[{"id":1},{"id":2}]}', ["id"], [[1], [2]]),
        ('{"type":"x","features":[\n{"id":1},\n{"id":2},\n{"id":3}\n]}\n', ["id"], [[1], [2], [3]]),
        ('{\n"*":[{"a":1}],"b":[1]}', ["a"], [[1]]),
        ('{\n"a/b~c\\"d":[{"a":1}],"b":[1]}', ["a"], [[1]]),
        ('[{"v":{"id":9007199254740993}},{"v":{"id":1.5}}]', ["v"], [[{"id": 2**53 + 1}], [{"id": 1.5}]]),
        ('[{"v":[[1152921504606846977]]},{"v":[[0.5]]}]', ["v"], [[[[1152921504606846977]]], [[[0.5]]]]),
        ('[{"v":{"id":1e400}},{"v":{"id":1.5}}]', ["v"], [[{"id": "1e400"}], [{"id": 1.5}]]),
        ('[{"v":[{"x":1.5}]},{"v":[{"x":null}]}]', ["v"], [[[{"x": 1.5}]], [[{"x": None}]]]),
    ],
)
def test_json_of_every_shape(site: Site, fetch: Fetch, document: str, columns: list[str], expected: list[Any]) -> None:
    found = fetch(site.file("/j", document.encode()), format="json")
    assert ([column.name for column in found.columns], rows(found)) == (columns, expected)


def test_chinese_that_comes_late(site: Site, fetch: Fetch) -> None:
    body = b"id,name\n" + b"1,a\n" * 400_000 + "2,上海市\n".encode("gb18030")
    found = fetch(site.file("/late", body))
    assert (found.rows, found.found["encoding"]) == (400_001, "gb18030")
    assert look(found.path, found.columns, offset=400_000).rows == [[2, "上海市"]]


@pytest.mark.parametrize(
    ("body", "columns", "first"),
    [
        ("Name, Vorname;Betrag\nMueller, Hans;1\nMeier, Eva;2\n", ["Name, Vorname", "Betrag"], ["Mueller, Hans", 1]),
        ("Preis, netto;Menge\n1,5;2\n3,5;4\n", ["Preis, netto", "Menge"], ["1,5", 2]),
        ("Name, Vorname\tOrt\nA, B\tOslo\nC, D\tRom\n", ["Name, Vorname", "Ort"], ["A, B", "Oslo"]),
        ("1,a;b\n2,c;d\n", ["column1", "column2"], [1, "a;b"]),
        ("r,2024-01-01,2024-02-01\nNorth,5,6\nSouth,7,8\n", ["r", "2024-01-01", "2024-02-01"], ["North", 5, 6]),
        ("country,2020\nA,5.5\nB,7.5\n", ["country", "2020"], ["A", 5.5]),
        ("country,2015,2020,2025\nA,1,2,3\nB,4,5,6\n", ["country", "2015", "2020", "2025"], ["A", 1, 2, 3]),
        ("A,1990,2000\nB,1991,2001\n", ["column1", "column2", "column3"], ["A", 1990, 2000]),
        ("x,5\ny,5.5\n", ["column1", "column2"], ["x", 5.0]),
    ],
)
def test_delimiters_and_headers_that_look_otherwise(
    site: Site, fetch: Fetch, body: str, columns: list[str], first: list[Any]
) -> None:
    found = fetch(site.file("/d", body.encode()))
    assert ([column.name for column in found.columns], rows(found)[0]) == (columns, first)


@pytest.mark.parametrize(
    "value",
    ["0.12345678901234567890", "123456789012345.123456789", "+1.5", "1e-400", "2024-01-01 10:00+99:99"],
)
def test_what_a_number_or_moment_would_lose_stays_text(site: Site, fetch: Fetch, value: str) -> None:
    assert rows(fetch(site.file("/v", f"v\n{value}\n1.5\n".encode()))) == [[value], ["1.5"]]


@pytest.mark.parametrize(
    ("encoding", "texts", "before"),
    [
        ("windows-1252", "Größe Müller Straße Übergröße Schöße café España", 0),
        ("windows-1252", "Größe Müller Straße Übergröße Schöße café España", 400_000),
        ("euc-kr", "서울 부산 대구 인천 광주 대전 울산 세종", 0),
        ("euc-jp", "東京 大阪 京都 名古屋 さくら カタカナ", 0),
    ],
)
def test_other_encodings_are_not_taken_for_chinese(
    site: Site, fetch: Fetch, encoding: str, texts: str, before: int
) -> None:
    body = b"a,b\n" + b"1,x\n" * before + "".join(f"1,{text}\n" for text in texts.split()).encode(encoding)
    found = fetch(site.file("/e", body))
    assert (found.found["encoding"], found.found["encoding_guessed"]) == (encoding, True)
    assert [row[1] for row in look(found.path, found.columns, offset=before).rows] == texts.split()


BROKEN = 'a,b\n1,2\n3\n4,"x\n5,6\n7,8,9\n10,11\n'


def test_broken_rows_are_counted_or_left_out(site: Site, fetch: Fetch) -> None:
    url = site.file("/b", BROKEN.encode())
    with pytest.raises(Fault) as caught:
        fetch(url)
    told = {"line": 3, "reason": "columns", "expected": 2, "found": 1, "text": "3"}
    assert (caught.value.code, caught.value.params) == ("csv_broken_row", {"broken": 3, **told})
    found = fetch(url, skip_broken=True)
    assert (rows(found), found.skipped, found.first_skipped) == ([[1, 2], [5, 6], [10, 11]], 3, told)


def test_broken_lines_are_counted_or_left_out(site: Site, fetch: Fetch) -> None:
    url = site.file("/b", b'{"a":1}\n{"a":\n7\n\n{"a":2}\n[1]\n')
    with pytest.raises(Fault) as caught:
        fetch(url)
    assert (caught.value.code, caught.value.params["broken"], caught.value.params["line"]) == (
        "ndjson_broken_line",
        3,
        2,
    )
    found = fetch(url, skip_broken=True)
    assert (rows(found), found.skipped) == ([[1], [2]], 3)


def test_rows_in_no_encoding_are_left_out_too(site: Site, fetch: Fetch) -> None:
    for body in (b'{"a":1}\n{"a":"\xff"}\n{"a":2}\n', b"a\n1\n\xff\n2\n"):
        url = site.file("/e", body)
        with pytest.raises(Fault) as caught:
            fetch(url)
        assert caught.value.code == "not_utf8"
        found = fetch(url, skip_broken=True)
        assert (rows(found), found.skipped, found.first_skipped["reason"]) == ([[1], [2]], 1, "encoding")  # type: ignore[index]


def test_what_the_user_says_goes(site: Site, fetch: Fetch) -> None:
    url = site.file("/o", b"a:b;c\n1:2;3\n")
    assert rows(fetch(url, delimiter=":")) == [[1, "2;3"]]
    assert rows(fetch(url, delimiter=";", header=False)) == [["a:b", "c"], ["1:2", "3"]]
    assert rows(fetch(site.file("/q", b"a,b\n'x,y',2\n"), quote="'")) == [["x,y", 2]]
    assert rows(fetch(site.file("/l", "a\nZoë\n".encode("windows-1252")), encoding="windows-1252")) == [["Zoë"]]
    assert rows(fetch(site.file("/g", "a,b\n1,é\n".encode("big5", "replace")), encoding="big5")) == [[1, "?"]]
    for bad in ("ab", "a", "\n", '"', "."):
        with pytest.raises(Fault, match="delimiter_invalid"):
            fetch(url, delimiter=bad)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b",".join(b"c%d" % n for n in range(100_000)) + b"\n", "too_many_columns"),
        (b"a,b\n1," + b"x" * 3_000_000 + b"\n", "csv_broken_row"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "format_not_supported"),
    ],
)
def test_odd_sizes(site: Site, fetch: Fetch, body: bytes, code: str) -> None:
    with pytest.raises(Fault, match=code):
        fetch(site.file("/odd", body))


def test_a_cell_of_200_kb(site: Site, fetch: Fetch) -> None:
    found = fetch(site.file("/cell", b"a,b\n1," + b"x" * 200_000 + b"\n"))
    assert look(found.path, found.columns, cell_chars=200_000).rows == [[1, "x" * 200_000]]
    assert look(found.path, found.columns).rows == [[1, "x" * CELL_CHARS + "…"]]
    assert look(found.path, found.columns, cell_chars=10).rows == [[1, "x" * 10 + "…"]]
