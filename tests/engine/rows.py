"""A file becomes Parquet, and the rows of that, as a look shows them."""

from pathlib import Path
from typing import Any

import duckdb

from portal.engine.columns import Column, readable
from portal.engine.download import Limits
from portal.engine.fetch import Fetched, Local, to_parquet
from portal.engine.guard import Policy
from portal.engine.look import look
from portal.engine.meter import Meter
from portal.engine.reading import Reading
from portal.engine.stop import Stop


def fetched(path: Path, **said: Any) -> Fetched:
    """The file as a fetch makes it a dataset; `said` is what its owner says of it."""
    work = path.with_suffix(".work")
    work.mkdir()
    source = Local(path, path.name, path.stat().st_size, "")
    reading = Reading(**said)
    return to_parquet(source, work, reading=reading, policy=Policy(), limits=Limits(), stop=Stop(), meter=Meter())


def columns_of(path: Path) -> list[Column]:
    with duckdb.connect() as connection:
        connection.execute("FROM read_parquet(?) LIMIT 0", [str(path)])
        return [Column(entry[0], readable(entry[1])) for entry in connection.description or []]


def whole_rows(path: Path) -> list[list[Any]]:
    """All of them, as they stand in the file: looks cut what is large."""
    with duckdb.connect() as connection:
        return [list(row) for row in connection.execute("FROM read_parquet(?)", [str(path)]).fetchall()]


def first_rows(path: Path, limit: int, offset: int = 0) -> list[list[Any]]:
    try:
        columns = columns_of(path)
    except duckdb.Error:
        columns = [Column("a", "text")]
    return look(path, columns, limit=limit, offset=offset, cell_chars=10**6).rows
