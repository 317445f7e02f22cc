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


def count(path: Path, dialect: Dialect, stop: Stop, *, likely: int | None = None) -> Count:
    """Exact unless quotation marks stand within cells that are not quoted; then `rows` may be any number.

    Blank lines are not looked for, which takes half as long, if without them there are as many rows as is `likely`.
    """
    if likely is not None:
        counted = _counted(path, dialect, stop, finds_blanks=False)
        if counted.rows == likely:
            return counted
    return _counted(path, dialect, stop, finds_blanks=len(dialect.names) > 1)


def _counted(path: Path, dialect: Dialect, stop: Stop, *, finds_blanks: bool) -> Count:
    counted = _Counting(dialect.quote.encode(), finds_blanks=finds_blanks)
    with path.open("rb") as file:
        file.seek(_begin(path, dialect.skip))
        while piece := file.read(PIECE):
            stop.check()
            while piece.endswith(b"\r") and (more := file.read(1)):
                piece += more
            counted.take(piece)
    rows, lines = counted.ended()
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


def _are_crlf(ends: bytes) -> bool:
    """Whether all are, as far as can be told from what is left of the lines."""
    return ends.count(b"\r\n") == ends.count(b"\r") == ends.count(b"\n")


class _Counting:
    """Pieces of a file, with its line ends inside and outside of quotes counted; those of blank lines if need be."""

    def __init__(self, quote: bytes, *, finds_blanks: bool) -> None:
        self._quote, self._finds_blanks = quote, finds_blanks
        self._others = bytes(byte for byte in range(256) if byte not in b"\r\n" + _BLANK + quote)
        self._is_quoted = False
        self._rows = self._lines = 0
        self._end = b"\n"  # of the piece before

    def take(self, piece: bytes) -> None:
        ends = piece.translate(None, self._others)  # all that is looked at, so that one goes over the rest but once
        if b"\r" in ends and not self._finds_blanks and _are_crlf(ends):
            ends = ends.translate(None, b"\r")
        elif b"\r" in ends:
            piece = piece.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
            ends = piece.translate(None, self._others)
        begin, self._end = self._end, piece[-1:]
        if self._finds_blanks and (b"\n\n" in piece or (begin == b"\n" and piece.startswith(b"\n"))):
            piece = piece.replace(_BLANK, b"").replace(b"\n\n", b"\n\1\n").replace(b"\n\n", b"\n\1\n")
            blank = _BLANK if begin == b"\n" and piece.startswith(b"\n") else b""
            ends = (blank + piece).translate(None, self._others)
        elif _BLANK in ends:
            ends = ends.replace(_BLANK, b"")
        self._lines += ends.count(b"\n") - ends.count(_BLANK)
        if self._quote and self._quote in ends:
            ends = ends.replace(2 * self._quote, b"")
            outside = b"".join(ends.split(self._quote)[self._is_quoted :: 2])
            self._is_quoted ^= bool(ends.count(self._quote) % 2)
            self._rows += outside.count(b"\n") - outside.count(_BLANK)
        elif not self._is_quoted:
            self._rows += ends.count(b"\n") - ends.count(_BLANK)

    def ended(self) -> tuple[int, int]:
        """Rows and lines."""
        last = self._end != b"\n"  # without a line end of its own
        return self._rows + last, self._lines + last
