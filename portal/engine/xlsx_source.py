"""A sheet of a workbook becomes NDJSON, row by row: numbers stay numbers, text stays text, dates are ISO 8601."""

import datetime as dt
import json
import math
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast
from xml.etree.ElementTree import ParseError, iterparse
from zipfile import ZipFile

from defusedxml.common import DefusedXmlException
from openpyxl.utils.escape import unescape
from openpyxl.utils.exceptions import InvalidFileException
from openpyxl.worksheet._reader import WorkSheetParser

from portal.engine import xlsx_book, zip_member
from portal.engine.csv_dialect import MAX_COLUMNS, unique_names
from portal.engine.header import has_header
from portal.engine.pace import Pace
from portal.engine.stop import Stop
from portal.engine.xlsx_book import Book
from portal.engine.xlsx_target import SHEET_ROWS
from portal.engine.xml_guard import Guarded, most_of
from portal.errors import Fault

_STRINGS = "xl/sharedStrings.xml"
_MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
SHEET_COLUMNS = 16_384
TEXTS = 20_000_000  # in one workbook
_SAMPLE, _JUDGED = 100, 50_000  # rows in which the width is looked for; cells that tell whether the first is a header
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
    """Which sheet was read, and the names of its columns in order; as many as no table has if it `is_wide`."""

    name: str
    columns: list[str]

    @property
    def is_wide(self) -> bool:
        return len(self.columns) > MAX_COLUMNS


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
    """Write each row as an object, the first with all columns. The first sheet that holds anything, unless `sheet`
    names one.

    Raises `Fault`: `xlsx_corrupt`, `xlsx_swollen` with the part, `sheet_unknown` with the names there are,
    `file_empty`, `too_many_columns`, `too_large`.
    """
    with zip_member.damage_as("xlsx_corrupt", *_DAMAGE), ZipFile(source) as archive:
        if sum(info.file_size for info in archive.infolist()) > max_bytes:
            raise Fault("too_large", limit=max_bytes)
        book = xlsx_book.opened(archive, stop)
        if sheet and sheet not in book.sheets:
            raise Fault("sheet_unknown", sheet=sheet[:100], names=list(book.sheets)[:20])
        with _Strings(archive, work / "strings", stop) as strings:
            pace = Pace()
            for name in [sheet] if sheet else _visible(book):
                part = book.sheets[name]
                most = most_of(archive.getinfo(part), source.stat().st_size)
                with archive.open(part) as file:
                    guarded = Guarded(file, part, unit="row", until="sheetData", most=most)
                    found = _written(_rows(guarded, book, part, strings, pace, stop), target, header, max_bytes, report)
                if found:
                    return Sheet(name, found)
        raise Fault("file_empty")


def _visible(book: Book) -> list[str]:
    """The names of those to look at: of several that are one part, the first."""
    seen = [name for name in book.sheets if name not in book.hidden] or list(book.sheets)
    return list({book.sheets[name]: name for name in reversed(seen)}.values())[::-1]


class _Strings:
    """The texts that a workbook keeps apart from its cells: in a file, found by an index of 8 bytes for each."""

    def __init__(self, archive: ZipFile, path: Path, stop: Stop) -> None:
        self._archive, self._path, self._stop = archive, path, stop
        self._size = Path(str(archive.filename)).stat().st_size
        self._ends = array("Q")

    def __enter__(self) -> "_Strings":
        self._file: IO[bytes] = self._path.open("w+b")
        try:
            if info := self._archive.NameToInfo.get(_STRINGS):
                with self._archive.open(_STRINGS) as part:
                    self._take(Guarded(part, _STRINGS, unit="si", most=most_of(info, self._size)))
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._path.unlink(missing_ok=True)

    def __getitem__(self, number: int) -> str:
        begin = self._ends[number - 1] if number else 0
        self._file.seek(begin)
        return self._file.read(self._ends[number] - begin).decode("utf-8", "surrogatepass")

    def _take(self, part: Guarded) -> None:
        end = 0
        pace = Pace()
        for number, text in enumerate(_texts(part)):
            pace.found += bool(text)
            if not number % 1000:
                self._stop.check()
                pace.check(_STRINGS)
                if number > TEXTS:
                    raise Fault("xlsx_swollen", part="sharedStrings.xml")
            end += self._file.write(text.encode("utf-8", "surrogatepass"))
            self._ends.append(end)
        self._file.flush()


