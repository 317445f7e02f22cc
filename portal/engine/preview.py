"""The first rows of a Parquet file, as JSON can carry them. Cheap enough for the web process."""

import base64
import datetime as dt
import decimal
import json
import math
import uuid
from pathlib import Path
from typing import Any

import duckdb
from duckdb.sqltypes import DuckDBPyType

from portal.engine import database
from portal.engine.columns import children
from portal.engine.values import literal
from portal.errors import Fault

MEMORY_MB = 64


def first_rows(path: Path, limit: int, offset: int = 0) -> list[list[Any]]:
    """Up to `limit` rows from `offset` on, in the order of the file.

    Dates and times are ISO 8601, decimals text, bytes base64; NaN and the infinities are None, as JSON has none.
    Raises `Fault`, `file_missing`, if the file is not there or is no Parquet.
    """
    query = f"FROM read_parquet({literal(str(path))}) LIMIT {int(limit)} OFFSET {int(offset)}"
    try:
        with database.opened(memory_mb=MEMORY_MB, threads=1, files=[path]) as connection:
            rows = connection.execute(query).fetchall()
            kinds = [column[1] for column in connection.description or []]
    except duckdb.Error as problem:
        raise Fault("file_missing") from problem
    return [[_plain(value, kind) for value, kind in zip(row, kinds, strict=True)] for row in rows]


def _plain(value: Any, kind: DuckDBPyType) -> Any:
    match value:
        case str() if str(kind) == "JSON":
            return json.loads(value, parse_constant=lambda _: None)
        case float():
            return value if math.isfinite(value) else None
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
