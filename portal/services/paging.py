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
    cursor: int | None,
    limit: int = limits.PAGE_SIZE,
) -> Page[Row]:
    """The rows of `query` with an id below the cursor."""
    if cursor is not None:
        query = query.where(model.id < cursor)
    rows: list[Any] = list(db.session.scalars(query.order_by(model.id.desc()).limit(limit + 1)))
    return Page(rows[:limit], rows[limit - 1].id if len(rows) > limit else None)
