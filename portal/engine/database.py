"""DuckDB for one piece of work: bounded memory, no files but those it is given, and a query that can be stopped."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import duckdb

from portal.engine.stop import Stop
from portal.engine.values import literal
from portal.errors import Fault

Tick: TypeAlias = Callable[[float], object]

TICK_SECONDS = 0.2
MAX_SPILL = "8GiB"


@contextmanager
def opened(
    *,
    memory_mb: int,
    threads: int,
    files: Sequence[Path] = (),
    folder: Path | None = None,
    optimizers_off: Sequence[str] = (),
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection that can touch `files` and what is in `folder` (also where it spills to), and nothing else."""
    connection = duckdb.connect(
        config={
            "memory_limit": f"{memory_mb}MB",
            "threads": threads,
            "temp_directory": str(folder / "spill") if folder else "",
            "max_temp_directory_size": MAX_SPILL,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "allow_community_extensions": False,
            "allow_persistent_secrets": False,
        }
    )
    try:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("SET enable_progress_bar = true")
        connection.execute("SET enable_progress_bar_print = false")
        connection.execute("SET parquet_metadata_cache = true")
        connection.execute(f"SET allowed_paths = [{', '.join(literal(str(file)) for file in files)}]")
        if folder:
            connection.execute(f"SET allowed_directories = [{literal(f'{folder}/')}]")
        connection.execute(f"SET disabled_optimizers = {literal(','.join(optimizers_off))}")
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        yield connection
    finally:
        connection.close()


@contextmanager
def disk_limits() -> Iterator[None]:
    """A full disk, or a full share of it, becomes `Fault('disk_full')`."""
    try:
        yield
    except duckdb.IOException as problem:
        if is_full(problem):
            raise Fault("disk_full", passing=True) from problem
        raise


def is_full(problem: Exception) -> bool:
    """Whether it is the disk's fault, and not the file's."""
    return "No space left" in str(problem) or "quota exceeded" in str(problem)


def run(
    connection: duckdb.DuckDBPyConnection,
    sql: str,
    stop: Stop,
    tick: Tick | None = None,
    values: Sequence[Any] = (),
) -> list[tuple[Any, ...]]:
    """The rows of a query. It runs in a thread of its own, so that this one can stop it and report how far it is.

    `tick` is called in the caller's thread with the share that is done, 0 to 1; what it raises ends the query.
    `values` are bound. Raises `Stopped` or what DuckDB raises.
    """
    with stop.interrupting(connection.interrupt), ThreadPoolExecutor(1, thread_name_prefix="query") as pool:
        query = pool.submit(lambda: connection.execute(sql, list(values)).fetchall())
        try:
            while not wait([query], TICK_SECONDS).done:
                stop.check()
                if tick:
                    tick(max(0.0, connection.query_progress()) / 100)
        finally:
            # An interrupt that comes before the query has begun is lost, hence the repetition.
            while not wait([query], TICK_SECONDS).done:
                connection.interrupt()
        return query.result()
