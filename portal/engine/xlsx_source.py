"""A sheet of a workbook becomes NDJSON, row by row: numbers stay numbers, text stays text, dates are ISO 8601."""

import json
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import Any, TextIO
from xml.etree.ElementTree import ParseError
from xml.parsers.expat import ExpatError
from zipfile import ZipFile

from portal.engine import header, xlsx_book, xlsx_head, zip_member
from portal.engine.csv_dialect import MAX_COLUMNS
from portal.engine.header import Verdict
from portal.engine.ndjson_source import LONGEST_LINE, Field
from portal.engine.pace import Pace
from portal.engine.reading import Reading
from portal.engine.stop import Stop
from portal.engine.xlsx_book import SHEETS_TOLD, Book
from portal.engine.xlsx_cells import Cells, Row
from portal.engine.xlsx_columns import Columns, key_of, text_of
from portal.engine.xlsx_strings import Strings
from portal.engine.xlsx_target import SHEET_ROWS
from portal.engine.xml_guard import Guarded, most_of
from portal.errors import Fault

_SAMPLE, _SAMPLE_CELLS = 100, 100_000  # in which names and the width are looked for
_TOLD, _TOLD_CHARS = 5, 120  # of what stands above a table
# One text may stand in a million cells: lines are no longer than so many times the file, once they are past so much.
LINES_RATIO, LINES_AFTER = 200, 64 * 1024**2
# What its XML may be wrong in, beyond the archive it lies in.
_DAMAGE = (ParseError, ExpatError, LookupError, TypeError, AttributeError, ArithmeticError, NotImplementedError)


@dataclass(frozen=True)
class Sheet:
    """How a sheet was read. `fields` are those of the lines, none if each is a row for itself, as those of `wide` are:
    so many columns, more than a table has. `found` is for people."""

    name: str
    fields: list[Field]
    wide: int | None = None
    found: dict[str, Any] = field(default_factory=dict)


def to_ndjson(
    source: Path,
    target: Path,
    work: Path,
    reading: Reading,
    *,
    max_bytes: int,
    stop: Stop,
    report: Callable[[float], object],
) -> Sheet:
    """Write each row of a sheet as an object: of the first visible one that holds anything, unless one is named.

    Raises `Fault`: `xlsx_corrupt`, `xlsx_swollen` with the part, `sheet_unknown` and `sheets_hidden` with the names
    there are, `file_empty`, `too_many_columns`, `rows_too_big`, `bomb`, `too_large`.
    """
    with zip_member.damage_as("xlsx_corrupt", *_DAMAGE), ZipFile(source) as archive:
        if sum(info.file_size for info in archive.infolist()) > max_bytes:
            raise Fault("too_large", limit=max_bytes)
        book = xlsx_book.opened(archive, stop)
        if reading.sheet and reading.sheet not in book.sheets:
            raise Fault("sheet_unknown", sheet=reading.sheet[:100], names=list(book.sheets)[:20])
        with Strings(archive, book.strings, work / "strings", stop) as strings:
            read = _Reader(archive, source.stat().st_size, book, strings, reading, target, max_bytes, stop, report)
            for name in [reading.sheet] if reading.sheet else book.visible():
                if sheet := read.sheet(name):
                    return sheet
            if not reading.sheet and (names := [name for name in book.covert() if read.holds_rows(name)]):
                raise Fault("sheets_hidden", names=names[:20])
        raise Fault("file_empty")


