"""A CSV file as a DuckDB relation of text, and what is wrong with one that DuckDB cannot read."""

import re
from pathlib import Path

from portal.engine.csv_dialect import LONGEST_LINE, Dialect
from portal.engine.stop import Stop
from portal.engine.values import literal
from portal.errors import Fault

LARGE_BUFFER = 32 * 1024 * 1024  # DuckDB's own, for each thread
BUFFER = LARGE_BUFFER // 8

_LINE = re.compile(r"CSV Error on Line: (\d+)")


def relation(path: Path, dialect: Dialect, buffer: int = BUFFER, *, parallel: bool = True) -> str:
    """All columns as text. An empty cell is NULL, a quoted empty one is empty text."""
    columns = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in dialect.names)
    quote = literal(dialect.quote)
    return (
        f"read_csv({literal(str(path))}, auto_detect = false, columns = {{{columns}}}, "
        f"delim = {literal(dialect.delimiter)}, quote = {quote}, escape = {quote}, comment = '', "
        f"header = {dialect.header}, skip = {dialect.skip}, "
        f"strict_mode = true, null_padding = false, nullstr = '', allow_quoted_nulls = false, "
        f"buffer_size = {buffer}, max_line_size = {LONGEST_LINE}, parallel = {parallel})"
    )


def unreadable(message: str) -> Fault:
    """For a file in which nothing wrong can be found, and that DuckDB cannot read all the same."""
    line = _LINE.search(message)
    reason = "too_long" if "Maximum line size" in message else "unreadable"
    return Fault("csv_broken_row", line=int(line[1]) if line else 0, reason=reason, broken=1)


def even_line_ends(source: Path, target: Path, dialect: Dialect, stop: Stop) -> None:
    """Copy with \\n for each \\r\\n outside quotes: DuckDB refuses a file that mixes them."""
    quote = dialect.quote.encode()
    inside = False
    with source.open("rb") as mixed, target.open("wb") as even:
        for line in mixed:
            stop.check()
            inside ^= bool(quote) and line.count(quote) % 2 == 1
            even.write(line[:-2] + b"\n" if not inside and line.endswith(b"\r\n") else line)
