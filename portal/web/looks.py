"""A look at rows, as the address of its page says it: conditions, order, place."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from flask_babel import lazy_gettext

from portal import limits
from portal.engine.columns import Column
from portal.engine.query import Condition, Sort, conditions_from, sort_from
from portal.errors import Fault, Invalid
from portal.models import Dataset
from portal.services import datasets

_ = lazy_gettext

ROWS, COLUMNS, CONDITIONS = 50, 60, 5
WORDS = {
    "eq": _("is"),
    "ne": _("is not"),
    "lt": _("is less than"),
    "le": _("is at most"),
    "gt": _("is greater than"),
    "ge": _("is at least"),
    "contains": _("contains"),
    "starts_with": _("starts with"),
    "in": _("is one of (separated by commas)"),
    "is_null": _("is empty"),
    "not_null": _("is not empty"),
}


def is_nested(type_: str) -> bool:
    """Whether the cells of a column of this type hold several values each."""
    return Column("", type_).is_nested


def asked(args: Any) -> list[tuple[str, str, str]]:
    """Column, comparison and value of each condition, as they were typed; a value alone is asked of no column."""
    found = [tuple(args.get(f"{letter}{n}", "") for letter in "cov") for n in range(1, CONDITIONS + 1)]
    return [(column, op, value) for column, op, value in found if column or value]


def conditions(args: Any) -> list[dict[str, Any]]:
    """The same as programs send them."""
    return [{"column": column, "op": op, "value": _value(op, value)} for column, op, value in asked(args)]


def _value(op: str, text: str) -> Any:
    if op in ("is_null", "not_null"):
        return None
    return [part.strip() for part in text.split(",")] if op == "in" else text


@dataclass(frozen=True)
class LookPage:
    """Rows of a dataset as a page shows them; `error` says what was wrong with what was asked. A `short` page leaves
    out rows that would make it too large."""

    dataset: Dataset
    asked: list[tuple[str, str, str]]
    sort: Sequence[Sort]
    offset: int
    first_column: int
    rows: list[list[Any]] | None
    total: int
    error: Invalid | None = None
    short: bool = False

    @property
    def columns(self) -> list[dict[str, Any]]:
        """Those that fit on a page of rows."""
        return self.dataset.columns[self.first_column : self.first_column + COLUMNS]

    @property
    def more_columns(self) -> bool:
        return self.first_column + COLUMNS < len(self.dataset.columns)

    @property
    def page_offset(self) -> int | None:
        """Where the page of rows begins on which the row at `offset` is."""
        return self.offset // ROWS * ROWS or None

    @property
    def last_offset(self) -> int:
        return max(0, (self.total - 1) // ROWS * ROWS)

    def direction(self, name: str) -> str:
        """`ascending`, `descending` or `none`, as aria-sort says it."""
        by = next((each for each in self.sort if each.column == name), None)
        return "none" if by is None else "descending" if by.descending else "ascending"

    def address(self, **changed: Any) -> str:
        """The query of the same look with something changed; None leaves it out."""
        return _query(self._params() | changed)

    def sorted_by(self, name: str) -> str:
        """The query that a click on a column's head leads to: rising, falling, as in the file."""
        following = {"none": name, "ascending": f"-{name}", "descending": None}[self.direction(name)]
        return self.address(sort=following, offset=None)

    def _params(self) -> dict[str, Any]:
        params: dict[str, Any] = {}
        for n, condition in enumerate(self.asked, 1):
            params |= dict(zip((f"c{n}", f"o{n}", f"v{n}"), condition, strict=True))
        by = self.sort[0] if self.sort else None
        params["sort"] = by and ("-" if by.descending else "") + by.column
        return params | {"offset": self.offset or None, "from": self.first_column or None}


def _query(params: Mapping[str, Any]) -> str:
    return urlencode({name: value for name, value in params.items() if value is not None})


def page(dataset: Dataset, args: Any) -> LookPage:
    """The rows the address asks for. Raises `Unavailable`; what cannot be asked is said on the page."""
    return _look(dataset, args, rows=ROWS, columns=COLUMNS, cell_chars=limits.CELL_CHARS)


def row(dataset: Dataset, args: Any) -> LookPage:
    """The row at the address's offset, with all that is in it. Raises as `page` does."""
    return _look(dataset, args, rows=1, columns=None, cell_chars=limits.CELL_CHARS_ALONE)


def _look(dataset: Dataset, args: Any, *, rows: int, columns: int | None, cell_chars: int) -> LookPage:
    typed, known = asked(args), datasets.columns_of(dataset)
    offset = max(0, args.get("offset", 0, type=int))
    first = max(0, min(args.get("from", 0, type=int), len(known) - 1))
    names = [column.name for column in known[first : first + columns]] if columns else []
    sort = sort_from([text for text in args.getlist("sort")[:1] if text], known)
    try:
        where: tuple[Condition, ...] = conditions_from(conditions(args))
        found = datasets.rows(
            dataset,
            where=where,
            sort=sort,
            names=names,
            offset=offset,
            limit=rows,
            cell_chars=cell_chars,
            as_texts=True,
        )
    except (Fault, Invalid) as error:
        wrong = error if isinstance(error, Invalid) else Invalid(error.code, **error.params)
        valid = [each for each in sort if each.column in {column.name for column in known}]
        return LookPage(dataset, typed, valid, 0, first, None, 0, wrong)
    total = dataset.rows if found.matching is None else found.matching
    return LookPage(dataset, typed, sort, offset, first, found.rows, total, short=found.short)
