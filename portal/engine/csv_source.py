"""A CSV file as a DuckDB relation of text, and what is wrong with one that DuckDB cannot read."""

import re
from codecs import BOM_UTF8
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from portal.engine.csv_dialect import LONGEST_LINE, Dialect
from portal.engine.parts import Parts
from portal.engine.stop import Stop
from portal.engine.values import literal
from portal.errors import Fault

LARGE_BUFFER = 32 * 1024 * 1024  # DuckDB's own, for each thread
BUFFER = LARGE_BUFFER // 8
_LOOK = 16 * 1024

_LINE = re.compile(r"CSV Error on Line: (\d+)")


def relation(path: Path, dialect: Dialect) -> str:
    """All columns as text. An empty cell is NULL, a quoted empty one is empty text."""
    return _read(
        literal(str(path)), dialect, f"header = {dialect.header}, skip = {dialect.skip}, buffer_size = {BUFFER}"
    )


def has_long_lines(path: Path) -> bool:
    """Whether a line may be longer than there are; of such DuckDB says nothing, and gives no rows at all."""
    with path.open("rb") as file:
        for start in range(0, path.stat().st_size, LONGEST_LINE // 2):
            file.seek(start)
            left = LONGEST_LINE // 2
            while left > 0 and (piece := file.read(min(left, _LOOK))):
                if b"\n" in piece or b"\r" in piece:
                    break
                left -= len(piece)
            else:
                if left <= 0:
                    return True
    return False


def last_line(path: Path, footer: int, stop: Stop) -> int | None:
    """The number of the last line above so many, not counting blank ones; None for the end of the file."""
    if not footer:
        return None
    filled: deque[int] = deque(maxlen=footer)
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        for number, line in enumerate(file, start=1):
            stop.check()
            if line.strip():
                filled.append(number)
    return filled[0] - 1 if filled else 0


def _read(files: str, dialect: Dialect, options: str) -> str:
    columns = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in dialect.names)
    quote = literal(dialect.quote)
    return (
        f"read_csv({files}, auto_detect = false, columns = {{{columns}}}, "
        f"delim = {literal(dialect.delimiter)}, quote = {quote}, escape = {quote}, comment = '', "
        f"strict_mode = true, null_padding = false, nullstr = '', allow_quoted_nulls = false, "
        f"max_line_size = {LONGEST_LINE}, {options})"
    )


def unreadable(message: str) -> Fault:
    """For a file in which nothing wrong can be found, and that DuckDB cannot read all the same."""
    line = _LINE.search(message)
    reason = "too_long" if "Maximum line size" in message else "unreadable"
    return Fault("csv_broken_row", line=int(line[1]) if line else 0, reason=reason, broken=1)


def parts(folder: Path) -> Parts:
    """For rows that DuckDB does not take in one piece: it refuses mixed line ends, too, and takes the middle of a long
    quoted text for the beginning of a row where a buffer ends.
    """
    return Parts(folder, start=BOM_UTF8)  # DuckDB leaves one out, and it must not be one of the data's


def row_of(lines: Sequence[str]) -> bytes:
    """A row that stands on these lines, ended as all are in parts."""
    return ("".join(lines).removesuffix("\n").removesuffix("\r") + "\n").encode()


def relation_of_parts(files: str, dialect: Dialect) -> str:
    """The same of parts, which have no header."""
    return _read(files, dialect, f"header = false, new_line = '\\n', buffer_size = {LARGE_BUFFER}, parallel = false")
