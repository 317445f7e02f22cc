"""One JSON document becomes NDJSON: each element of its array on a line of its own, with just the values it had."""

import json
import re
from contextlib import suppress
from pathlib import Path

import duckdb

from portal.engine import database
from portal.engine.stop import Stop
from portal.engine.values import literal
from portal.errors import Fault

ELEMENT_BYTES = 8 * 1024**2  # the largest element; DuckDB reads in buffers of sixteen times that
LINES_MAX = 2  # an array of short numbers is written with more than it was
MEMORY_MB = (300, 900)  # the latter for elements of 200 KB and more; most of it is reserved and never touched
_PLACE = re.compile(r"in record/value (\d+)")
# An object is a row as it is; anything else becomes the only value of one.
_ROW = "CASE json_type({0}) WHEN 'OBJECT' THEN json({0}) ELSE json_object('value', {0}) END"


def to_ndjson(source: Path, target: Path, stop: Stop, *, work: Path, most: int, tick: database.Tick) -> None:
    """An array's elements, or those of the only array of objects in an object, or the object itself.

    Raises `Fault`: `json_broken` (with `line` in a small file; else `reason`, and `value`, which element it is),
    `rows_too_big`, `too_large` where the lines have more than LINES_MAX times `most` bytes.
    """

    def ticked(share: float) -> None:
        if target.exists() and target.stat().st_size > LINES_MAX * most:
            raise Fault("too_large", limit=most)
        tick(share)

    for memory_mb in MEMORY_MB:
        with (
            suppress(duckdb.OutOfMemoryException),
            database.opened(memory_mb=memory_mb, threads=1, files=[source, target], folder=work) as connection,
        ):
            _written(connection, source, target, stop, ticked)
            return ticked(1)
    raise Fault("rows_too_big")


def _written(
    connection: duckdb.DuckDBPyConnection, source: Path, target: Path, stop: Stop, tick: database.Tick
) -> None:
    try:
        query = _elements(connection, source, stop)
        to = f"{literal(str(target))} (FORMAT csv, HEADER false, QUOTE '', ESCAPE '', DELIMITER '\x01', NULLSTR '')"
        database.run(connection, f"COPY ({query}) TO {to}", stop, tick)
    except duckdb.InvalidInputException as problem:
        if "maximum_object_size" in str(problem):
            raise Fault("rows_too_big") from problem
        raise _broken(source, str(problem)) from problem
    if _first(source) == b"[" and _last(source) != b"]":  # DuckDB takes a comma for an end
        raise _broken(source, "")


def _elements(connection: duckdb.DuckDBPyConnection, source: Path, stop: Stop) -> str:
    if _first(source) == b"[":
        return f"SELECT {_ROW.format('json')} FROM {_read(source, 'array')}"
    whole = _read(source, "unstructured")
    pointer = "'/' || replace(replace(k, '~', '~0'), '/', '~1')"  # a path in dollars has wildcards
    names = (
        f"SELECT k FROM (SELECT json, unnest(json_keys(json)) AS k FROM {whole}) "
        f"WHERE json_type(json, {pointer}) = 'ARRAY' AND json_type(json, {pointer} || '/0') = 'OBJECT'"
    )
    arrays = [row[0] for row in database.run(connection, names, stop)]
    if len(arrays) != 1:
        return f"SELECT json(json) FROM {whole}"
    path = literal("/" + arrays[0].replace("~", "~0").replace("/", "~1"))
    elements = f"SELECT unnest(json_extract(json_extract(json, {path}), '$[*]')) AS element FROM {whole}"
    return f"SELECT {_ROW.format('element')} FROM ({elements})"


def _read(source: Path, format_: str) -> str:
    return (
        f"read_json({literal(str(source))}, format = '{format_}', records = false, columns = {{json: 'JSON'}}, "
        f"maximum_object_size = {ELEMENT_BYTES})"
    )


def _first(source: Path) -> bytes:
    with source.open("rb") as file:
        return file.read(65_536).lstrip(b"\xef\xbb\xbf \t\r\n")[:1]


def _last(source: Path) -> bytes:
    with source.open("rb") as file:
        file.seek(max(0, source.stat().st_size - 65_536))
        return file.read().rstrip(b" \t\r\n")[-1:]


def _broken(source: Path, message: str) -> Fault:
    if source.stat().st_size <= ELEMENT_BYTES:
        try:
            json.loads(source.read_text(encoding="utf-8-sig"))
        except json.JSONDecodeError as problem:
            return Fault("json_broken", line=problem.lineno)
        except (ValueError, RecursionError):
            return Fault("json_broken", line=1)
    if place := _PLACE.search(message):
        return Fault("json_broken", reason="value", value=int(place[1]))
    return Fault("json_broken", reason="cut")