def _texts(part: Guarded) -> Iterator[str]:
    """Each text without its phonetic readings and styles."""
    root = None
    for event, element in iterparse(cast(IO[bytes], part), events=("start", "end")):  # noqa: S314  # expat itself refuses entities that grow
        if root is None:
            root = element
        if event == "end" and element.tag == f"{_MAIN}si":
            runs = [*element.findall(f"{_MAIN}t"), *element.findall(f"{_MAIN}r/{_MAIN}t")]
            yield "".join(run.text or "" for run in runs)
            root.clear()


def _written(
    rows: Iterator[dict[int, Any]],
    target: Path,
    header: bool | None,
    max_bytes: int,
    report: Callable[[float], object],
) -> list[str] | None:
    """The columns' names; None where the sheet is empty."""
    first = [row for _, row in zip(range(_SAMPLE), rows, strict=False)]
    if not first:
        return None
    width = max(map(_width, first))
    judged = [[_shown(row.get(place)) for place in range(_width(row))] for row in first[: max(2, _JUDGED // width)]]
    named = header if header is not None else has_header(judged)
    names = _Names((judged[0] if named else []) + [""] * (width - len(judged[0]) if named else width))
    with target.open("w", encoding="utf-8") as out:
        for number, row in enumerate(_chained(first[1:] if named else first, rows)):
            names.lengthen(_width(row))
            places = range(len(names.all)) if not number else sorted(row)
            cells = {names.all[place]: _value(row.get(place)) for place in places}
            out.write(json.dumps(cells, ensure_ascii=False) + "\n")
            if not number % 100 and target.stat().st_size > max_bytes:  # one text may stand in a million cells
                raise Fault("too_large", limit=max_bytes)
            if not number % 1000:
                report(min(0.99, number / SHEET_ROWS))
    return names.all


class _Names:
    """Of the columns; as rows become longer there are more, which are called after their places."""

    def __init__(self, cells: list[str]) -> None:
        self.all = unique_names(cells)
        self._taken = {name.lower() for name in self.all}

    def lengthen(self, width: int) -> None:
        while len(self.all) < width:  # not all anew: thousands of rows may each be longer than those before
            name = f"column{len(self.all) + 1}"
            while name in self._taken:
                name += "_2"
            self.all.append(name)
            self._taken.add(name)


def _width(row: dict[int, Any]) -> int:
    width = max(row) + 1
    if width > SHEET_COLUMNS:
        raise Fault("too_many_columns", columns=width, limit=SHEET_COLUMNS)
    return width


def _chained(first: list[dict[int, Any]], rows: Iterator[dict[int, Any]]) -> Iterator[dict[int, Any]]:
    yield from first
    yield from rows


def _rows(part: Guarded, book: Book, name: str, strings: _Strings, pace: Pace, stop: Stop) -> Iterator[dict[int, Any]]:
    """Values by their places in the row, the first one being 0; no empty cells, no empty rows."""
    sheet = WorkSheetParser(
        part,
        strings,
        data_only=True,
        epoch=book.epoch,
        date_formats=book.dates,
        timedelta_formats=book.durations,
    )
    for number, (place, cells) in enumerate(sheet.parse(), start=1):
        stop.check()
        pace.check(name)
        if max(number, place) > SHEET_ROWS:
            raise Fault("xlsx_corrupt")
        sheet.row_dimensions.clear()  # heights and styles, which nobody asks for
        row = {cell["column"] - 1: cell["value"] for cell in cells if cell["value"] is not None}
        if row:
            pace.found += 1 + len(row)
            yield row


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
