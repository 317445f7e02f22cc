"""Which row names the columns of a table, and which rows above it are no part of it: a title, a report's head."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from portal.engine import values

Row = Sequence[str]

JUDGED, JUDGED_CELLS = 100, 50_000  # below the first row
HEAD_ROWS = 30  # that a report's head has at most

# How it was found, for people: see `found` of a dataset.
SAID, KINDS, NUMBERS, TEXTS, ALIKE, ALONE = "said", "kinds", "numbers", "texts", "alike", "alone"

_MISSING = {"na", "n/a", "#n/a", "nan", "null", "(null)", "none", "nil", "-", "--", "?", ".", "\\n"}
_YEAR = re.compile(r"(?:19|20)[0-9]{2}")
_WHOLE = re.compile(r"[0-9]{1,9}")
_NUMBER = re.compile(
    r"[-+(]?[$€£¥￥]? ?[0-9]{1,3}(?:[,.' \u00a0\u202f][0-9]{3})*(?:[.,][0-9]+)? ?[%‰$€£¥元]?\)?"
    r"|[-+]?[0-9]+(?:[.,][0-9]+)?%?"
)
_DATE = re.compile(
    r"(?:[0-9]{1,4}[./-][0-9]{1,2}[./-][0-9]{1,4}|[0-9]{4}年[0-9]{1,2}月(?:[0-9]{1,2}日)?"
    r"|[0-9]{1,2}[- .]*[A-Za-z]{3,9}[- .,]*[0-9]{2,4}|[A-Za-z]{3,9}\.? [0-9]{1,2},? [0-9]{4})"
    r"(?:[T ,]+[0-9]{1,2}:[0-9]{2}.*)?"
)
_TIME = re.compile(r"[0-9]{1,2}:[0-9]{2}(?::[0-9]{2}(?:[.,][0-9]+)?)?(?: ?[AaPp]\.?[Mm]\.?)?")
_COMMENT = ("#", "//", "%", "--", "!")
_LABEL = re.compile(r".{1,40}(?:：|: |:$).*", re.DOTALL)
_TITLE = re.compile(r".*(?:\s|[:：0-9]|[\u3000-\u9fff]{4}).*|.{21,}", re.DOTALL)


@dataclass(frozen=True)
class Verdict:
    """Whether the first row names the columns, and by what that was found: `kinds` (names over numbers or dates),
    `numbers` (years and the like that are names), `texts` (all is text, so it is a guess), `alike` (it looks like the
    rows below), `alone` (there are none)."""

    named: bool
    by: str


def has_header(rows: Sequence[Row]) -> bool:
    """Whether the first row names the columns: it does unless it looks like the rows below."""
    return judged(rows).named


def judged(rows: Sequence[Row]) -> Verdict:
    """Look at the first row, of one or more: does it name the columns?"""
    first = rows[0]
    below = [row for row in rows[1 : max(5, min(JUDGED, JUDGED_CELLS // max(1, len(first)))) + 1] if row != first]
    families = [_family(cell) for cell in first]
    typed = [place for place, family in enumerate(families) if family]
    if not below:
        years = all(_YEAR.fullmatch(first[place].strip()) for place in typed)
        return Verdict(not typed or (years and 2 * len(typed) < len(first)), ALONE)
    columns = [_Column([row[place].strip() for row in below if place < len(row)]) for place in range(len(first))]
    votes = [_vote(*each) for each in zip(first, families, columns, strict=True)]
    if typed and _are_names(first, columns, typed, sum(votes) - sum(votes[place] for place in typed)):
        return Verdict(True, NUMBERS)
    if _is_proved(first, families, columns) or sum(votes) > 0:
        return Verdict(True, KINDS)
    if sum(votes) == 0 and not typed:
        return Verdict(True, TEXTS)
    return Verdict(False, ALIKE)


class _Column:
    """The cells below the first row that hold something, and of which kinds they are."""

    def __init__(self, cells: Sequence[str]) -> None:
        self.cells = [cell for cell in cells if not _is_blank(cell)]
        self.kinds = {_family(cell) for cell in self.cells}


def above(rows: Sequence[Row], *, least: int = 2) -> int:
    """How many of the first rows are a report's head: titles, sentences, labels and comments over a table that is
    wider than they are filled, and that begins with names or has `least` columns and more."""
    width = usual_width(rows)
    most = 0
    while most < min(HEAD_ROWS, len(rows) - 1) and width > 1 and _is_head(rows[most], rows[most + 1], width):
        most += 1
    return next((count for count in range(most, 0, -1) if _begins_at(rows, count, width, least)), 0)


def usual_width(rows: Sequence[Row]) -> int:
    """Of so many cells most rows are; of the wider ones where there are as many of both."""
    counts = Counter(len(row) for row in rows)
    return max(counts, key=lambda width: (counts[width], width)) if counts else 1


def _begins_at(rows: Sequence[Row], count: int, width: int, least: int) -> bool:
    """Whether a table may begin behind so many rows of a head."""
    heads, table = rows[:count], rows[count : count + JUDGED]
    names = [cell.strip() for cell in table[0] if cell.strip()]
    are_short = all(len(row) < width for row in heads)
    if len(table) < 2 or abs(len(table[0]) - width) > 1 or len(names) <= width // 2 or len(names) < 2:
        return False
    verdict = judged(table)
    if _are_sentences(table) and are_short:
        return False
    if verdict.named and verdict.by in (KINDS, NUMBERS):
        return True
    if verdict.named:
        is_title = any(_TITLE.fullmatch(cell.strip()) for row in heads for cell in row if cell.strip())
        return len(set(names)) == len(names) and (are_short or (is_title and any(map(_is_padded, heads))))
    return are_short and width >= least and all(len(row) == width for row in table)


def _is_head(row: Row, following: Row, width: int) -> bool:
    filled = [cell.strip() for cell in row if cell.strip()]
    if len(filled) <= 1:
        return not filled or not _family(filled[0]) or len(row) < width
    if filled[0].startswith(_COMMENT) or len(filled) <= width // 2:
        return True
    if len(row) < width:
        return all(_LABEL.fullmatch(cell) for cell in filled)
    spaced = all(cell.startswith(" ") for cell in row[1:]) and any(" " in cell for cell in filled)
    return spaced and not any(cell.startswith(" ") for cell in following)


def _is_padded(row: Row) -> bool:
    return sum(bool(cell.strip()) for cell in row) <= len(row) // 2


def _are_sentences(rows: Sequence[Row]) -> bool:
    """Whether what would be cells are parts of sentences: behind most commas stands a blank."""
    later = [cell for row in rows for cell in row[1:]]
    return 2 * sum(cell.startswith(" ") and not _family(cell) for cell in later) > len(later)


def _vote(cell: str, family: str | None, column: _Column) -> int:
    """1 if a cell looks like a name over its column, -1 if it looks like one of it."""
    cell = cell.strip()
    if _is_blank(cell) or not column.cells:
        return 0
    if None not in column.kinds:
        return -1 if family in column.kinds else 1
    if cell in column.cells:
        return -1
    is_code = len(cell) > 3 and "9" in _mask(cell) and len(column.cells) > 1
    return -1 if is_code and {_mask(value) for value in column.cells} == {_mask(cell)} else 0


def _are_names(first: Row, columns: Sequence[_Column], typed: Sequence[int], other_votes: int) -> bool:
    """Whether the numbers in a first row are names: years that do not go on below, 0, 1, 2 …, or numbers over texts."""
    names = [first[place].strip() for place in typed]
    if len(set(names)) < len(names) or other_votes < 0 or not all(map(_WHOLE.fullmatch, names)):
        return False
    below = [columns[place].cells for place in typed]
    if all(map(_YEAR.fullmatch, names)):
        return all(2 * sum(bool(_YEAR.fullmatch(cell)) for cell in cells) <= len(cells) for cells in below)
    if any(name in cells for name, cells in zip(names, below, strict=True)):
        return False
    if len(names) > 2 and names[0] in ("0", "1") and _counts_on(names):
        return not _counts_on([cells[0] if cells else "" for cells in below])
    return all(cells and not any(char.isdigit() for char in "".join(cells)) for cells in below)


def _counts_on(cells: Sequence[str]) -> bool:
    """Whether each is a whole number and greater by one than that before, as in 1, 2, 3 or 4, 5, 6."""
    if not all(map(_WHOLE.fullmatch, cells)):
        return False
    return [int(cell) for cell in cells] == list(range(int(cells[0]), int(cells[0]) + len(cells)))


def _is_proved(first: Row, families: Sequence[str | None], columns: Sequence[_Column]) -> bool:
    """Whether a word stands over nothing but numbers or dates: then numbers beside it are names, too."""
    names = [cell.strip() for cell, family in zip(first, families, strict=True) if family]
    if len(set(names)) < len(names) or not all(map(_WHOLE.fullmatch, names)):
        return False
    return any(
        len(column.cells) > 1 and None not in column.kinds and not family and _is_word(cell)
        for cell, family, column in zip(first, families, columns, strict=True)
    )


def _is_word(cell: str) -> bool:
    return not _is_blank(cell) and cell.strip()[0].isalpha()


def _family(cell: str) -> str | None:
    """number, date, time or boolean; None for text and for what stands for nothing."""
    cell = cell.strip()
    if _is_blank(cell):
        return None
    kind = values.kind_of(cell)
    if kind in ("BIGINT", "DECIMAL(38,0)", "DOUBLE") or _NUMBER.fullmatch(cell):
        return "number"
    if kind == "BOOLEAN":
        return "boolean"
    if kind or _DATE.fullmatch(cell):
        return "date"
    return "time" if _TIME.fullmatch(cell) else None


def _is_blank(cell: str) -> bool:
    return not cell.strip() or cell.strip().lower() in _MISSING


def _mask(cell: str) -> str:
    """Digits as 9, letters as a: codes such as AA-1 and AB-2 look the same."""
    return re.sub(r"[^\W\d_]", "a", re.sub(r"[0-9]", "9", cell))
