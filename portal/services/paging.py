"""Pages of a list, by key: the last page costs what the first does."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import Select

from portal import limits
from portal.extensions import db

Row = TypeVar("Row")


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
    cursor: int | None,
    limit: int = limits.PAGE_SIZE,
) -> Page[Row]:
    """The rows of `query` with a key (the id, if none is named) below the cursor."""
    key = model.id if key is None else key
    if cursor is not None:
        query = query.where(key < cursor)
    rows: list[Any] = list(db.session.scalars(query.order_by(key.desc()).limit(limit + 1)))
    return Page(rows[:limit], getattr(rows[limit - 1], key.key) if len(rows) > limit else None)
