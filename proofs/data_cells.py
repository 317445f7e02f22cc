"""What is in the cells: equal after every way out and in again, never run by a spreadsheet. A part of `proofs.data`."""

import csv
import json
import math
import re
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import openpyxl
from openpyxl.utils.escape import unescape

from proofs.bench import Report
from proofs.data_desk import Desk

NASTY = """
SELECT * FROM (VALUES
  (1, 'plain', '007', 9007199254740993, 12345678901234567890.5::DECIMAL(30, 4), DATE '2026-01-02',
   TIMESTAMP '2026-01-02 03:04:05.678901', TIMESTAMPTZ '2026-01-02 03:04:05+08', [1, 2], true, 0.1::DOUBLE),
  (2, 'quotes "x" and ''y''', '0', -9007199254740993, -0.0001, DATE '1899-12-31',
   TIMESTAMP '1752-09-14 00:00:00', TIMESTAMPTZ '1969-12-31 23:59:59Z', [], false, -1e300),
  (3, e'line\\nbreak\\r\\nand tab\\t.', '00', 0, 0, DATE '0001-01-01',
   TIMESTAMP '9999-12-31 23:59:59', TIMESTAMPTZ '2040-06-30 12:00:00-07', [NULL, 3], NULL, 1.7976931348623157e308),
  (4, '😀 中文 ﷽ é é', '1e5', 1, 1, DATE '1900-02-28', TIMESTAMP '1900-03-01 00:00:00',
   TIMESTAMPTZ '2000-02-29 00:00:00Z', NULL, true, 5e-324),
  (5, '', '-0', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
  (6, NULL, NULL, 2, 2.5, DATE '2026-12-31', TIMESTAMP '2026-12-31 12:00:00', TIMESTAMPTZ '2026-12-31 12:00:00Z',
   [9007199254740993], false, 3.0),
  (7, 'nul ' || chr(0) || ' inside', ' 7 ', 3, 3, DATE '2026-01-01', TIMESTAMP '2026-01-01 00:00:00',
   TIMESTAMPTZ '2026-01-01 00:00:00Z', [1], true, 123456789.125)
) t(id, text, code, big, amount, day, moment, zoned, list, yes, number)
"""
WAYS: tuple[dict[str, str], ...] = (
    {"format": "csv"},
    {"format": "csv", "encoding": "utf-8-bom", "packing": "gzip"},
    {"format": "csv", "encoding": "gb18030"},
    {"format": "tsv", "packing": "zstd"},
    {"format": "json"},
    {"format": "ndjson", "packing": "gzip"},
    {"format": "xlsx"},
    {"format": "parquet"},
)
TYPED = ("json", "ndjson", "xlsx", "parquet")  # formats that tell an empty text, a number and a text apart

FORMULAS = (
    "=1+1", "+1+1", "-1+cmd|' /C calc'!A0", "@SUM(1,1)", "\t=1+1", "\r=1+1", "\n=1+1", " =1+1", "=cmd|' /C calc'!A0",
    '=HYPERLINK("http://x.example","x")', "＝1+1", "＋1+1", "－1+1", "＠SUM(1)", "﹢1+1", "=1+1;=2", '"=1+1"', "'=1+1",
    "\u200b=1+1", "\ufeff=1+1", "\u00a0=1+1", "\x00=1+1", "=DDE(\"cmd\";\"x\")", "-2+3+cmd|' /C calc'!A0", "+",
    "=", "@", "-", "%0A=1+1", "=IMPORTXML(\"http://x.example\")", "=WEBSERVICE(\"http://x.example\")",
    "|=1", "\v=1", "\f=1",
    "a;=1+1", "a;b;=1+1;c", "a\t=1+1", "a|@SUM(1,1)", "a;-1+cmd|' /C calc'!A0", "a; \"=1+1", "a;＝1+1", "a;'x;=1;-2",
    "a\n=1+1", "a\r\n+cmd|' /C calc'!A0;", "a\n-HYPERLINK(\"http://x.example\")", "a;\u200b=1+1", "a;\x00=1+1",
)  # fmt: skip
NOT_FINITE = (math.inf, -math.inf, math.nan)
SEPARATORS = (",", ";", "\t", "|")
LIVE = set("=+-@＝＋－＠﹢﹣﹫\t\r\n\x00")


def round_trips(report: Report, desk: Desk) -> None:
    report.part("A table of nasty values goes out in each format and comes in again")
    source = desk.folder / "nasty.parquet"
    duckdb.connect().execute(f"SET TimeZone = 'UTC'; COPY ({NASTY}) TO '{source}' (FORMAT parquet)")
    first = desk.dataset_of(source)
    columns, rows = _table(desk, first)
    for way in WAYS:
        uuid = desk.run("export", dataset=first, **way)["uuid"]
        path = desk.folder / f"nasty.{way['format']}"
        desk.download(uuid, path)
        again = desk.dataset_of(path)
        found_columns, found = _table(desk, again)
        what = " ".join(way.values())
        differing = [
            f"row {n + 1} {name}: {one!r} became {other!r}"
            for n, (row, others) in enumerate(zip(rows, found, strict=False))
            for (name, _), one, other in zip(columns, row, others, strict=False)
            if plain(one) != plain(other)
        ]
        report.check(f"{what}: rows, values that differ", (len(found), differing), (len(rows), []))
        changed = {
            name: (one, dict(found_columns).get(name)) for name, one in columns if one != dict(found_columns).get(name)
        }
        report.say(f"{what}: types that differ: {changed or 'none'}")
        if way["format"] == "parquet":
            report.check("parquet: types", changed, {})
        path.unlink()


