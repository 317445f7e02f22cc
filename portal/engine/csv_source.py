"""A CSV file as a DuckDB relation of text, and what is wrong with one that DuckDB cannot read."""

import re
from codecs import BOM_UTF8
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from portal.engine.csv_dialect import LONGEST_LINE, Dialect
from portal.engine.values import literal
from portal.errors import Fault

LARGE_BUFFER = 32 * 1024 * 1024  # DuckDB's own, for each thread
BUFFER = LARGE_BUFFER // 8
PART_BYTES = LARGE_BUFFER // 2

_LINE = re.compile(r"CSV Error on Line: (\d+)")


def relation(path: Path, dialect: Dialect) -> str:
    """All columns as text. An empty cell is NULL, a quoted empty one is empty text."""
    return _read(
        literal(str(path)), dialect, f"header = {dialect.header}, skip = {dialect.skip}, buffer_size = {BUFFER}"
    )


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


class Parts:
    """A CSV file cut between rows into smaller ones, without its header, all rows ended alike.

    For what DuckDB cannot take in one piece: it refuses mixed line ends, takes the middle of a long quoted text for
    the beginning of a row where a buffer ends, and holds 2048 rows of a file at once, however large they are.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._paths = folder, list[Path]()
        self._begin()
        self.rows = self.bytes = 0

    def __enter__(self) -> "Parts":
        return self

    def __exit__(self, *_: object) -> None:
        self.end()
        for path in self._paths:
            path.unlink(missing_ok=True)

    def take(self, lines: Sequence[str]) -> None:
        """A row, as the lines it stands on."""
        if self._size >= PART_BYTES:
            self.end()
            self._begin()
        row = "".join(lines).removesuffix("\n").removesuffix("\r") + "\n"
        written = self._file.write(row.encode())
        self._size += written
        self.bytes += written
        self.rows += 1

    def end(self) -> None:
        self._file.close()

    def relation(self, dialect: Dialect) -> str:
        """The rows, once they have ended."""
        files = f"[{', '.join(literal(str(path)) for path in self._paths)}]"
        return _read(
            files, dialect, f"header = false, new_line = '\\n', buffer_size = {LARGE_BUFFER}, parallel = false"
        )

    def _begin(self) -> None:
        self._paths.append(self._folder / f"part{len(self._paths)}.csv")
        self._file: IO[bytes] = self._paths[-1].open("wb")
        self._size = 0
        self._file.write(BOM_UTF8)  # DuckDB leaves one out, and it must not be one of the data's
