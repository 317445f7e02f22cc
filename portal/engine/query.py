"""What a person asks of a table: conditions and an order. Never SQL: names are looked up, values are bound."""

import datetime as dt
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Context, Decimal, InvalidOperation
from typing import Any

from portal.engine import shown
from portal.engine.columns import Column
from portal.engine.values import identifier
from portal.errors import Fault

OPS = ("eq", "ne", "lt", "le", "gt", "ge", "contains", "starts_with", "in", "is_null", "not_null")
CONDITIONS_MAX, SORTS_MAX, LIST_MAX, TEXT_MAX = 20, 3, 100, 1000

_COMPARISONS = {"eq": "=", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}
_PARTS = {"contains": "contains", "starts_with": "starts_with"}
_NUMBER = re.compile(r"[-+]?(?:[0-9]{1,40}(?:\.[0-9]{0,40})?|\.[0-9]{1,40})(?:[eE][-+]?[0-9]{1,3})?")
_ALL = Context(prec=200)  # digits; what may be typed has fewer
_NOT_FINITE = {"nan", "inf", "-inf", "infinity", "-infinity"}


@dataclass(frozen=True)
class Condition:
    """`value` is a list for `in`, None for `is_null` and `not_null`."""

    column: str
    op: str
    value: Any = None


@dataclass(frozen=True)
class Sort:
    column: str
    descending: bool = False


def where_sql(where: Sequence[Condition], columns: Sequence[Column]) -> tuple[str, list[Any]]:
    """`WHERE …` and the values to bind, or "" when nothing is asked; all conditions must hold.

    `ne` holds for empty cells, too; `contains` and `starts_with` ignore case. Raises `Fault`: `column_unknown`,
    `condition_invalid` (with `column` and `reason`), `conditions_too_many`.
    """
    if len(where) > CONDITIONS_MAX:
        raise Fault("conditions_too_many", limit=CONDITIONS_MAX)
    known = {column.name: column for column in columns}
    parts: list[str] = []
    values: list[Any] = []
    for condition in where:
        sql, bound = _condition(condition, _known(known, condition.column))
        parts.append(sql)
        values += bound
    return (f"WHERE {' AND '.join(parts)}" if parts else ""), values


def order_sql(sort: Sequence[Sort], columns: Sequence[Column]) -> str:
    """`ORDER BY …` with empty cells last, or "". Raises `Fault`: `column_unknown`, `sort_invalid`."""
    if len(sort) > SORTS_MAX:
        raise Fault("sort_invalid", reason="too_many", limit=SORTS_MAX)
    known = {column.name: column for column in columns}
    parts = []
    for by in sort:
        if _known(known, by.column).is_nested:
            raise Fault("sort_invalid", reason="nested", column=by.column)
        parts.append(f"{identifier(by.column)} {'DESC' if by.descending else 'ASC'} NULLS LAST")
    return f"ORDER BY {', '.join(parts)}" if parts else ""


def conditions_from(value: Any) -> tuple[Condition, ...]:
    """Conditions as programs send them: `[{"column": …, "op": …, "value": …}]`. Raises `Fault('condition_invalid')`."""
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise Fault("condition_invalid", column=None, reason="shape")
    found = []
    for each in value:
        if not {"column", "op"} <= each.keys() <= {"column", "op", "value"} or not isinstance(each["column"], str):
            raise Fault("condition_invalid", column=None, reason="shape")
        if each["op"] not in OPS:
            raise Fault("condition_invalid", column=_shown(each["column"]), reason="op")
        found.append(Condition(each["column"], each["op"], each.get("value")))
    return tuple(found)


def sort_from(sort: Sequence[str], columns: Sequence[Column]) -> tuple[Sort, ...]:
    """Columns by name, with - before it for falling order; a column of just this name comes first."""
    names = {column.name for column in columns}
    return tuple(
        Sort(text) if text in names or not text.startswith("-") else Sort(text[1:], descending=True) for text in sort
    )


def _known(known: dict[str, Column], name: str) -> Column:
    if not name and name not in known:
        raise Fault("column_missing")
    if name not in known:
        raise Fault("column_unknown", column=_shown(name))
    return known[name]


def _shown(name: str) -> str:
    """As much of what was typed as an answer can carry."""
    return name[:100].encode("utf-8", "replace").decode()


def _condition(condition: Condition, column: Column) -> tuple[str, list[Any]]:
    cell, op, value = identifier(column.name), condition.op, condition.value
    if op in ("is_null", "not_null"):
        return f"{cell} IS {'NOT ' if op == 'not_null' else ''}NULL", []
    if op in _PARTS:
        if not isinstance(value, str | int | float) or isinstance(value, bool):
            raise _wrong(column, "text")
        part = _text(str(value), column)
        part = part.replace(" ", "T") if column.type.startswith("timestamp") else part
        return f"{_PARTS[op]}(lower({shown.text(column)}), lower(?))", [part]
    if op not in OPS:
        raise _wrong(column, "op")
    if column.is_nested:
        raise _wrong(column, "nested")
    if op == "in":
        if not isinstance(value, list) or not 0 < len(value) <= LIST_MAX:
            raise _wrong(column, "list")
        asked = [_typed(each, column) for each in value]
        bound = [_bound(each, column) for each in asked if _can_be(each, column)]
        return (f"{cell} IN ({', '.join(['?'] * len(bound))})" if bound else "false"), bound
    return _comparison(cell, op, _typed(value, column), column)


