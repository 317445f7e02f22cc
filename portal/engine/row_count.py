"""How many rows stand in a CSV file, counted without reading them: what any reader's count is held against."""

import re
from dataclasses import dataclass
from pathlib import Path

from portal.engine.csv_dialect import Dialect
from portal.engine.stop import Stop

PIECE = 1024 * 1024
_BLANK = b"\1"  # stands for a line that holds nothing
_LINE_END = re.compile(rb"\r\n|\n|\r")


@dataclass
class Count:
    """`rows` are lines that end outside of quotes, `lines` all that hold anything: the same where no quoted cell goes
    over several lines. Both without what stands above the data, and without blank lines unless there is one column."""

    rows: int
    lines: int


def count(path: Path, dialect: Dialect, stop: Stop) -> Count:
    """Exact unless quotation marks stand within cells that are not quoted; then `rows` may be any number."""
    blanks_count = len(dialect.names) == 1
    counted = _Counting(dialect.quote.encode())
    with path.open("rb") as file:
        file.seek(_begin(path, dialect.skip))
        while piece := file.read(PIECE):
            stop.check()
            while piece.endswith(b"\r") and (more := file.read(1)):
                piece += more
            counted.take(piece)
    rows, blank_rows, lines, blank_lines = counted.ended()
    if not blanks_count:
        rows, lines = rows - blank_rows, lines - blank_lines
    return Count(rows - dialect.header, lines - dialect.header)


def _begin(path: Path, skip: int) -> int:
    """Where the line behind so many begins."""
    at = lines = 0
    with path.open("rb") as file:
        head = file.read(PIECE) if skip else b""
    for end in _LINE_END.finditer(head):
        if lines == skip:
            break
        at, lines = end.end(), lines + 1
    return at


class _Counting:
    """Pieces of a file, with its line ends inside and outside of quotes counted."""

    def __init__(self, quote: bytes) -> None:
        self._quote = quote
        self._others = bytes(byte for byte in range(256) if byte not in b"\n" + _BLANK + quote)
        self._is_quoted = False
        self._rows = self._blank_rows = self._lines = self._blank_lines = 0
        self._end = b"\n"  # of the piece before

    def take(self, piece: bytes) -> None:
        if b"\r" in piece:
            piece = piece.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        begin, self._end = self._end, piece[-1:]
        has_blank = b"\n\n" in piece
        if has_blank:
            piece = piece.replace(b"\n\n", b"\n\1\n").replace(b"\n\n", b"\n\1\n")
        if piece.startswith(b"\n") and begin == b"\n":
            piece, has_blank = _BLANK + piece, True
        lines, blank = piece.count(b"\n"), piece.count(_BLANK) if has_blank else 0
        self._lines += lines
        self._blank_lines += blank
        if self._quote and self._quote in piece:
            ends = piece.translate(None, self._others).replace(2 * self._quote, b"")
            outside = b"".join(ends.split(self._quote)[self._is_quoted :: 2])
            self._is_quoted ^= bool(ends.count(self._quote) % 2)
            lines, blank = outside.count(b"\n"), outside.count(_BLANK) if has_blank else 0
        elif self._is_quoted:
            lines = blank = 0
        self._rows += lines
        self._blank_rows += blank

    def ended(self) -> tuple[int, int, int, int]:
        """Rows, the blank ones of them, lines, the blank ones of them."""
        last = self._end != b"\n"  # without a line end of its own
        return self._rows + last, self._blank_rows, self._lines + last, self._blank_lines
