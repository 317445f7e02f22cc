"""Columns of a dataset, and the names of their types for people."""

from dataclasses import dataclass

from duckdb.sqltypes import DuckDBPyType

LISTS_TOLD = 8  # in one another
_READABLE = {
    "BIGINT": "integer",
    "UBIGINT": "integer",
    "DECIMAL(38,0)": "integer",
    "DOUBLE": "number",
    "VARCHAR": "text",
}


@dataclass(frozen=True)
class Column:
    """`type` is one of integer, number, text, boolean, date, timestamp, timestamp with time zone, json, struct,
    or a list of these (integer[])."""

    name: str
    type: str

    @property
    def is_nested(self) -> bool:
        """Whether its cells hold several values each."""
        return self.type in ("json", "struct") or self.type.endswith("]") or self.type.startswith(("map", "union"))


def readable(kind: DuckDBPyType, depth: int = LISTS_TOLD) -> str:
    """DuckDB's type in words for people; of lists deep in lists "…[]"."""
    if kind.id == "list":
        return f"{readable(children(kind)[0][1], depth - 1)}[]" if depth else "…[]"
    return "struct" if kind.id == "struct" else _READABLE.get(str(kind), str(kind).lower())


def children(kind: DuckDBPyType) -> list[tuple[str, DuckDBPyType]]:
    """What a struct or a list is made of."""
    return [(name, child) for name, child in kind.children if isinstance(child, DuckDBPyType)]
