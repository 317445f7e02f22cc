"""How a CSV file is written: delimiter, quote, header. Decided here, so that DuckDB cannot fit a broken file
by choosing an odd dialect."""

import csv
import io
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from portal.engine import header as headers
from portal.engine import values
from portal.engine.reading import Reading
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
_UNQUOTED = ("\t", "|")  # separate cells in files that often know no quoting
_TOLD_LINES, _TOLD_CHARS = 5, 120  # of those left out at the top
_SEP_LINE = re.compile(r'"?sep=(.?)"?[,;\t |]*', re.IGNORECASE)  # Excel is told the delimiter by it
_SELDOM = 0.5  # with no more rows as wide as the first, that is no part of the table
_HEAD_LINES = 500  # in which one looks for its end
_COMMA = re.compile(r"-?[0-9.]+,[0-9]+")

# The default of 128 KiB refuses honest long texts; the limit is one for the process.
csv.field_size_limit(2 * LONGEST_LINE)


@dataclass(frozen=True)
class Dialect:
    """`names` are unique and not empty, `types` what the first rows leave possible for each of them;
    `skip` counts the lines in front of the table, of which `above` are the first that hold something; `quote` is '"'
    or ''; `rows` there are at least. How it was found whether there is a `header` says `header_by`.

    Where it is not `plain` DuckDB may miss rows: it looks for line ends such as the first, in whatever line that is.
    With `spaced` quoted cells have blanks in front of them. `quote` may be none after all if that `may_be_bare`.
    """

    delimiter: str
    quote: str
    header: bool
    names: tuple[str, ...]
    types: tuple[tuple[Type, ...], ...]
    skip: int
    plain: bool = True
    rows: int = 0
    header_by: str = headers.SAID
    above: tuple[str, ...] = ()
    spaced: bool = False
    may_be_bare: bool = False


@dataclass(frozen=True)
class _Cut:
    """How lines are cut into cells."""

    delimiter: str
    quote: str
    spaced: bool = False

    def reader(self, lines: Iterable[str], *, strict: bool = True) -> "Reader":
        return reader(lines, self.delimiter, self.quote, spaced=self.spaced, strict=strict)


def reader(lines: Iterable[str], delimiter: str, quote: str, *, spaced: bool = False, strict: bool = True) -> "Reader":
    """Rows of cells; raises `csv.Error` where quotes are broken, if `strict`. Its `line_num` counts physical lines."""
    if quote:
        return csv.reader(lines, delimiter=delimiter, quotechar=quote, strict=strict, skipinitialspace=spaced)
    return csv.reader(lines, delimiter=delimiter, quoting=csv.QUOTE_NONE, strict=strict)


