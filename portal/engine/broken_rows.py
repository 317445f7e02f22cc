"""Rows that cannot be read: how many there are, which is the first, and a copy of the file without them."""

import csv
import re
from codecs import BOM_UTF8
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from portal.engine import csv_source, ndjson_source
from portal.engine.csv_dialect import LONGEST_LINE, Dialect, reader
from portal.engine.stop import Stop
from portal.errors import Fault

COUNTED = 10_000
TEXT_CHARS = 120
_NOT_UTF8 = re.compile("[\udc80-\udcff]")


@dataclass
class Broken:
    """`first` is `{line, reason, …}` of the first one, with the beginning of its `text`; None while there is none."""

    count: int = 0
    first: dict[str, Any] | None = field(default=None)

    def note(self, line: int, reason: str, text: str, **more: Any) -> None:
        self.count += 1
        if self.first is None:
            shown = "".join(char if char.isprintable() else " " for char in text[:TEXT_CHARS]).strip()
            self.first = {"line": line, "reason": reason, "text": shown.encode("utf-8", "replace").decode(), **more}

    def fault(self, code: str) -> Fault:
        """With all that is known of them."""
        return Fault(code, broken=min(self.count, COUNTED), **(self.first or {}))


def of_csv(
    path: Path,
    dialect: Dialect,
    stop: Stop,
    good: Callable[[bytes], object],
    *,
    most: int = COUNTED,
    until: int | None = None,
) -> Broken:
    """Look at each row, until so many are broken; `good` gets those that can be read, but for the header, with no
    blanks in front of quotes. What stands below the line `until` is not looked at.

    A quote that is never closed would swallow the rest of the file: its line is broken, and the next line a new row.
    """
    broken, width, header = Broken(), len(dialect.names), dialect.header
    unspaced = _unspaced(dialect) if dialect.spaced else None
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        source = _Lines(file, stop, until)
        for _ in range(dialect.skip):
            next(source, None)
        held: list[str] = []
        rows = reader(source.noting(held), dialect.delimiter, dialect.quote, spaced=dialect.spaced)
        while source.more and broken.count < most:
            begin = source.number + 1
            held.clear()
            try:
                row = next(rows, None)
            except csv.Error as problem:
                row, reason = None, _unreadable(held, problem)
                source.give_back(held[1:])
                rows = reader(source.noting(held), dialect.delimiter, dialect.quote, spaced=dialect.spaced)
            else:
                reason = _wrong(row, held, width)
            if not held or (row == [] and not reason and width > 1):  # a blank line is a row of one column
                continue
            if reason == "columns":
                broken.note(begin, reason, held[0], expected=width, found=len(row or ()))
            elif reason:
                broken.note(begin, reason, held[0])
            elif not header:
                good(csv_source.row_of(unspaced(held) if unspaced else held))
            header = False
    return broken


def _unspaced(dialect: Dialect) -> Callable[[list[str]], list[str]]:
    """Takes the blanks before quoted cells out of the lines of a row that can be read."""
    delimiter, quote = re.escape(dialect.delimiter), dialect.quote
    cell = re.compile(f"(^|{delimiter}) *({quote}(?:[^{quote}]|{quote}{quote})*{quote}|[^{delimiter}\r\n]*)")
    return lambda held: [cell.sub(r"\1\2", "".join(held))]


def _unreadable(held: list[str], problem: csv.Error) -> str:
    if len(held[0]) > LONGEST_LINE:
        return "too_long"
    # Over several lines it is a quote that was not closed at the end of the first, and met another.
    return "after_quote" if len(held) == 1 and "expected after" in str(problem) else "quote"


def _wrong(row: list[str] | None, held: list[str], width: int) -> str:
    if any(not line.isascii() and _NOT_UTF8.search(line) for line in held):
        return "encoding"
    if row and len(row) != width and not (len(row) == width + 1 and not row[-1]):
        return "columns"
    return ""


class _Lines:
    """Physical lines, of which some may be given back; a cell takes at most LONGEST_LINE characters of them."""

    def __init__(self, file: IO[str], stop: Stop, until: int | None = None) -> None:
        self._file, self._stop, self._back, self.number, self.more = file, stop, list[str](), 0, True
        self._until = until

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        self._stop.check()
        at_end = self.number == self._until
        line = "" if at_end else self._back.pop() if self._back else self._file.readline(LONGEST_LINE + 1)
        if not line:
            self.more = False
            raise StopIteration
        rest = line
        while len(rest) > LONGEST_LINE and not rest.endswith(("\n", "\r")):  # of one nobody reads
            self._stop.check()
            rest = self._file.readline(LONGEST_LINE + 1)
        self.number += 1
        return line

    def noting(self, held: list[str]) -> Iterator[str]:
        """The next lines, each noted until that is emptied; too many of them are a quote that was never closed."""
        size = 0
        for line in self:
            size = size if held else 0
            held.append(line)
            size += len(line)
            if size > LONGEST_LINE:
                raise csv.Error("never closed")
            yield line

    def give_back(self, lines: list[str]) -> None:
        self._back += reversed(lines)
        self.number -= len(lines)
        self.more = True


def of_ndjson(path: Path, stop: Stop, good: Callable[[bytes], object], *, most: int = COUNTED) -> Broken:
    """The same for lines that are to be JSON objects."""
    broken = Broken()
    with path.open("rb") as file:
        number = 0
        while broken.count < most and (line := file.readline(ndjson_source.LONGEST_LINE + 1)):
            number += 1
            stop.check()  # at each: a line may take a second
            line = line if number > 1 else line.removeprefix(BOM_UTF8)
            if reason := ndjson_source.wrong_with(line):
                broken.note(number, reason, line[: 4 * TEXT_CHARS].decode("utf-8", "replace"))
                while len(line) > ndjson_source.LONGEST_LINE and not line.endswith(b"\n"):  # the rest of a long one
                    line = file.readline(ndjson_source.LONGEST_LINE)
                    stop.check()
            elif line.strip():
                good(line if line.endswith(b"\n") else line + b"\n")
    return broken
