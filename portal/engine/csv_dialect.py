"""How a CSV file is written: delimiter, quote, header. Decided here, so that DuckDB cannot fit a broken file
by choosing an odd dialect."""

import csv
import io
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from portal.engine import values
from portal.engine.values import Type
from portal.errors import Fault

if TYPE_CHECKING:
    from _csv import Reader

MAX_COLUMNS = 1000
NAME_CHARS = 200  # of a column
LONGEST_LINE = 2_000_000  # bytes; DuckDB is told the same
TYPED_CELLS = 100_000
DELIMITERS = (",", "\t", ";", "|")
QUOTE = '"'
_YEAR = re.compile(r" *(?:19|20)[0-9]{2} *")
_COMMA = re.compile(r"-?[0-9.]+,[0-9]+")

# The default of 128 KiB refuses honest long texts; the limit is one for the process.
csv.field_size_limit(2 * LONGEST_LINE)


@dataclass(frozen=True)
class Dialect:
    """`names` are unique and not empty, `types` what the first rows leave possible for each of them;
    `skip` counts the blank lines in front; `quote` is '"' or ''; `rows` there are at least.
    Where it is not `plain` DuckDB may miss rows: it looks for line ends such as the first, in whatever line that is."""

    delimiter: str
    quote: str
    header: bool
    names: tuple[str, ...]
    types: tuple[tuple[Type, ...], ...]
    skip: int
    plain: bool = True
    rows: int = 0


def reader(lines: Iterable[str], delimiter: str, quote: str) -> "Reader":
    """Rows of cells; raises `csv.Error` where quotes are broken. Its `line_num` counts physical lines."""
    if quote:
        return csv.reader(lines, delimiter=delimiter, quotechar=quote, strict=True)
    return csv.reader(lines, delimiter=delimiter, quoting=csv.QUOTE_NONE, strict=True)