def guess(text: str, reading: Reading = Reading(), *, delimiter: str | None = None) -> Dialect:  # noqa: B008  # it cannot change
    """The dialect of a sample that holds whole lines (but perhaps half of a quoted cell at its end).

    What is said in `reading` is not guessed. Raises `Fault`: `delimiter_invalid`, `too_many_columns`,
    `lines_skipped_all`.
    """
    if delimiter is not None:
        checked_delimiter(delimiter)
    whole = list(io.StringIO(text, newline=""))  # not splitlines(): that splits at form feeds and the like, too
    skip, told = _said_start(whole, reading)
    if told and delimiter is None:
        delimiter = told
    lines = _without_footer(whole[skip:], reading.footer_rows)
    is_said = reading.skip_rows is not None or reading.header_row is not None
    cut, start = _separators(lines, delimiter, reading.quote, find_start=not is_said)
    skip, lines = skip + start, lines[start:]
    rows, _ = _rows(lines, cut)
    named = bool(reading.header_row) if reading.header is None else reading.header
    by = headers.SAID
    if reading.header is None and not reading.header_row and rows:
        verdict = headers.judged(rows)
        named, by = verdict.named, verdict.by
    width = len(rows[0]) if rows else 1
    if width > MAX_COLUMNS:
        raise Fault("too_many_columns", columns=width, limit=MAX_COLUMNS)
    cells = rows[0] if named and rows else [""] * width
    body = rows[1 if named else 0 :][: max(20, TYPED_CELLS // width)]
    narrowed = (values.narrowed(row[position] for row in body if position < len(row)) for position in range(width))
    types = tuple(values.TYPES for _ in range(width)) if reading.footer_rows else tuple(narrowed)
    filled = [line for line in whole[:skip] if line.strip()]
    return Dialect(
        delimiter=cut.delimiter,
        quote=cut.quote,
        header=named,
        names=tuple(unique_names(cells)),
        types=types,
        skip=skip,
        plain=_is_plain(whole[:skip], rows) and not cut.spaced and not reading.footer_rows,
        rows=max(0, len(rows) - named - 1),  # the last one may be cut off
        header_by=by,
        above=tuple(" ".join(line.split())[:_TOLD_CHARS] for line in filled[:_TOLD_LINES]),
        spaced=cut.spaced,
        may_be_bare=reading.quote is None and cut.delimiter in _UNQUOTED and not _has_quoted_cells(lines, cut),
    )


def _said_start(lines: list[str], reading: Reading) -> tuple[int, str | None]:
    """How many lines are left out before one looks for the table, and the delimiter that a line `sep=;` names."""
    said = reading.header_row - 1 if reading.header_row else reading.skip_rows
    if said and not any(line.strip() for line in lines[said:]):
        raise Fault("lines_skipped_all", lines=len(lines))
    skip = next((number for number, line in enumerate(lines[said or 0 :], start=said or 0) if line.strip("\r\n")), 0)
    found = _SEP_LINE.fullmatch(lines[skip].strip("\r\n")) if said is None and lines else None
    if found is None:
        return skip, None
    after = next((number for number, line in enumerate(lines) if number > skip and line.strip("\r\n")), None)
    if after is None:
        return skip, None
    try:
        return after, checked_delimiter(found[1])
    except Fault:
        return after, None


def _without_footer(lines: list[str], count: int) -> list[str]:
    """Without so many of the last lines that hold anything."""
    end = len(lines)
    for _ in range(count):
        end = next((number for number in range(end - 1, 0, -1) if lines[number].strip()), end)
    return lines[:end]


def _is_plain(before: list[str], rows: list[list[str]]) -> bool:
    if any("\n" in cell or "\r" in cell for cell in rows[0]) if rows else False:
        return False
    return not before


def checked_delimiter(delimiter: str) -> str:
    """One character that no value is made of. Raises `Fault('delimiter_invalid')`."""
    if len(delimiter) != 1 or delimiter.isalnum() or delimiter in "\r\n\0\"'.-+_" or not delimiter.isascii():
        raise Fault("delimiter_invalid")
    return delimiter


def _separators(lines: list[str], delimiter: str | None, quote: str | None, *, find_start: bool) -> tuple[_Cut, int]:
    """How the lines are cut, and how many in front are no part of the table."""
    quoting = QUOTE if quote is None else quote
    choices = [_Cut(choice, quoting) for choice in (DELIMITERS if delimiter is None else (delimiter,))]
    cut = _best(lines, choices)
    start = 0
    if find_start and _fit(lines, cut)[0] <= _SELDOM:
        starts = {choice: _start(lines, choice) for choice in choices}
        behind = {choice: _fit(lines[begin:], choice) for choice, begin in starts.items() if begin}
        other = max(behind, key=lambda choice: behind[choice], default=cut)
        if behind and behind[other][0] > _SELDOM:
            cut, start = other, starts[other]
    elif find_start:
        start = _start(lines, cut)
    table = lines[start:]
    bare, spaced = _Cut(cut.delimiter, ""), _Cut(cut.delimiter, cut.quote, spaced=True)
    if quote is None and cut.delimiter in _UNQUOTED and _fit(table, cut)[0] < 1 and _fit(table, bare)[0] == 1:
        return bare, start  # tab-separated files know no quoting, so a stray quote is a character like any other
    if cut.quote and _has_spaced_quotes(table, cut) and _fit(table, spaced)[0] == 1:
        return spaced, start
    return cut, start


def _best(lines: list[str], choices: list[_Cut]) -> _Cut:
    fits = {choice: _fit(lines, choice) for choice in choices}
    fitting = [choice for choice in choices if fits[choice][0] == 1]
    sense = {choice: _sense(lines, choice) if len(fitting) > 1 else (0.0, 0.0) for choice in choices}
    return max(choices, key=lambda choice: (fits[choice][0], sense[choice], fits[choice][1], -choices.index(choice)))


def _start(lines: list[str], cut: _Cut) -> int:
    """The number of the line in which the table begins, behind a report's head."""
    rows: list[list[str]] = []
    begins: list[int] = []
    found = cut.reader(lines[:_HEAD_LINES], strict=False)
    begin = 0
    try:
        for row in found:
            if row:
                rows.append(row)
                begins.append(begin)
            begin = found.line_num
    except csv.Error:
        pass
    # Numbers with commas may stand in one column, below its name, but not in quotes.
    is_sure = cut.delimiter != "," or any('","' in line for line in lines[:_HEAD_LINES])
    count = headers.above(rows, least=2 if is_sure else 3) if rows else 0
    return begins[count] if count else 0


def _has_quoted_cells(lines: list[str], cut: _Cut) -> bool:
    """Whether a cell begins and ends with quotation marks in one line, or none is looked for."""
    bare = _Cut(cut.delimiter, "")
    for line in lines[:_HEAD_LINES] if cut.quote else ():
        try:
            if cut.quote in line and next(cut.reader([line])) != next(bare.reader([line])):
                return True
        except csv.Error:
            continue
    return not cut.quote


def _has_spaced_quotes(lines: list[str], cut: _Cut) -> bool:
    """Whether a quotation mark that belongs to no quoted cell stands behind a delimiter and blanks."""
    return any(
        cell.startswith(" ") and cell.lstrip(" ").startswith(cut.quote) for row in _rows(lines, cut)[0] for cell in row
    ) or any(re.search(f"{re.escape(cut.delimiter)} +{cut.quote}", line) for line in lines[:1])


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


def _fit(lines: list[str], cut: _Cut) -> tuple[float, int]:
    """The share of rows as wide as the first, and that width; a single column fits worst of all."""
    rows, readable = _rows(lines, cut)
    width = len(rows[0]) if rows else 1
    if width < 2:
        return 0.0, 1
    same = sum(len(row) == width or (len(row) == width + 1 and not row[-1]) for row in rows)
    return same / (len(rows) + (not readable)), width


def _sense(lines: list[str], cut: _Cut) -> tuple[float, float]:
    """Where several fit, as in "Lee, Ann;7" and "1,5;2,5": the share of columns with values of one kind (numbers with a
    comma, too), and that of columns whose cells do not begin with a blank.
    """
    rows, _ = _rows(lines, cut, most=50)
    columns = list(zip(*(row for row in rows[1:] or rows if len(row) >= len(rows[0])), strict=False)) or [("",)]
    typed = sum(all(_is_typed(cell) for cell in column) for column in columns)
    clean = sum(not any(cell.startswith(" ") for cell in column) for column in columns)
    return typed / len(columns), clean / len(columns)


def _is_typed(cell: str) -> bool:
    return bool(values.kind_of(cell) or _COMMA.fullmatch(cell.strip()))


def _rows(lines: list[str], cut: _Cut, most: int = 500) -> tuple[list[list[str]], bool]:
    """The first rows without blank lines, up to one whose quotes are broken, and whether there was none."""
    rows: list[list[str]] = []
    try:
        for row in cut.reader(lines):
            if row:
                rows.append(row)
            if len(rows) == most:
                break
    except csv.Error:
        return rows or [next(csv.reader(lines[:1], delimiter=cut.delimiter))], False
    return rows, True