def _table(desk: Desk, dataset: str) -> tuple[list[tuple[str, str]], list[list[Any]]]:
    answer = desk.ask("GET", f"/datasets/{dataset}/rows?limit=1000").body
    return [(column["name"], column["type"]) for column in answer["columns"]], answer["items"]


def plain(value: Any) -> Any:
    """One form for what formats write in several: 3, "3" and 3.0 are the same number, [1] and "[1]" the same list."""
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, str) and value.startswith("["):
        return plain(json.loads(value))
    try:
        number = Decimal(str(value))
    except ArithmeticError:
        return value
    # A text that only looks like a number must come back as it was: leading zeros, blanks, exponents.
    return number.normalize() if str(value) in (f"{number:f}", str(number)) and not _spelled(str(value)) else value


def _spelled(text: str) -> bool:
    return text != text.strip() or (
        len(text) > 1 and text.lstrip("-").startswith("0") and not text.lstrip("-").startswith("0.")
    )


def formulas(report: Report, desk: Desk) -> None:
    report.part(f"{len(FORMULAS)} cells that a spreadsheet would run, and numbers it does not know")
    source = desk.folder / "formulas.parquet"
    numbers = [(-n - 1, -n / 4, NOT_FINITE[n % len(NOT_FINITE)]) for n in range(len(FORMULAS))]
    duckdb.connect().execute(
        "COPY (SELECT unnest($texts) AS text, unnest($wholes::BIGINT[]) AS number, unnest($shares::DOUBLE[]) AS share, "
        f"unnest($far::DOUBLE[]) AS far) TO '{source}' (FORMAT parquet)",
        {"texts": list(FORMULAS)}
        | dict(zip(("wholes", "shares", "far"), map(list, zip(*numbers, strict=True)), strict=True)),
    )
    dataset = desk.dataset_of(source)
    for way in ({"format": "csv"}, {"format": "csv", "encoding": "utf-8-bom"}, {"format": "tsv"}):
        path = _exported(desk, dataset, way)
        with path.open(encoding="utf-8-sig", newline="") as file:
            table = list(csv.reader(file, delimiter="\t" if way["format"] == "tsv" else ","))[1:]
        _judge(report, " ".join(way.values()), [row[0] for row in table], [row[1:] for row in table], numbers)
        path = _exported(desk, dataset, way | {"columns": ["number", "text", "share", "far"]})
        split = [cell for separator in SEPARATORS for cell in live_cells(path, separator)]
        report.check(f"{' '.join(way.values())}: live cells, however it is split", split, [])
    path = _exported(desk, dataset, {"format": "xlsx"})
    sheet = openpyxl.load_workbook(path).active
    assert sheet is not None
    cells = list(sheet.iter_rows(min_row=2))
    live = [cell.value for row in cells for cell in row if cell.data_type == "f"]
    kinds = {tuple(cell.data_type for cell in row[1:]) for row in cells}
    report.check("xlsx: cells, live ones", (len(cells), live), (len(FORMULAS), []))
    report.check("xlsx: numbers are numbers, what no cell can hold is text", kinds, {("n", "n", "s")})
    spoiled = [row for row, those in zip(cells, numbers, strict=True) if not _same([c.value for c in row[1:]], those)]
    report.check("xlsx: numbers that were changed", spoiled, [])
    texts = [unescape(str(row[0].value or "")) for row in cells]  # its reader leaves them as they are written
    changed = [
        (one, other)
        for one, other in zip(FORMULAS, texts, strict=True)
        if one.strip("\r\n") != (other or "").strip("\r\n") and "\r" not in one
    ]
    report.check("xlsx: texts that were changed", changed, [])


def live_cells(path: Path, separator: str) -> list[str]:
    """What would run in a program that splits a file there, and knows a quote only where a cell begins."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        cells = [cell for row in csv.reader(file, delimiter=separator) for cell in row]
    return [cell for cell in cells if _first(cell) in LIVE - {"", "\t", "\r", "\n", "\x00"} and not _is_number(cell)]


def _is_number(cell: str) -> bool:
    """Of what separates cells elsewhere, too, it is the first: with the rest behind it that is no formula."""
    return bool(
        re.fullmatch(
            r"[-+]?[0-9.]+(e[-+]?[0-9]+)?|-?inf|nan", re.split("[,;\t|]", cell.strip("\r\n,;\t|"))[0].rstrip('"')
        )
    )


def _exported(desk: Desk, dataset: str, way: dict[str, Any]) -> Path:
    path = desk.folder / f"formulas.{way['format']}"
    desk.download(desk.run("export", dataset=dataset, **way)["uuid"], path)
    return path


def _judge(
    report: Report, what: str, texts: Sequence[str], found: Sequence[Sequence[str]], numbers: Sequence[Sequence[float]]
) -> None:
    live = [text for text in texts if text and (text[0] in LIVE or _first(text) in LIVE - {"\t", "\r", "\n", "\x00"})]
    spoiled = [cells for cells, those in zip(found, numbers, strict=True) if not _same(cells, those)]
    report.check(
        f"{what}: cells, live ones, numbers that are none", (len(texts), live, spoiled), (len(FORMULAS), [], [])
    )


def _same(cells: Sequence[Any], numbers: Sequence[float]) -> bool:
    return [str(float(cell)) for cell in cells] == [str(float(number)) for number in numbers]  # nan is not nan


def _first(text: str) -> str:
    """The first character that shows."""
    return next((char for char in text if char.isprintable() and not char.isspace() and char not in "\u200b\ufeff"), "")