def _comparison(cell: str, op: str, value: Any, column: Column) -> tuple[str, list[Any]]:
    if not _can_be(value, column):
        if op in ("eq", "ne"):
            return ("false" if op == "eq" else "true"), []
        # Compared as what the column can hold: 1.5 lies between 1 and 2, and what is out of range beyond all.
        digits, scale = _digits(column)
        below = (value.scaleb(scale, _ALL).to_integral_value(ROUND_FLOOR, _ALL)).scaleb(-scale, _ALL)
        if abs(below) >= Decimal(10) ** (digits - scale):
            every = (op in ("lt", "le")) == (value > 0)
            return (f"{cell} IS NOT NULL" if every else "false"), []
        return f"{cell} {'<=' if op in ('lt', 'le') else '>'} ?", [_bound(below, column)]
    if op == "ne":
        return f"{cell} IS DISTINCT FROM ?", [_bound(value, column)]
    beyond = f" AND NOT isnan({cell})" if op in ("gt", "ge") and column.type == "number" else ""
    return f"{cell} {_COMPARISONS[op]} ?{beyond}", [_bound(value, column)]


def _digits(column: Column) -> tuple[int, int]:
    """How many digits a column of exact numbers holds, and how many of them behind the point."""
    if column.type == "integer":
        return 38, 0
    digits, _, scale = column.type.partition("(")[2].rstrip(")").partition(",")
    return int(digits), int(scale)


def _can_be(value: Any, column: Column) -> bool:
    """Whether a cell of the column can be just this: a fraction is no whole number."""
    if not isinstance(value, Decimal):
        return True
    digits, scale = _digits(column)
    moved = value.scaleb(scale, _ALL)
    return moved == moved.to_integral_value(context=_ALL) and abs(value) < Decimal(10) ** (digits - scale)


def _bound(value: Any, column: Column) -> Any:
    """As it is bound: a decimal with just the digits of the column."""
    if not isinstance(value, Decimal):
        return value
    _, scale = _digits(column)
    units = int(value.scaleb(scale, _ALL))
    return units if column.type == "integer" else Decimal(units).scaleb(-scale, _ALL)


def _typed(value: Any, column: Column) -> Any:
    """The value as the column has it. Raises `Fault('condition_invalid')` where it is none."""
    kind = column.type.partition("(")[0]
    read = _READERS.get(kind)
    if isinstance(value, bool) and kind != "boolean":
        raise _wrong(column, kind)
    if read is None:  # blob, interval and the like are compared as text
        return _text(str(value), column)
    if kind == "text" and not isinstance(value, str | int | float):
        raise _wrong(column, "text")
    try:
        return read(_text(str(value), column) if kind == "text" else value)
    except (ValueError, TypeError, ArithmeticError, InvalidOperation):
        raise _wrong(column, kind) from None


def _text(value: str, column: Column) -> str:
    if len(value) > TEXT_MAX or "\x00" in value or any("\ud800" <= char <= "\udfff" for char in value):
        raise _wrong(column, "text")
    return value


def _wrong(column: Column, reason: str) -> Fault:
    return Fault("condition_invalid", column=column.name[:100], reason=reason.replace(" ", "_"))


def _integer(value: Any) -> Any:
    number = _decimal(value)
    _number(number)  # what is beyond all numbers is none
    return int(number) if number == number.to_integral_value() and abs(number) < 10**38 else number


def _number(value: Any) -> float:
    if str(value).strip().lower() in _NOT_FINITE:
        return float(value)
    number = float(_decimal(value))
    if not math.isfinite(number):
        raise ValueError
    return number


def _decimal(value: Any) -> Decimal:
    text = str(value).strip()
    if not isinstance(value, str | int | float | Decimal) or not _NUMBER.fullmatch(text):
        raise ValueError
    return Decimal(text)


def _boolean(value: Any) -> bool:
    return ("false", "true").index(str(value).strip().lower()) == 1


def _date(value: Any) -> dt.date:
    return dt.date.fromisoformat(str(value).strip())


def _timestamp(value: Any) -> dt.datetime:
    moment = dt.datetime.fromisoformat(str(value).strip())
    return moment.astimezone(dt.UTC).replace(tzinfo=None) if moment.tzinfo else moment


def _zoned(value: Any) -> dt.datetime:
    moment = dt.datetime.fromisoformat(str(value).strip())
    return moment.astimezone(dt.UTC) if moment.tzinfo else moment.replace(tzinfo=dt.UTC)


_READERS: dict[str, Callable[[Any], Any]] = {
    "integer": _integer,
    "number": _number,
    "decimal": _decimal,
    "text": str,
    "boolean": _boolean,
    "date": _date,
    "time": lambda value: dt.time.fromisoformat(str(value).strip()),
    "timestamp": _timestamp,
    "timestamp with time zone": _zoned,
}