def guess(text: str, *, delimiter: str | None = None, quote: str | None = None, header: bool | None = None) -> Dialect:
    """The dialect of a sample that holds whole lines (but perhaps half of a quoted cell at its end).

    What is given is not guessed. Raises `Fault`: `delimiter_invalid`, `too_many_columns`.
    """
    if delimiter is not None:
        checked_delimiter(delimiter)
    lines = list(io.StringIO(text, newline=""))  # not splitlines(): that splits at form feeds and the like, too
    skip = next((number for number, line in enumerate(lines) if line.strip("\r\n")), 0)
    lines = lines[skip:]
    best, quoting = _separators(lines, delimiter, quote)
    rows, _ = _rows(lines, best, quoting)
    named = has_header(rows) if header is None else header
    width = len(rows[0]) if rows else 1
    if width > MAX_COLUMNS:
        raise Fault("too_many_columns", columns=width, limit=MAX_COLUMNS)
    cells = rows[0] if named else [""] * width
    body = rows[1 if named else 0 :][: max(20, TYPED_CELLS // width)]
    types = (values.narrowed(row[position] for row in body if position < len(row)) for position in range(width))
    plain = not skip and not any("\n" in cell or "\r" in cell for cell in rows[0]) if rows else True
    least = max(0, len(rows) - named - 1)  # the last one may be cut off
    return Dialect(best, quoting, named, tuple(unique_names(cells)), tuple(types), skip, plain, least)


def checked_delimiter(delimiter: str) -> str:
    """One character that no value is made of. Raises `Fault('delimiter_invalid')`."""
    if len(delimiter) != 1 or delimiter.isalnum() or delimiter in "\r\n\0\"'.-+_" or not delimiter.isascii():
        raise Fault("delimiter_invalid")
    return delimiter


def _separators(lines: list[str], delimiter: str | None, quote: str | None) -> tuple[str, str]:
    quoting = QUOTE if quote is None else quote
    choices = DELIMITERS if delimiter is None else (delimiter,)
    fits = {choice: _fit(lines, choice, quoting) for choice in choices}
    fitting = [choice for choice in choices if fits[choice][0] == 1]
    sense = {choice: _sense(lines, choice, quoting) if len(fitting) > 1 else (0.0, 0.0) for choice in choices}
    best = max(choices, key=lambda choice: (fits[choice][0], sense[choice], fits[choice][1], -choices.index(choice)))
    if quote is None and best == "\t" and _fit(lines, best, QUOTE)[0] < 1 and _fit(lines, best, "")[0] == 1:
        quoting = ""  # tab-separated files know no quoting, so a stray quote is a character like any other
    return best, quoting


def unique_names(cells: Iterable[str]) -> list[str]:
    """Column names, unique also when case is ignored: empty ones become column1 …, repeated ones get _2, _3 …"""
    names: list[str] = []
    taken: set[str] = set()
    counts: dict[str, int] = {}  # of those that were alike: thousands may be
    for position, cell in enumerate(cells, start=1):
        base = " ".join(cell.replace("\0", " ").split())[:NAME_CHARS] or f"column{position}"
        name, count = base, counts.get(base.lower(), 1)
        while name.lower() in taken:
            count += 1
            name = f"{base}_{count}"
        counts[base.lower()] = count
        taken.add(name.lower())
        names.append(name)
    return names


def _fit(lines: list[str], delimiter: str, quote: str) -> tuple[float, int]:
    """The share of rows as wide as the first, and that width; a single column fits worst of all."""
    rows, readable = _rows(lines, delimiter, quote)
    width = len(rows[0]) if rows else 1
    if width < 2:
        return 0.0, 1
    same = sum(len(row) == width or (len(row) == width + 1 and not row[-1]) for row in rows)
    return same / (len(rows) + (not readable)), width


def _sense(lines: list[str], delimiter: str, quote: str) -> tuple[float, float]:
    """Where several fit, as in "Lee, Ann;7" and "1,5;2,5": the share of columns with values of one kind (numbers with a
    comma, too), and that of columns whose cells do not begin with a blank.
    """
    rows, _ = _rows(lines, delimiter, quote, most=50)
    columns = list(zip(*(row for row in rows[1:] or rows if len(row) >= len(rows[0])), strict=False)) or [("",)]
    typed = sum(all(_is_typed(cell) for cell in column) for column in columns)
    clean = sum(not any(cell.startswith(" ") for cell in column) for column in columns)
    return typed / len(columns), clean / len(columns)


def _is_typed(cell: str) -> bool:
    return bool(values.kind_of(cell) or _COMMA.fullmatch(cell.strip()))


def _rows(lines: list[str], delimiter: str, quote: str, most: int = 500) -> tuple[list[list[str]], bool]:
    """The first rows without blank lines, up to one whose quotes are broken, and whether there was none."""
    rows: list[list[str]] = []
    try:
        for row in reader(lines, delimiter, quote):
            if row:
                rows.append(row)
            if len(rows) == most:
                break
    except csv.Error:
        return rows or [next(csv.reader(lines[:1], delimiter=delimiter))], False
    return rows, True


def has_header(rows: list[list[str]]) -> bool:
    """Whether the first row names the columns: it does unless it looks like the rows below.

    A column of numbers or dates speaks for a header if its first cell is of another kind, against it if it is of that
    one; years over what are none are names (as in tables by the World Bank).
    """
    first, below = rows[0], rows[1:]
    if not below:
        return not any(values.kind_of(cell) for cell in first)
    columns = [[row[n] for row in below[:100] if n < len(row) and row[n].strip()] for n in range(len(first))]
    typed = [n for n, cell in enumerate(first) if values.kind_of(cell)]
    years = [n for n in typed if _YEAR.fullmatch(first[n].strip())]
    if years and years == typed and not any(all(map(_YEAR.fullmatch, columns[n])) for n in years):
        named = [first[n].strip() for n in years]
        if named == sorted(set(named)) and all(values.kind_of(cell) for n in years for cell in columns[n]):
            return True
    votes = 0
    for cell, column in zip(first, columns, strict=True):
        kinds = {_family(value) for value in column}
        if kinds and None not in kinds and cell.strip():
            votes += -1 if _family(cell) in kinds else 1
    return votes > 0 or (votes == 0 and not typed)


def _family(cell: str) -> str | None:
    """The kind of a cell, whole numbers and others being one."""
    kind = values.kind_of(cell)
    return "number" if kind in ("BIGINT", "DECIMAL(38,0)", "DOUBLE") else kind
