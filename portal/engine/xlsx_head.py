"""Where the table of a sheet begins: titles, units and the heads of reports stand above it, mostly in merged cells."""

from collections.abc import Sequence

from portal.engine.csv_dialect import has_header
from portal.engine.xlsx_cells import Row
from portal.engine.xlsx_columns import shown
from portal.engine.xlsx_serials import Kind

LOOKED = 20  # rows in which a header may come late
_JUDGED = 50_000  # cells that tell whether the first row is a header


def rows_above(rows: Sequence[Row]) -> int:
    """How many of the first rows are none of the table's: each fills little of its width, and a row of names follows.

    Of a table of two columns, where half a row is as good as a title, only if what is below those names is no text.
    """
    width = max((len(row.cells) for row in rows), default=0)
    first = min((min(row.cells, default=0) for row in rows), default=0)
    if width < 2:
        return 0
    for above, row in enumerate(rows[:LOOKED]):
        if _is_names(row, width):
            is_sure = width > 2 or (rows[above + 1 :] and _is_typed(rows[above + 1 :]))
            return above if is_sure else 0
        if not _is_title(row, width, first):
            return 0
    return 0


def is_named(rows: Sequence[Row], width: int) -> bool:
    """Whether the first of these rows names the columns."""
    some = rows[: max(2, _JUDGED // width)]
    return has_header([shown([row.cells.get(place) for place in range(max(row.cells, default=0) + 1)]) for row in some])


def _is_names(row: Row, width: int) -> bool:
    return (
        2 * len(row.cells) > width and len(row.cells) > 1 and all(kind == Kind.TEXT for kind, _ in row.cells.values())
    )


def _is_title(row: Row, width: int, first: int) -> bool:
    kinds = {kind for kind, _ in row.cells.values()}
    if len(row.cells) == 1:
        return kinds == {Kind.TEXT} and (first in row.cells or width > 3)
    return 0 < 3 * len(row.cells) <= width and Kind.TEXT in kinds


def _is_typed(rows: Sequence[Row]) -> bool:
    return any(kind != Kind.TEXT for row in rows for kind, _ in row.cells.values())