@dataclass
class _Reader:
    archive: ZipFile
    size: int
    book: Book
    strings: Strings
    reading: Reading
    target: Path
    max_bytes: int
    stop: Stop
    report: Callable[[float], object]
    pace: Pace = field(default_factory=Pace)

    def sheet(self, name: str) -> Sheet | None:
        """None where it is empty."""
        made = self._sheet(name, as_rows=False)
        return self._sheet(name, as_rows=True) if made and made.wide else made

    def holds_rows(self, name: str) -> bool:
        with ExitStack() as held:
            return next(self._cells(name, held).rows(self.pace, self.stop), None) is not None

    def _cells(self, name: str, held: ExitStack) -> Cells:
        if (info := self.book.sheets[name]) is None:
            raise Fault("xlsx_corrupt")
        part = held.enter_context(self.archive.open(info))
        guarded = Guarded(part, info.filename, unit="row", until="sheetData", most=most_of(info, self.size))
        return Cells(guarded, info.filename, self.strings, self.book.formats, is_1904=self.book.is_1904)

    def _sheet(self, name: str, *, as_rows: bool) -> Sheet | None:
        with ExitStack() as held:
            cells = self._cells(name, held)
            rows = cells.rows(self.pace, self.stop)
            table = _Table(rows, self.reading)
            if table.is_empty:
                return None
            columns = Columns(table.names)
            count = self._written(table, columns, as_rows)
            wide = len(columns.names) if count is None or as_rows else None
            fields = [] if wide else columns.fields()
            more = {key: value for key, value in vars(cells.seen).items() if value}
        return Sheet(name, fields, wide, self._sheets(name) | table.found | more)

    def _written(self, table: "_Table", columns: Columns, as_rows: bool) -> int | None:
        """How many rows; None as soon as there are more columns than a table has, unless each is a row for itself."""
        if len(columns.names) > MAX_COLUMNS and not as_rows:
            return None
        with self.target.open("w", encoding="utf-8", errors="replace") as out:
            lines = _Lines(out, min(self.max_bytes, max(LINES_AFTER, LINES_RATIO * self.size)), self.max_bytes)
            for number, row in enumerate(table.body()):
                columns.lengthen(max(row.cells, default=-1) + 1)
                if as_rows:
                    places = range(len(columns.names)) if not number else sorted(row.cells)
                    lines.write({columns.names[n]: row.cells[n][1] if n in row.cells else None for n in places})
                    continue
                if len(columns.names) > MAX_COLUMNS:
                    return None
                for place, cell in row.cells.items():
                    columns.take(place, cell)
                lines.write({key_of(place): cell[1] for place, cell in row.cells.items()})
                if not number % 1000:
                    self.report(min(0.99, number / SHEET_ROWS))
        return lines.count

    def _sheets(self, name: str) -> dict[str, Any]:
        """Which others there are, and what of the workbook could not be read."""
        others = {"sheets": [other for other in self.book.sheets if other not in self.book.hidden]}
        others = others if others["sheets"] != [name] else {}
        hidden = {"hidden_sheets": [other for other in self.book.sheets if other in self.book.hidden]}
        told = {key: names[:SHEETS_TOLD] for key, names in (others | hidden).items() if names}
        return told | ({} if self.book.has_styles else {"styles_damaged": True})


class _Table:
    """Of the rows of a sheet those of the table, and the names above them."""

    def __init__(self, rows: Iterator[Row], reading: Reading) -> None:
        first_row = reading.header_row or (reading.skip_rows or 0) + 1
        above: list[Row] = []
        for row in rows:
            if row.number >= first_row:
                rows = chain([row], rows)
                break
            above.append(row)
        self._sample = list(_first(rows))
        self._rows, self._footer = rows, reading.footer_rows
        self.is_empty = not self._sample
        self.names: list[str] = []
        self.found: dict[str, Any] = {}
        if self.is_empty:
            return
        if not (reading.header_row or reading.skip_rows is not None or reading.header is False):
            count = xlsx_head.rows_above(self._sample)
            above, self._sample = self._sample[:count], self._sample[count:]
        verdict = Verdict(reading.header is not False, header.SAID)
        if reading.header is None and not reading.header_row:
            verdict = xlsx_head.judged(self._sample)
        first, width = self._sample[0], max(max(row.cells, default=0) for row in self._sample) + 1
        self.found |= {"header": verdict.named, "header_by": verdict.by}
        self.names = [""] * width
        if verdict.named:
            del self._sample[0]
            self.names = [text_of(first.cells[place]) if place in first.cells else "" for place in range(width)]
            self.found["header_row"] = first.number
        lines = {"skip_rows": first.number - 1, "above": [_line(row) for row in above[:_TOLD]]}
        self.found |= {name: value for name, value in (lines | {"footer_rows": self._footer}).items() if value}

    def body(self) -> Iterator[Row]:
        """Those below the header and above the footer."""
        kept: deque[Row] = deque()
        for row in chain(self._sample, self._rows):
            kept.append(row)
            if len(kept) > self._footer:
                yield kept.popleft()


class _Lines:
    """Takes rows up to so many bytes."""

    def __init__(self, out: TextIO, most: int, max_bytes: int) -> None:
        self._out, self._most, self._max_bytes = out, most, max_bytes
        self._bytes = self.count = 0

    def write(self, cells: dict[str, Any]) -> None:
        if sum(len(value) for value in cells.values() if isinstance(value, str)) > LONGEST_LINE:
            raise Fault("rows_too_big")
        line = json.dumps(cells, ensure_ascii=False) + "\n"
        self._bytes += len(line) if line.isascii() else len(line.encode("utf-8", "replace"))
        if self._bytes > self._most:
            is_bomb = self._most < self._max_bytes
            raise Fault("bomb", ratio=LINES_RATIO) if is_bomb else Fault("too_large", limit=self._max_bytes)
        self._out.write(line)
        self.count += 1


def _first(rows: Iterator[Row]) -> Iterator[Row]:
    cells = 0
    for row in islice(rows, _SAMPLE):
        yield row
        cells += len(row.cells)
        if cells > _SAMPLE_CELLS:
            return


def _line(row: Row) -> str:
    return " | ".join(text_of(cell) for _, cell in sorted(row.cells.items()))[:_TOLD_CHARS]
