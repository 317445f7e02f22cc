"""A Parquet file becomes ours: the same rows in order, with types that every part of the portal knows."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import duckdb
from duckdb.sqltypes import DuckDBPyType

from portal.engine import database, parquet_rows
from portal.engine.columns import children
from portal.engine.csv_dialect import MAX_COLUMNS, unique_names
from portal.engine.stop import Stop
from portal.engine.values import identifier, literal
from portal.errors import Fault

_AS_THEY_ARE = {
    *("boolean", "tinyint", "smallint", "integer", "bigint", "utinyint", "usmallint", "uinteger", "float", "double"),
    *("decimal", "date", "time", "timestamp", "timestamp with time zone", "varchar", "list", "struct"),
}
_WHOLE = {"tinyint", "smallint", "integer", "utinyint", "usmallint", "uinteger"}
_LENGTHS = {"varchar": "strlen", "blob": "octet_length"}  # in bytes
_WIDE = {"hugeint", "uhugeint", "ubigint"}


def selection(
    connection: duckdb.DuckDBPyConnection, source: Path, stop: Stop, *, max_bytes: int
) -> Sequence[tuple[str, str]]:
    """Names and expressions of the columns to be read.

    Raises `Fault`: `too_many_columns`, `too_large` where the footer tells of more than `max_bytes`, counting a byte at
    least for each cell, or where texts are longer together: a page may hold one text for all rows.
    """
    read = parquet_rows.relation(source)
    connection.execute(f"FROM {read} LIMIT 0")
    found = [(entry[0], entry[1]) for entry in connection.description or []]
    if len(found) > MAX_COLUMNS:
        raise Fault("too_many_columns", columns=len(found), limit=MAX_COLUMNS)
    sizes = database.run(
        connection,
        f"FROM parquet_metadata({literal(str(source))}) "
        "SELECT coalesce(sum(total_uncompressed_size), 0), coalesce(sum(num_values), 0)",
        stop,
    )[0]
    texts = [f"{_LENGTHS[str(kind.id)]}({identifier(name)})" for name, kind in found if str(kind.id) in _LENGTHS]
    if max(int(sizes[0]), int(sizes[1])) > max_bytes or _texts_exceed(max_bytes, texts, connection, source, stop):
        raise Fault("too_large", limit=max_bytes)
    finer = _finer(
        [name for name, kind in found if str(kind.id) in ("timestamp_ns", "timestamptz_ns")], connection, read, stop
    )
    names = unique_names([name for name, _ in found])
    return [
        (name, f"CAST({identifier(own)} AS VARCHAR)" if own in finer else _expression(identifier(own), kind))
        for name, (own, kind) in zip(names, found, strict=True)
    ]


def _texts_exceed(
    max_bytes: int, lengths: Sequence[str], connection: duckdb.DuckDBPyConnection, source: Path, stop: Stop
) -> bool:
    most = (
        f"FROM parquet_metadata({literal(str(source))}) "
        "SELECT coalesce(sum(num_values::HUGEINT * total_uncompressed_size), 0) WHERE type = 'BYTE_ARRAY'"
    )
    if not lengths or int(database.run(connection, most, stop)[0][0]) <= max_bytes:
        return False
    sums = ", ".join(f"sum({length})" for length in lengths)  # terms of a sum would be nested too deeply
    summed = f"SELECT coalesce(list_sum([{sums}]), 0) FROM {parquet_rows.relation(source)}"
    return int(database.run(connection, summed, stop)[0][0]) > max_bytes


def _finer(names: Sequence[str], connection: duckdb.DuckDBPyConnection, read: str, stop: Stop) -> set[str]:
    """Columns with moments that microseconds cannot tell; most that count in nanoseconds have none."""
    if not names:
        return set()
    asked = ", ".join(f"coalesce(bool_or(epoch_ns({identifier(name)}) % 1000 <> 0), false)" for name in names)
    answers = database.run(connection, f"SELECT {asked} FROM {read}", stop)[0]
    return {name for name, is_finer in zip(names, answers, strict=True) if is_finer}


@contextmanager
def damage() -> Iterator[None]:
    """What DuckDB says of a file that it cannot read becomes `Fault`: `parquet_corrupt`, `parquet_encrypted`."""
    try:
        yield
    except (duckdb.OutOfMemoryException, duckdb.ParserException):  # the latter is a bug of ours, and no file's
        raise
    except (duckdb.Error, RuntimeError) as problem:  # the latter where even its message cannot be read
        if database.is_full(problem):
            raise
        raise Fault("parquet_encrypted" if "ncrypt" in str(problem) else "parquet_corrupt") from problem


def _expression(cell: str, kind: DuckDBPyType) -> str:
    name = str(kind.id)
    if str(kind) == "JSON":
        return cell
    if name in _WHOLE:
        return f"CAST({cell} AS BIGINT)"
    if name in _WIDE:
        return f"CAST({cell} AS DECIMAL(38,0))"
    if name == "float":  # as it is written: 0.1 and not 0.10000000149
        return f"CAST(CAST({cell} AS VARCHAR) AS DOUBLE)"
    if name == "timestamptz_ns":
        return f"CAST({cell} AS TIMESTAMPTZ)"
    if name.startswith("timestamp_"):
        return f"CAST({cell} AS TIMESTAMP)"
    if name == "blob":
        return f"base64({cell})"
    if name == "map":
        return f"to_json({cell})"
    if name in ("list", "struct", "array"):
        return cell if _is_plain(kind) else f"to_json({cell})"
    return cell if name in _AS_THEY_ARE else f"CAST({cell} AS VARCHAR)"


def _is_plain(kind: DuckDBPyType) -> bool:
    """Whether a nested value holds nothing but what JSON and our own types know."""
    if kind.id in ("list", "struct"):
        return all(_is_plain(child) for _, child in children(kind))
    return kind.id in _AS_THEY_ARE and kind.id not in ("float",)
