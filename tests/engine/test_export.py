"""What an export makes: exact bytes, chosen columns and rows, nothing left behind."""

import csv
import gzip
import json
import math
import zipfile
from pathlib import Path
from typing import Any

import duckdb
import openpyxl
import pytest

from portal.engine import export as export_module
from portal.engine import text_target, xlsx_target
from portal.engine.columns import Column
from portal.engine.export import FORMATS, Exported, Wanted, checked, ending, export, media_type
from portal.engine.harmless import Harmless
from portal.engine.meter import Meter
from portal.engine.query import Condition
from portal.engine.stop import Stop
from portal.engine.zstd import zstd
from portal.errors import Fault, Stopped
from proofs.data_cells import FORMULAS, SEPARATORS, live_cells

COLUMNS = [Column("n", "integer"), Column("城市", "text"), Column("at", "timestamp with time zone")]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "data.parquet"
    duckdb.connect().execute(
        f"""SET TimeZone = 'UTC'; COPY (SELECT * FROM (VALUES
        (1, '上海', TIMESTAMPTZ '2026-01-02 03:04:05+08'), (2, '', NULL), (3, NULL, NULL), (4, '=1+1', NULL),
        (5, '-5', NULL)) t(n, "城市", "at")) TO '{path}' (FORMAT parquet)"""
    )
    return path


def made(source: Path, folder: Path, *, max_bytes: int = 10**9, stop: Stop | None = None, **wanted: Any) -> Exported:
    work = folder / "work"
    work.mkdir(exist_ok=True)
    done = export(
        source, COLUMNS, Wanted(**wanted), work, threads=1, max_bytes=max_bytes, stop=stop or Stop(), meter=Meter()
    )
    assert [path for path in work.iterdir() if path.is_file()] == [done.path]
    assert done.bytes == done.path.stat().st_size
    return done


TEXT = 'n,"城市",at\n1,"上海",2026-01-01T19:04:05Z\n2,"",\n3,,\n4,"\'=1+1",\n5,"-5",\n'
TABS = 'n\t城市\tat\n1\t上海\t2026-01-01T19:04:05Z\n2\t""\t\n3\t\t\n4\t\'=1+1\t\n5\t-5\t\n'


def test_csv_in_each_encoding_and_packing(source: Path, tmp_path: Path) -> None:
    assert made(source, tmp_path, format="csv").path.read_bytes() == TEXT.encode()
    assert made(source, tmp_path, format="csv", encoding="utf-8-bom").path.read_bytes() == TEXT.encode("utf-8-sig")
    assert made(source, tmp_path, format="csv", encoding="gb18030").path.read_bytes() == TEXT.encode("gb18030")
    packed = made(source, tmp_path, format="tsv", packing="gzip").path.read_bytes()
    assert gzip.decompress(packed).decode() == TABS
    packed = made(source, tmp_path, format="csv", packing="zstd").path.read_bytes()
    assert zstd.decompress(packed).decode() == TEXT


def test_the_same_data_gives_the_same_bytes(source: Path, tmp_path: Path) -> None:
    hashes = {made(source, tmp_path, format="csv", packing="gzip").sha256 for _ in range(2)}
    assert len(hashes) == 1


def test_json(source: Path, tmp_path: Path) -> None:
    assert made(
        source, tmp_path, format="ndjson", columns=("城市", "n"), where=(Condition("n", "le", 2),)
    ).path.read_text(encoding="utf-8") == ('{"城市":"上海","n":1}\n{"城市":"","n":2}\n')


def test_json_is_json_whatever_is_nested(tmp_path: Path) -> None:
    source, said = tmp_path / "nested.parquet", 'NaN, "inf" \\ [Infinity]'
    query = "SELECT ['nan'::DOUBLE, 1, '-inf'] AS l, {'a': 'inf'::DOUBLE, 's': $said} AS s, '[NaN]'::JSON AS j, [1.5::DECIMAL(30,2)] AS d"
    duckdb.connect().execute(f"COPY ({query}) TO '{source}' (FORMAT parquet)", {"said": said})
    columns = [Column("l", "number[]"), Column("s", "struct"), Column("j", "json"), Column("d", "decimal(30,2)[]")]
    work = tmp_path / "work"
    work.mkdir()
    for format_ in ("ndjson", "csv"):
        done = export(source, columns, Wanted(format_), work, threads=1, max_bytes=10**9, stop=Stop(), meter=Meter())
        with done.path.open(newline="") as file:
            row = json.loads(file.read()) if format_ == "ndjson" else next(csv.DictReader(file))
        row = {name: json.loads(value) if isinstance(value, str) else value for name, value in row.items()}
        assert row == {"l": [None, 1.0, None], "s": {"a": None, "s": said}, "j": [None], "d": [1.5]}


