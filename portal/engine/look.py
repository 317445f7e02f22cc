"""Some rows of a Parquet file, filtered and sorted, as JSON can carry them. Cheap enough for the web process."""

import base64
import datetime as dt
import decimal
import json
import math
import threading
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
from duckdb.sqltypes import DuckDBPyType

from portal.engine import database, parquet_rows, shown
from portal.engine.columns import Column, children
from portal.engine.query import Condition, Sort, order_sql, where_sql
from portal.engine.values import identifier
from portal.errors import Fault

MEMORY_MB, THREADS = 128, 2
AMPLE_MB = 320  # with one thread, for rows too wide for that: each of a thousand columns has vectors of its own
AT_ONCE, PATIENCE = 2, 5.0  # looks in one process, and the seconds that one waits for its turn
_WORDS = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}  # as JavaScript and Python's JSON write them

_turns = threading.BoundedSemaphore(AT_ONCE)


@dataclass(frozen=True)
class Look:
    """`matching` is how many rows fit the conditions, None where there are none."""

    rows: list[list[Any]]
    matching: int | None


def look(
    path: Path,
    columns: Sequence[Column],
    *,
    where: Sequence[Condition] = (),
    sort: Sequence[Sort] = (),
    names: Sequence[str] = (),
    offset: int = 0,
    limit: int = 50,
    seconds: float = 5.0,
    cell_chars: int | None = None,
) -> Look:
    """Up to `limit` rows from `offset` on, of the columns `names` (else all), in the file's order unless sorted.

    Dates and times are ISO 8601, decimals text, bytes base64; NaN, Infinity and -Infinity are texts, as JSON has none.
    With `cell_chars` texts longer than that are cut, and so are nested values, which are JSON texts then. Raises
    `Fault`: what `query` raises, `file_missing`, `look_too_slow`, `look_too_large`, `look_busy`.
    """
    condition, values = where_sql(where, columns)
    order = order_sql(sort, columns)
    chosen = [column for column in columns if not names or column.name in names]
    source = parquet_rows.relation(path)
    rows = source
    if order:  # ties, too, stand in one order, or pages would repeat some rows and leave out others
        rows, place = parquet_rows.numbered(path, columns)
        order += f", {place}"
    query = (
        f"SELECT {', '.join(_shown(column, cell_chars) for column in chosen)} "
        f"FROM (FROM {rows} {condition} {order} LIMIT {int(limit)} OFFSET {int(offset)})"
    )
    counting = f"SELECT count(*) FROM {source} {condition}" if condition else ""
    with _turn():
        for memory_mb, threads in ((MEMORY_MB, THREADS), (AMPLE_MB, 1)):
            with _opened(path, memory_mb, threads, seconds) as connection, suppress(duckdb.OutOfMemoryException):
                return _looked(connection, query, counting, values)
    raise Fault("look_too_large")


def _looked(connection: duckdb.DuckDBPyConnection, query: str, counting: str, values: Sequence[Any]) -> Look:
    counted = connection.execute(counting, values).fetchone() if counting else None
    rows = connection.execute(query, values).fetchall()
    kinds = [entry[1] for entry in connection.description or []]
    plain = [[_plain(value, kind) for value, kind in zip(row, kinds, strict=True)] for row in rows]
    return Look(plain, int(counted[0]) if counted else None)


def _shown(column: Column, cell_chars: int | None) -> str:
    cell = identifier(column.name)
    if cell_chars is None or not (column.type == "text" or column.is_nested):
        return cell
    most, text = int(cell_chars), (shown.text(column) if column.is_nested else cell)
    return f"CASE WHEN length({text}) > {most} THEN left({text}, {most}) || '…' ELSE {text} END AS {cell}"


@contextmanager
def _turn() -> Iterator[None]:
    if not _turns.acquire(timeout=PATIENCE):
        raise Fault("look_busy", passing=True)
    try:
        yield
    finally:
        _turns.release()


@contextmanager
def _opened(path: Path, memory_mb: int, threads: int, seconds: float) -> Iterator[duckdb.DuckDBPyConnection]:
    try:
        with (
            database.opened(memory_mb=memory_mb, threads=threads, files=[path]) as connection,
            _interrupted_after(seconds, connection),
        ):
            yield connection
    except duckdb.InterruptException:
        raise Fault("look_too_slow") from None
    except duckdb.Error as problem:
        raise Fault("file_missing", passing=True) from problem


@contextmanager
def _interrupted_after(seconds: float, connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    done = threading.Event()

    def watch() -> None:
        pause = seconds
        while not done.wait(pause):
            connection.interrupt()
            pause = 0.02  # one that comes between two queries is lost

    watching = threading.Thread(target=watch, daemon=True)
    watching.start()
    try:
        yield
    finally:
        done.set()
        watching.join()


def _plain(value: Any, kind: DuckDBPyType) -> Any:
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
            return [_plain(item, inner) for item in value]
        case dict() if kind.id == "struct":
            return {name: _plain(value[name], inner) for name, inner in children(kind)}
        case _:
            return value


def _float(said: str) -> float | str:
    """What is too large for a double stays as it was written."""
    return number if math.isfinite(number := float(said)) else said
