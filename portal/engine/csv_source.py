"""A CSV file as a DuckDB relation of text, and what is wrong with one that DuckDB cannot read."""

import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from portal.engine.csv_dialect import LONGEST_LINE, Dialect, reader
from portal.engine.stop import Stop
from portal.engine.values import literal
from portal.errors import Fault

BUFFER = 4 * 1024 * 1024  # DuckDB's own is eight times that, for each thread

_NOT_UTF8 = re.compile("[\udc80-\udcff]")
_LINE = re.compile(r"CSV Error on Line: (\d+)")


def relation(path: Path, dialect: Dialect) -> str:
    """All columns as text. An empty cell is NULL, a quoted empty one is empty text."""
    columns = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in dialect.names)
    quote = literal(dialect.quote)
    return (
        f"read_csv({literal(str(path))}, auto_detect = false, columns = {{{columns}}}, "
        f"delim = {literal(dialect.delimiter)}, quote = {quote}, escape = {quote}, comment = '', "
        f"header = {dialect.header}, skip = {dialect.skip}, "
        f"strict_mode = true, null_padding = false, nullstr = '', allow_quoted_nulls = false, "
        f"buffer_size = {BUFFER}, max_line_size = {LONGEST_LINE})"
    )


def find_broken_row(path: Path, dialect: Dialect, stop: Stop, message: str) -> None:
    """Look for the row DuckDB stumbled over (`message` is its own); return if there is none.

    Raises `Fault`: `csv_broken_row` with the physical line the row begins on, or `not_utf8`.
    """
    width = len(dialect.names)
    begin = 1
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        rows = reader(_lines(file, stop), dialect.delimiter, dialect.quote)
        try:
            for row in rows:
                if row and len(row) != width and not (len(row) == width + 1 and not row[-1]):
                    raise Fault("csv_broken_row", line=begin, reason="columns", expected=width, found=len(row))
                begin = rows.line_num + 1
        except csv.Error:
            raise Fault("csv_broken_row", line=begin, reason="quote") from None
    if "Maximum line size" in message:
        line = _LINE.search(message)
        raise Fault("csv_broken_row", line=int(line[1]) if line else 0, reason="too_long")


def unreadable(message: str) -> Fault:
    """For a file in which nothing wrong can be found, and that DuckDB cannot read all the same."""
    line = _LINE.search(message)
    return Fault("csv_broken_row", line=int(line[1]) if line else 0, reason="unreadable")


def even_line_ends(source: Path, target: Path, dialect: Dialect, stop: Stop) -> None:
    """Copy with \\n for each \\r\\n outside quotes: DuckDB refuses a file that mixes them."""
    quote = dialect.quote.encode()
    inside = False
    with source.open("rb") as mixed, target.open("wb") as even:
        for line in mixed:
            stop.check()
            inside ^= bool(quote) and line.count(quote) % 2 == 1
            even.write(line[:-2] + b"\n" if not inside and line.endswith(b"\r\n") else line)


def _lines(file: TextIO, stop: Stop) -> Iterator[str]:
    number = 0
    while line := file.readline(LONGEST_LINE + 1):
        number += 1
        stop.check()  # at each: a line may take milliseconds
        if not line.isascii() and _NOT_UTF8.search(line):
            raise Fault("not_utf8", line=number)
        if len(line) > LONGEST_LINE:
            raise Fault("csv_broken_row", line=number, reason="too_long")
        yield line
