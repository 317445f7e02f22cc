"""The rows of a Parquet file, as a look shows them."""

from pathlib import Path
from typing import Any

import duckdb

from portal.engine.columns import Column, readable
from portal.engine.look import look


def columns_of(path: Path) -> list[Column]:
    with duckdb.connect() as connection:
        connection.execute("FROM read_parquet(?) LIMIT 0", [str(path)])
        return [Column(entry[0], readable(entry[1])) for entry in connection.description or []]


def first_rows(path: Path, limit: int, offset: int = 0) -> list[list[Any]]:
    try:
        columns = columns_of(path)
    except duckdb.Error:
        columns = [Column("a", "text")]
    return look(path, columns, limit=limit, offset=offset, cell_chars=10**6).rows
