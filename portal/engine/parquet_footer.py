"""What the footer of a Parquet file tells: its columns as they were written, and how much there is to read."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import duckdb

from portal.engine import database
from portal.engine.stop import Stop
from portal.engine.values import literal
from portal.errors import Fault

DIGITS_MAX = 38  # of a decimal in DuckDB, which makes a double of more
_IN_STREAMS = ("FLOAT", "DOUBLE", "INT32", "INT64")  # the types whose bytes DuckDB reads in streams

_Element: TypeAlias = tuple[Any, ...]


@dataclass
class Field:
    """A column of the table, with what is nested in it; `unread` is what of it DuckDB cannot read, or reads wrongly."""

    name: str
    leaves: list[int] = field(default_factory=list)
    repeated: set[int] = field(default_factory=set)
    has_int96: bool = False
    is_half: bool = False
    unread: str = ""


@dataclass(frozen=True)
class Footer:
    """`bytes` counts a byte at least for each cell; `most_text` is how long texts are if each page holds one alone, for
    all rows."""

    fields: list[Field]
    rows: int
    bytes: int
    most_text: int

    @property
    def has_int96(self) -> bool:
        return any(each.has_int96 for each in self.fields)


def read(connection: duckdb.DuckDBPyConnection, source: Path, stop: Stop) -> Footer:
    """The footer. Raises what DuckDB raises, and `Fault`: `parquet_not_supported`; `parquet_corrupt` where it tells of
    other numbers of rows in different places."""
    file = literal(str(source))
    elements = database.run(
        connection,
        "SELECT name, type, num_children, repetition_type, precision, "
        f"concat(logical_type, ' ', converted_type) FROM parquet_schema({file})",
        stop,
    )
    fields = _fields(elements)
    flat = [leaf for each in fields for leaf in each.leaves if leaf not in each.repeated]
    size, values, most_text, group_rows, uneven, streams = database.run(
        connection,
        "SELECT coalesce(sum(total_uncompressed_size), 0), coalesce(sum(num_values), 0), "
        "coalesce(sum(num_values::HUGEINT * total_uncompressed_size) FILTER (type = 'BYTE_ARRAY'), 0), "
        "coalesce(sum(row_group_num_rows) FILTER (column_id = 0), 0), "
        f"count(*) FILTER (num_values <> row_group_num_rows AND list_contains({flat}::BIGINT[], column_id)), "
        f"list(DISTINCT column_id) FILTER (encodings LIKE '%BYTE_STREAM_SPLIT%' AND type NOT IN {_IN_STREAMS}) "
        f"FROM parquet_metadata({file})",
        stop,
    )[0]
    for each in fields:
        if set(each.leaves) & set(streams or []):
            each.unread = each.unread or "BYTE_STREAM_SPLIT"
        if each.unread:
            raise Fault("parquet_not_supported", what=each.unread, column=each.name)
    rows = int(database.run(connection, f"SELECT num_rows FROM parquet_file_metadata({file})", stop)[0][0])
    if rows not in (group_rows, 0) or uneven:  # some writers leave it 0
        raise Fault("parquet_corrupt")
    return Footer(fields, int(group_rows), max(int(size), int(values)), int(most_text))


def _fields(elements: list[_Element]) -> list[Field]:
    """The columns, from the list that the schema is: each element is followed by its children, the root comes first."""
    fields, following, leaves = [], iter(elements[1:]), iter(range(len(elements)))
    for element in following:
        fields.append(Field(element[0]))
        _add(fields[-1], element, following, leaves, is_repeated=False)
    return fields


def _add(
    column: Field, element: _Element, following: Iterator[_Element], leaves: Iterator[int], *, is_repeated: bool
) -> None:
    _, kind, count, repetition, digits, meaning = element
    is_repeated = is_repeated or repetition == "REPEATED"
    if not count:
        leaf = next(leaves)
        column.leaves.append(leaf)
        column.repeated |= {leaf} if is_repeated else set()
        column.has_int96 = column.has_int96 or kind == "INT96"
        column.is_half = "Float16" in meaning
        if "DECIMAL" in meaning.upper() and (digits or 0) > DIGITS_MAX:
            column.unread = f"DECIMAL({digits})"
        return
    for child in itertools.islice(following, count):
        if child[2] == 1 and ("MAP" in meaning.split() or "MapType" in meaning):
            column.unread = "MAP of keys alone"
        _add(column, child, following, leaves, is_repeated=is_repeated)
