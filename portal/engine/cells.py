"""Cells of a look: cut where they are too long, before anything of them is copied, and as JSON can carry them."""

import base64
import datetime as dt
import decimal
import json
import math
import uuid
from collections.abc import Iterator, Sequence
from typing import Any

import duckdb
from duckdb.sqltypes import DuckDBPyType

from portal.engine import shown
from portal.engine.columns import Column, children
from portal.engine.values import identifier, literal

# Of a nested value that is written as JSON at all, perhaps to be cut: that takes memory which DuckDB counts nowhere.
NESTED_BYTES = 64 * 1024
NESTED_PARTS = 200  # of a type: its values are measured part by part
UNWRITTEN = "…"  # no JSON, so no value of its own reads so
_WORDS = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}  # as JavaScript and Python's JSON write them


class Cell:
    """How a column's values are asked for, cut to `chars` characters, and told from those that are whole.

    Nested values are JSON texts if `as_texts`, and texts where they are cut.
    """

    def __init__(self, column: Column, kind: DuckDBPyType | None, chars: int, *, as_texts: bool) -> None:
        self.name, self._chars, self._nested = column.name, chars, column.is_nested
        self._pair = column.is_nested and not as_texts
        cell = identifier(column.name)
        if column.is_nested:
            longer, cut = _nested(column, kind, chars)
            whole = shown.text(column) if as_texts else cell
            self.sql = f"CASE WHEN {longer} THEN {cut} ELSE {whole} END"
            if self._pair:
                self.sql = f"CASE WHEN NOT ({longer}) THEN {cell} END, CASE WHEN {longer} THEN {cut} END"
        elif column.type == "text":
            self.sql = f"left({cell}, {chars + 1})"
        elif column.type == "blob":
            self.sql = f"array_slice({cell}, 1, {chars + 1})"
        else:
            self.sql = cell

    def taken(self, values: Iterator[tuple[Any, DuckDBPyType]]) -> tuple[Any, bool]:
        """The next value as JSON has it, and whether it is cut."""
        value, kind = next(values)
        if self._pair:
            cut, _ = next(values)
            if cut is None:
                return plain(value, kind), False
            value = cut
        if isinstance(value, str) and len(value) > self._chars:
            return f"{value[: self._chars]}…", True
        if isinstance(value, bytes) and len(value) > self._chars:
            return plain(value[: self._chars], kind), True
        return plain(value, kind), self._nested and value == UNWRITTEN


def cells_of(
    connection: duckdb.DuckDBPyConnection, source: str, columns: Sequence[Column], chars: int, *, as_texts: bool
) -> list[Cell]:
    """The cells of these columns of a relation."""
    kinds: dict[str, DuckDBPyType] = {}
    if any(column.is_nested for column in columns):
        connection.execute(f"FROM {source} LIMIT 0")
        kinds = {entry[0]: entry[1] for entry in connection.description or []}
    return [Cell(column, kinds.get(column.name), chars, as_texts=as_texts) for column in columns]


def _longer(text: str, chars: int) -> str:
    return f"strlen({text}) > {chars} AND length({text}) > {chars}"  # bytes are known, characters are counted


def _cut(text: str, chars: int) -> str:
    """One character more than is shown, by which it is told from a whole one."""
    return f"left({text}, {chars + 1})"


def _nested(column: Column, kind: DuckDBPyType | None, chars: int) -> tuple[str, str]:
    """Whether a nested value is too long to be whole, and what is shown of it then, as SQL."""
    cell = identifier(column.name)
    if column.type == "json":
        text = f"CAST({cell} AS VARCHAR)"
        return f"({_longer(text, chars)})", _cut(text, chars)
    parts = [NESTED_PARTS]
    size = _size(cell, kind, parts) if kind else None
    if size is None:
        return f"{cell} IS NOT NULL", f"'{UNWRITTEN}'"
    heavy, text = f"{size} > {NESTED_BYTES}", shown.json_text(cell)
    return (
        f"(CASE WHEN {heavy} THEN true ELSE {_longer(text, chars)} END)",
        f"CASE WHEN {heavy} THEN '{UNWRITTEN}' ELSE {_cut(text, chars)} END",
    )


def _size(cell: str, kind: DuckDBPyType, parts: list[int]) -> str | None:
    """About how many bytes a value takes as JSON, without writing it; None for a type of too many parts."""
    parts[0] -= 1
    if parts[0] < 0:
        return None
    match kind.id:
        case "varchar" | "json":
            return f"coalesce(strlen(CAST({cell} AS VARCHAR)), 0)"
        case "blob":
            return f"coalesce(octet_length({cell}), 0)"
        case "list":
            return _sum(cell, children(kind)[0][1], parts)
        case "map":
            (_, key), (_, value) = children(kind)
            return _both([_sum(f"map_keys({cell})", key, parts), _sum(f"map_values({cell})", value, parts)])
        case "struct":
            return _both(
                [_size(f"struct_extract({cell}, {literal(name)})", child, parts) for name, child in children(kind)]
            )
        case "array" | "union":
            return None
        case _:
            return "16"


def _sum(cell: str, kind: DuckDBPyType, parts: list[int]) -> str | None:
    name = f"x{parts[0]}"
    each = _size(name, kind, parts)
    return each and f"coalesce(list_sum(list_transform({cell}, lambda {name}: {each})), 0)"


def _both(sizes: Sequence[str | None]) -> str | None:
    known = [size for size in sizes if size is not None]
    return f"({' + '.join(known)})" if len(known) == len(sizes) and known else None


def plain(value: Any, kind: DuckDBPyType) -> Any:
    """The value as JSON has it."""
    match value:
        case str() if str(kind) == "JSON":
            return json.loads(value, parse_constant=str, parse_float=_float)
        case float():
            return value if math.isfinite(value) else _WORDS[str(value)]
        case dt.datetime() | dt.date() | dt.time():
            return value.isoformat().replace("+00:00", "Z")
        case decimal.Decimal() | uuid.UUID() | dt.timedelta():
            return str(value)
        case bytes():
            return base64.b64encode(value).decode("ascii")
        case list() | tuple():
            inner = children(kind)[0][1]
            return [plain(item, inner) for item in value]
        case dict() if kind.id == "struct":
            return {name: plain(value[name], inner) for name, inner in children(kind)}
        case _:
            return value


def _float(said: str) -> float | str:
    """What is too large for a double stays as it was written."""
    return number if math.isfinite(number := float(said)) else said
