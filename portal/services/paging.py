"""Pages of a list, by key: the last page costs what the first does."""

import json
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import Select, tuple_

from portal import limits
from portal.extensions import db

Row = TypeVar("Row")
_HIGHEST = 2**63 - 1
_AT_ONCE = 25  # rows that come together where they may be large: most pages have no more


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
    size: Callable[[Any], int] | None = None,
) -> Page[Row]:
    """The rows of `query` with a key (the id, if none is named) below the cursor; `of`: a column and its value.

    A page ends early where its rows have `PAGE_BYTES`, as `size` counts them in each; without it, they cannot.

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
    query = query.limit(limit + 1)
    if size:
        query = query.execution_options(yield_per=_AT_ONCE)
    rows: list[Any] = []
    held = 0
    with closing(db.session.scalars(query)) as found:
        for row in found:
            held += size(row) if size else 0
            if rows and (len(rows) == limit or held > limits.PAGE_BYTES):
                return Page(rows, getattr(rows[-1], key.key))
            rows.append(row)
    return Page(rows, None)


def json_bytes(value: Any) -> int:
    """How many it takes in an answer, at the least."""
    return len(json.dumps(value, ensure_ascii=False, default=str).encode(errors="replace"))