def test_only_what_can_be_made_is_accepted() -> None:
    for wanted, field in (
        (Wanted("pdf"), "format"),
        (Wanted("json", encoding="gb18030"), "encoding"),
        (Wanted("xlsx", packing="gzip"), "packing"),
        (Wanted("csv", columns=("n", "n")), "columns"),
    ):
        with pytest.raises(Fault) as caught:
            checked(wanted, COLUMNS)
        assert (caught.value.code, caught.value.params["choice"]) == ("export_choice_invalid", field)
    with pytest.raises(Fault, match="column_unknown"):
        checked(Wanted("csv", columns=("nothing",)), COLUMNS)
    assert ending(Wanted("csv", packing="zstd")) == ".csv.zst"
    assert media_type(Wanted("csv", encoding="gb18030")) == "text/csv; charset=gb18030"


def test_a_quota_ends_it(source: Path, tmp_path: Path) -> None:
    for format_ in ("csv", "xlsx"):
        with pytest.raises(Fault, match="quota_kept"):
            made(source, tmp_path, format=format_, max_bytes=10)


@pytest.mark.parametrize("format_", ["csv", "json", "xlsx", "parquet"])
def test_a_stop_ends_it(source: Path, tmp_path: Path, format_: str) -> None:
    stop = Stop()
    stop.set()
    with pytest.raises(Stopped):
        made(source, tmp_path, format=format_, stop=stop)


def test_more_rows_than_a_sheet_holds(tmp_path: Path) -> None:
    rows = [(float(n), str(n)) for n in range(7)]
    target = tmp_path / "book.xlsx"
    written = xlsx_target.write(
        iter([rows]), [Column("n", "integer")], target, tmp_path, stop=Stop(), report=lambda _: None, sheet_rows=4
    )
    book = openpyxl.load_workbook(target)
    assert written == 7
    found = [[row[0] for row in sheet.iter_rows(values_only=True)] for sheet in book.worksheets]
    assert found == [["n", 0, 1, 2], ["n", 3, 4, 5], ["n", 6]]


@pytest.mark.parametrize(
    ("kind", "values", "cells"),
    [
        ("integer", [2**53, -(2**53) - 1, -(2**63)], [2**53, str(-(2**53) - 1), str(-(2**63))]),
        ("number", [1.5, math.inf, -math.inf, math.nan], [1.5, "inf", "-inf", "nan"]),
        ("decimal(38,0)", [-(2**53), 10**37], [-(2**53), str(10**37)]),
    ],
)
def test_numbers_that_no_cell_can_hold_are_text(kind: str, values: list[Any], cells: list[Any], tmp_path: Path) -> None:
    sql_type = {"integer": "BIGINT", "number": "DOUBLE"}.get(kind, kind)
    listed = ", ".join(f"('{value}'::{sql_type})" for value in values)
    query = f"SELECT * FROM (VALUES (NULL), {listed}) t(n)"
    duckdb.connect().execute(f"COPY ({query}) TO '{tmp_path / 'source'}' (FORMAT parquet)")
    work = tmp_path / "work"
    work.mkdir()
    done = export(
        tmp_path / "source",
        [Column("n", kind)],
        Wanted("xlsx"),
        work,
        threads=1,
        max_bytes=10**9,
        stop=Stop(),
        meter=Meter(),
    )
    with done.path.open("rb") as file:
        sheet = openpyxl.load_workbook(file).worksheets[0]
    found = [(row[0].value, row[0].data_type) for row in sheet.iter_rows(min_row=2)]
    assert found == [(cell, "s" if isinstance(cell, str) else "n") for cell in [None, *cells]]


def test_a_text_too_long_for_a_cell(tmp_path: Path) -> None:
    with pytest.raises(Fault) as caught:
        xlsx_target.write(
            iter([[(None, "x" * 40_000)]]),
            [Column("t", "text")],
            tmp_path / "x",
            tmp_path,
            stop=Stop(),
            report=lambda _: None,
        )
    assert (caught.value.code, caught.value.params) == ("xlsx_cell_too_long", {"column": "t", "row": 1})


