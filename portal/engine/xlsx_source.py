"""A sheet of a workbook becomes NDJSON, row by row: numbers stay numbers, text stays text, dates are ISO 8601."""

import datetime as dt
import json
import math
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from xml.etree.ElementTree import ParseError, iterparse
from zipfile import ZipFile

from defusedxml.common import DefusedXmlException
from openpyxl.reader import excel
from openpyxl.utils.escape import unescape
from openpyxl.utils.exceptions import InvalidFileException

from portal.engine import zip_member
from portal.engine.csv_dialect import MAX_COLUMNS, has_header, unique_names
from portal.engine.stop import Stop
from portal.engine.xlsx_target import SHEET_ROWS
from portal.errors import Fault

_STRINGS = "xl/sharedStrings.xml"
_MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_SAMPLE = 100
_ERRORS = {"#N/A", "#DIV/0!", "#VALUE!", "#REF!", "#NAME?", "#NUM!", "#NULL!"}
# What its XML may be wrong in, beyond the archive it lies in.
_DAMAGE = (
    ParseError,
    DefusedXmlException,
    InvalidFileException,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
)


@dataclass(frozen=True)
class Sheet:
    """Which sheet was read, and the names of its columns in order."""

    name: str
    columns: list[str]


def to_ndjson(
    source: Path,
    target: Path,
    *,
    work: Path,
    sheet: str | None,
    header: bool | None,
    max_bytes: int,
    stop: Stop,
    report: Callable[[float], object],
) -> Sheet:
    """Write each row as an object with all columns. The first sheet that holds anything, unless `sheet` names one.

    Raises `Fault`: `xlsx_corrupt`, `sheet_unknown` with the names there are, `file_empty`, `too_many_columns`,
    `too_large`.
    """
    with zip_member.damage_as("xlsx_corrupt", *_DAMAGE):
        _check_size(source, max_bytes)
        with source.open("rb") as file, _Strings(source, work / "strings", stop) as strings:
            book = _book(file, strings)
            try:
                names = book.sheetnames
                if sheet and sheet not in names:
                    raise Fault("sheet_unknown", sheet=sheet[:100], names=names[:20])
                for name in [sheet] if sheet else _visible(book):
                    found = _written(book[name], target, header, stop, report)
                    if found:
                        return Sheet(name, found)
            finally:
                book.close()
        raise Fault("file_empty")


def _check_size(source: Path, max_bytes: int) -> None:
    with ZipFile(source) as archive:
        if sum(info.file_size for info in archive.infolist()) > max_bytes:
            raise Fault("too_large", limit=max_bytes)


def _visible(book: Any) -> list[str]:
    return [sheet.title for sheet in book.worksheets if sheet.sheet_state == "visible"] or book.sheetnames


def _book(file: IO[bytes], strings: "_Strings") -> Any:
    """A workbook read piece by piece, whose texts lie on disk."""
    reader = excel.ExcelReader(file, True, False, True, False, False)
    reader.read_strings = lambda: setattr(reader, "shared_strings", strings)  # type: ignore[method-assign]
    reader.read()
    return reader.wb


class _Strings:
    """The texts that a workbook keeps apart from its cells: in a file, found by an index of 8 bytes for each."""

    def __init__(self, source: Path, path: Path, stop: Stop) -> None:
        self._source, self._path, self._stop = source, path, stop
        self._ends = array("Q")

    def __enter__(self) -> "_Strings":
        self._file: IO[bytes] = self._path.open("w+b")
        with ZipFile(self._source) as archive:
            if _STRINGS in archive.NameToInfo:
                with archive.open(_STRINGS) as part:
                    self._take(part)
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._path.unlink(missing_ok=True)

    def __getitem__(self, number: int) -> str:
        begin = self._ends[number - 1] if number else 0
        self._file.seek(begin)
        return self._file.read(self._ends[number] - begin).decode("utf-8", "surrogatepass")

    def _take(self, part: IO[bytes]) -> None:
        end = 0
        for number, text in enumerate(_texts(part)):
            if not number % 1000:
                self._stop.check()
            end += self._file.write(text.encode("utf-8", "surrogatepass"))
            self._ends.append(end)
        self._file.flush()


def _texts(part: IO[bytes]) -> Iterator[str]:
    """Each text without its phonetic readings and styles."""
    root = None
    for event, element in iterparse(part, events=("start", "end")):  # noqa: S314  # expat itself refuses entities that grow
        if root is None:
            root = element
        if event == "end" and element.tag == f"{_MAIN}si":
            runs = [*element.findall(f"{_MAIN}t"), *element.findall(f"{_MAIN}r/{_MAIN}t")]
            yield "".join(run.text or "" for run in runs)
            root.clear()


def _written(
    sheet: Any, target: Path, header: bool | None, stop: Stop, report: Callable[[float], object]
) -> list[str] | None:
    """The columns' names; None where the sheet is empty."""
    sheet.reset_dimensions()  # what a file says of its size may be anything
    rows = _rows(sheet, stop)
    first = [row for _, row in zip(range(_SAMPLE), rows, strict=False)]
    if not first:
        return None
    width = max(len(row) for row in first)
    if width > MAX_COLUMNS:
        raise Fault("too_many_columns", columns=width, limit=MAX_COLUMNS)
    named = header if header is not None else has_header([[_shown(cell) for cell in row] for row in first])
    names = unique_names(
        [_shown(cell) for cell in first[0]] + [""] * (width - len(first[0])) if named else [""] * width
    )
    with target.open("w", encoding="utf-8") as out:
        for number, row in enumerate(_chained(first[1:] if named else first, rows)):
            if len(row) > len(names):
                if len(row) > MAX_COLUMNS:
                    raise Fault("too_many_columns", columns=len(row), limit=MAX_COLUMNS)
                names = unique_names([*names, *[""] * (len(row) - len(names))])
            cells = [*map(_value, row), *[None] * (len(names) - len(row))]
            out.write(json.dumps(dict(zip(names, cells, strict=True)), ensure_ascii=False) + "\n")
            if not number % 1000:
                report(min(0.99, number / SHEET_ROWS))
    return names


def _chained(first: list[list[Any]], rows: Iterator[list[Any]]) -> Iterator[list[Any]]:
    yield from first
    yield from rows


def _rows(sheet: Any, stop: Stop) -> Iterator[list[Any]]:
    """Rows without the empty cells at their ends, and without empty rows."""
    for number, row in enumerate(sheet.iter_rows(values_only=True), start=1):
        stop.check()
        if number > SHEET_ROWS:  # its reader makes rows up to whatever number a file claims
            raise Fault("xlsx_corrupt")
        cells = list(row)
        while cells and cells[-1] is None:
            cells.pop()
        if cells:
            yield cells


def _value(cell: Any) -> Any:
    match cell:
        case bool() | int() | None:
            return cell
        case float() if not math.isfinite(cell):
            return None
        case float():
            return int(cell) if cell.is_integer() and abs(cell) < 2**53 else cell
        case dt.datetime():
            return cell.isoformat(sep=" ")  # whether a column holds days or moments is seen once it is whole
        case dt.date() | dt.time():
            return cell.isoformat()
        case dt.timedelta():
            return str(cell)
        case str() if cell in _ERRORS:
            return None
        case _:
            text = unescape(str(cell)) if "_x" in str(cell) else str(cell)
            return text.encode("utf-8", "replace").decode()


def _shown(cell: Any) -> str:
    return "" if cell is None else str(_value(cell))
