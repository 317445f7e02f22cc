"""Where the table of a sheet begins, and whether its first row names the columns: decided as for texts."""

from collections.abc import Sequence

from portal.engine import header
from portal.engine.header import Verdict
from portal.engine.xlsx_cells import Row
from portal.engine.xlsx_columns import text_of
from portal.engine.xlsx_serials import Kind

_UNNAMED = 3  # columns that a table without names has below a title: of two one may lack its name


def rows_above(rows: Sequence[Row]) -> int:
    """How many of the first rows are none of the table's: titles, units and the like, mostly in merged cells."""
    width = max((_width(row) for row in rows), default=0)
    if count := header.above(_texts(rows, width), least=_UNNAMED):
        return count
    *titles, last = rows  # a title, and names that nothing follows
    are_titles = all(len(row.cells) == 1 and _width(row) < width for row in titles)
    are_names = width > 1 and len(last.cells) == width and all(kind == Kind.TEXT for kind, _ in last.cells.values())
    return len(titles) if are_titles and are_names else 0


def judged(rows: Sequence[Row]) -> Verdict:
    """Whether the first of these rows names the columns."""
    if not rows[0].cells:  # errors alone
        return Verdict(False, header.ALIKE)
    width = max(_width(row) for row in rows)
    some = rows[: max(2, header.JUDGED_CELLS // max(1, width))]
    return header.judged(_texts(some, width))


def _texts(rows: Sequence[Row], width: int) -> list[list[str]]:
    """Rows that are filled by half, or to their end, are as long as the sheet is wide: what they lack is at their end
    by chance."""
    texts = []
    for row in rows:
        length = width if 2 * len(row.cells) > width else _width(row)
        texts.append([text_of(row.cells[n]) if n in row.cells else "" for n in range(length)])
    return texts


def _width(row: Row) -> int:
    return max(row.cells, default=-1) + 1