HONEST = [
    "",
    "a",
    "-1",
    "+1.5",
    "-3e4",
    "1-2",
    "a=b",
    "'",
    "5;-1;-2;+3.5",
    "a;'-5",
    "a; -5 ;b",
    "x\n- one\n- two",
    "T:\n+86 1",
]


@pytest.mark.parametrize("rule", text_target.HARMLESS.values(), ids=text_target.HARMLESS)
def test_the_rule_is_the_same_in_python_and_in_sql(rule: Harmless) -> None:
    texts = [*FORMULAS, *HONEST, "+8613800138000", "- x", "a;- x", "a, -b", "a;\ufdd0b"]
    with duckdb.connect() as connection:
        found = connection.execute(f"SELECT {rule.text_sql('t')} FROM (SELECT unnest(?) AS t)", [texts]).fetchall()
    assert [row[0] for row in found] == [rule.text(text) for text in texts]
    assert all(rule.text(text) != text for text in FORMULAS)
    assert [rule.text(text) for text in HONEST] == HONEST
    assert (rule.text("- x"), rule.text("a;- x"), rule.text("a;b")) == ("'- x", "a;'- x", "a;b")


@pytest.mark.parametrize("format_", ["csv", "tsv"])
def test_no_cell_runs_however_the_file_is_split(format_: str, tmp_path: Path) -> None:
    """Spreadsheets split at what their country separates lists with, and know quotes only where a cell begins."""
    source, work = tmp_path / "source", tmp_path / "work"
    work.mkdir()
    query = "SELECT -1 AS n, unnest($texts) AS t, [t] AS l, {'k;=1': t} AS s, t AS \"h;=1\""
    duckdb.connect().execute(f"COPY ({query}) TO '{source}' (FORMAT parquet)", {"texts": FORMULAS})
    columns = [
        Column(*pair) for pair in [("n", "integer"), ("t", "text"), ("l", "text[]"), ("s", "struct"), ("h;=1", "text")]
    ]
    done = export(source, columns, Wanted(format_), work, threads=1, max_bytes=10**9, stop=Stop(), meter=Meter())
    assert done.rows == len(FORMULAS)
    assert [cell for separator in SEPARATORS for cell in live_cells(done.path, separator)] == []


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Column]]:
    """As many columns as there may be, and text over two lines in each cell."""
    path, columns = tmp_path_factory.mktemp("wide") / "wide.parquet", [Column(f"c{n}", "text") for n in range(1000)]
    cells = ", ".join(f"i || chr(10) || 'x{n}' AS c{n}" for n in range(1000))
    duckdb.connect().execute(f"COPY (SELECT {cells} FROM range(300) t(i)) TO '{path}' (FORMAT parquet)")
    return path, columns


@pytest.mark.parametrize("format_", FORMATS)
def test_the_widest_table(format_: str, wide: tuple[Path, list[Column]], tmp_path: Path) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    done = export(wide[0], wide[1], Wanted(format_), folder, threads=2, max_bytes=10**9, stop=Stop(), meter=Meter())
    assert done.rows == 300 and [path for path in folder.iterdir() if path.is_file()] == [done.path]
    if format_ == "xlsx":
        with zipfile.ZipFile(done.path) as book:
            assert book.read("xl/worksheets/sheet1.xml").count(b"<row ") == 301
        return
    if "json" in format_:
        text = done.path.read_text()
        rows = json.loads(text) if format_ == "json" else [json.loads(line) for line in text.splitlines()]
        assert (len(rows), len(rows[0]), rows[299]["c999"]) == (300, 1000, "299\nx999")
        return
    reader = "read_parquet" if format_ == "parquet" else "read_csv"
    query = f"SELECT count(*), count(DISTINCT c0), max(c999) FROM {reader}('{done.path}')"
    assert duckdb.connect().execute(query).fetchone() == (300, 300, "99\nx999")


@pytest.mark.parametrize("format_", ["csv", "tsv", "json", "ndjson"])
@pytest.mark.parametrize("where", [(), (Condition("n", "gt", 3),), (Condition("n", "gt", 9),)], ids=len)
def test_some_rows_after_the_other_make_the_same_bytes(
    format_: str, where: tuple[Condition, ...], source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once = made(source, tmp_path, format=format_, where=where)
    content = at_once.path.read_bytes()
    monkeypatch.setattr(export_module, "MEMORY_MB", 1)
    monkeypatch.setattr(export_module, "SLICE_ROWS", 2)
    slices = made(source, tmp_path, format=format_, where=where)
    assert (slices.path.read_bytes(), slices.rows, slices.sha256) == (content, at_once.rows, at_once.sha256)
