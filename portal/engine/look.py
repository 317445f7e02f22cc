"""Some rows of a Parquet file, filtered and sorted, as JSON can carry them. Cheap enough for the web process."""

import json
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import duckdb

from portal.engine import database, parquet_rows
from portal.engine.cells import Cell, cells_of
from portal.engine.columns import Column
from portal.engine.query import Condition, Sort, order_sql, where_sql
from portal.errors import Fault

ANSWER_BYTES = 4 * 1024**2  # of all rows of a look, as JSON; the first one is always among them
CELL_CHARS, CELL_BYTES = 20_000, 12  # a text that is whole; what a cell of any other kind counts for


@dataclass(frozen=True)
class _Attempt:
    """`cut_early`: cells are cut before rows are sorted and counted off, which takes more time and less memory."""

    memory_mb: int
    threads: int
    cut_early: bool = False


# What a look may hold; more with one thread, for rows too wide: each of a thousand columns has vectors of its own.
_ATTEMPTS = (
    _Attempt(64, 1),
    _Attempt(64, 1, cut_early=True),
    _Attempt(320, 1),
    _Attempt(320, 1, cut_early=True),
)
NEAR_ROWS = 20_000  # from the beginning: on the way to them, what is left out can be read
EARLY_CHARS = 2000  # a sort holds thousands of rows, whatever the limit is


@dataclass(frozen=True)
class Look:
    """`rows` are lists of values, or JSON arrays if that was asked for. `matching` is how many rows fit the conditions,
    None where there are none. `cut` are the columns in which a value was, and `short` says that rows that were asked
    for are left out: the answer would have been too large.
    """

    rows: list[Any]
    matching: int | None
    cut: list[str] = field(default_factory=list)
    short: bool = False


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
    cell_chars: int = CELL_CHARS,
    as_texts: bool = False,
    as_json: bool = False,
) -> Look:
    """Up to `limit` rows from `offset` on, of the columns `names` (else all), in the file's order unless sorted.

    Dates and times are ISO 8601, decimals text, bytes base64; NaN, Infinity and -Infinity are texts, as JSON has none.
    Texts of more than `cell_chars` (fewer in wide tables) are cut and end in "…", bytes are cut; nested values, which
    are JSON texts if `as_texts`, are cut as their JSON text is. With `as_json` each row is an array in UTF-8.

    Raises `Fault`: what `query` raises, `file_missing`, `look_too_slow`, `look_too_large`.
    """
    condition, values = where_sql(where, columns)
    order = order_sql(sort, columns)
    chosen = [column for column in columns if not names or column.name in names]
    source = parquet_rows.relation(path)
    rows = source
    if order:  # ties, too, stand in one order, or pages would repeat some rows and leave out others
        rows, place = parquet_rows.numbered(path, columns)
        order += f", {place}"
    # One row fits into an answer, whatever is in it.
    most = max(1, min(cell_chars, ANSWER_BYTES // (6 * len(chosen))))
    wanted = f"{rows} {condition} {order} LIMIT {int(limit)} OFFSET {int(offset)}"
    counting = f"SELECT count(*) FROM {source} {condition}" if condition else ""
    until = time.monotonic() + seconds
    are_near = not order and not condition and offset < NEAR_ROWS
    are_near = are_near and not any(column.is_nested for column in chosen)  # to measure those takes memory, too
    for attempt in _ATTEMPTS:
        cut_early = attempt.cut_early or are_near
        with (
            _opened(path, attempt, until - time.monotonic(), fetch_late=not cut_early) as connection,
            suppress(duckdb.OutOfMemoryException),
        ):
            counted = connection.execute(counting, values).fetchone() if counting else None
            chars = min(most, EARLY_CHARS) if attempt.cut_early else most
            cells = cells_of(connection, source, chosen, chars, as_texts=as_texts)
            relation = wanted if cut_early else f"(FROM {wanted})"
            found = connection.execute(f"SELECT {', '.join(cell.sql for cell in cells)} FROM {relation}", values)
            taken = _looked(found, cells, int(counted[0]) if counted else None)
            if not as_json:
                return taken
            return replace(taken, rows=[json.dumps(row, ensure_ascii=False).encode() for row in taken.rows])
    raise Fault("look_too_large")


def _looked(found: duckdb.DuckDBPyConnection, cells: Sequence[Cell], matching: int | None) -> Look:
    """As many rows as an answer holds; the others are never made."""
    kinds = [entry[1] for entry in found.description or []]
    rows: list[list[Any]] = []
    cut: dict[str, None] = {}
    size = 0
    while row := found.fetchone():
        values, plain = zip(row, kinds, strict=True), []
        for cell in cells:
            value, is_cut = cell.taken(values)
            plain.append(value)
            size += _bytes(value)
            if is_cut:
                cut[cell.name] = None
        if rows and size > ANSWER_BYTES:
            return Look(rows, matching, list(cut), short=True)
        rows.append(plain)
    return Look(rows, matching, list(cut))


def _bytes(value: Any) -> int:
    """About as many as it takes in JSON, at the least `CELL_BYTES`: many short ones, too, are work."""
    if isinstance(value, str):
        return CELL_BYTES + (len(value) if value.isascii() and value.isprintable() else _json_bytes(value))
    return CELL_BYTES + (_json_bytes(value) if isinstance(value, dict | list) else 0)


def _json_bytes(value: Any) -> int:
    return len(json.dumps(value, ensure_ascii=False).encode(errors="replace"))


@contextmanager
def _opened(path: Path, attempt: _Attempt, seconds: float, *, fetch_late: bool) -> Iterator[duckdb.DuckDBPyConnection]:
    """With `fetch_late` whole rows are fetched once it is known which: less to read, and more to hold."""
    off = () if fetch_late else ("late_materialization",)
    try:
        with (
            database.opened(
                memory_mb=attempt.memory_mb, threads=attempt.threads, files=[path], optimizers_off=off
            ) as connection,
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
