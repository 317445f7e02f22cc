"""Pages of a list, by key: the last page costs what the first does."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import Select, tuple_

from portal import limits
from portal.extensions import db

Row = TypeVar("Row")
_HIGHEST = 2**63 - 1


@dataclass(frozen=True)
class Page(Generic[Row]):
    """Rows, newest first; `next_cursor` is what to pass for the page after this one, None on the last."""

    items: Sequence[Row]
    next_cursor: int | None


def page(
    query: Select[Row],
    model: Any,
    *,
    key: Any = None,
    of: tuple[Any, int] | None = None,
    cursor: int | None,
    limit: int = limits.PAGE_SIZE,
) -> Page[Row]:
    """The rows of `query` with a key (the id, if none is named) below the cursor; `of`: a column and its value.

    There must be an index on that column and the key, both rising: as one range of it, near the end too. Asked for the
    value and a small key apart, PostgreSQL at times walks the key's own index through everybody's rows.
    """
    key = model.id if key is None else key
    below = _HIGHEST if cursor is None else cursor
    if of is None:
        query = query.where(key < below).order_by(key.desc())
    else:
        column, value = of
        place = tuple_(column, key)
        query = query.where(place < (value, below), place >= (value, 0)).order_by(column.desc(), key.desc())
    rows: list[Any] = list(db.session.scalars(query.limit(limit + 1)))
    return Page(rows[:limit], getattr(rows[limit - 1], key.key) if len(rows) > limit else None)
