"""A Parquet file becomes ours: the same rows in order, with types that every part of the portal knows."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb
from duckdb.sqltypes import DuckDBPyType

from portal.engine import database, parquet_footer, parquet_values
from portal.engine.csv_dialect import MAX_COLUMNS, unique_names
from portal.engine.parquet_footer import Footer
from portal.engine.parquet_values import Doubt, Values
from portal.engine.stop import Stop
from portal.engine.values import literal
from portal.errors import Fault

SAMPLE_ROWS = 20_000  # most doubts are settled by them
# What DuckDB says of what it does not read, and what that is.
_NOT_SUPPORTED = {
    "Invalid JSON": "JSON that is none",
    "Unsupported compression": "compression",
    "LZO": "LZO",
    "MAP_KEY_VALUE requires": "MAP",
    "encoding is only supported": "encoding",
}
_LENGTHS = {"varchar": "strlen", "blob": "octet_length"}  # in bytes


@dataclass(frozen=True)
class Selection:
    """What to read: a relation; name, possible types of its text (none) and expression of each column. `rows` is how
    many the footer tells of; `converted`: which columns are kept otherwise than they stand there (`How`)."""

    relation: str
    columns: Sequence[tuple[str, tuple[()], str]]
    rows: int
    converted: Mapping[str, list[str]]

    def check(self, rows: int) -> None:
        """Raises `Fault`: `parquet_corrupt` where other than all rows were read."""
        if rows != self.rows:
            raise Fault("parquet_corrupt")


def selection(connection: duckdb.DuckDBPyConnection, source: Path, stop: Stop, *, max_bytes: int) -> Selection:
    """How the file is to be read.

    Raises `Fault`: `too_many_columns`, `too_large` where the footer tells of more than `max_bytes`, counting a byte at
    least for each cell, or where texts are longer together: a page may hold one text for all rows,
    and what `parquet_footer.read` raises.
    """
    footer = parquet_footer.read(connection, source, stop)
    if len(footer.fields) > MAX_COLUMNS:
        raise Fault("too_many_columns", columns=len(footer.fields), limit=MAX_COLUMNS)
    options = ", int96_as = 'TIMESTAMP_NS'" if footer.has_int96 else ""
    relation = _relation(source, len(footer.fields), options)
    kinds = _kinds(connection, relation)
    texts = [f"{_LENGTHS[str(kind.id)]}(c{at})" for at, kind in enumerate(kinds) if str(kind.id) in _LENGTHS]
    if footer.bytes > max_bytes or (
        footer.most_text > max_bytes and _text_bytes(texts, connection, relation, stop) > max_bytes
    ):
        raise Fault("too_large", limit=max_bytes)
    asked = [list(parquet_values.doubts(f"c{at}", kind)) for at, kind in enumerate(kinds)]
    true = _true(asked, connection, relation, stop)
    if footer.has_int96 and any(doubt.name == "beyond" for doubts in true for doubt in doubts):
        # Microseconds reach further, and such moments (the years 1 and 9999) are marks of no moment.
        relation = _relation(source, len(footer.fields), "")
        if any(doubt.name == "finer" for doubts in true for doubt in doubts):
            fine = next(at for at, doubts in enumerate(true) for doubt in doubts if doubt.name == "finer")
            raise Fault("parquet_not_supported", what="INT96", column=footer.fields[fine].name)
        kinds = _kinds(connection, relation)
        _check_int96(footer, kinds, connection, relation, stop)
    names = unique_names(field.name for field in footer.fields)
    columns, converted = list[tuple[str, tuple[()], str]](), dict[str, list[str]]()
    for at, (name, kind, doubts) in enumerate(zip(names, kinds, true, strict=True)):
        values = Values(frozenset((doubt.place, doubt.name) for doubt in doubts))
        half = footer.fields[at].is_half and kind.id == "float"
        columns.append((name, (), f"CAST(c{at} AS DOUBLE)" if half else values.read(f"c{at}", kind)))
        for how in dict.fromkeys(values.hows(kind)):
            converted.setdefault(how, []).append(name)
    return Selection(relation, columns, footer.rows, converted)


def _check_int96(
    footer: Footer, kinds: Sequence[DuckDBPyType], connection: duckdb.DuckDBPyConnection, relation: str, stop: Stop
) -> None:
    """Days that microseconds cannot count come out as any other day, most of them far from all calendars.

    Raises `Fault`: `parquet_not_supported`."""
    fields = [(at, field) for at, field in enumerate(footer.fields) if field.has_int96 and kinds[at].id == "timestamp"]
    for at, field in fields:
        far = f"SELECT 1 FROM {relation} WHERE NOT c{at} BETWEEN '0001-01-01' AND '9999-12-31 23:59:59.999999' LIMIT 1"
        if database.run(connection, far, stop):
            raise Fault("parquet_not_supported", what="INT96", column=field.name)


def _relation(source: Path, width: int, options: str) -> str:
    """Its columns are c0, c1, …: names may repeat, and differ in case alone."""
    columns = ", ".join(f"c{at}" for at in range(width))
    return f"read_parquet({literal(str(source))}, hive_partitioning = false{options}) t({columns})"


def _kinds(connection: duckdb.DuckDBPyConnection, relation: str) -> list[DuckDBPyType]:
    connection.execute(f"FROM {relation} LIMIT 0")
    return [entry[1] for entry in connection.description or []]


def _text_bytes(lengths: Sequence[str], connection: duckdb.DuckDBPyConnection, relation: str, stop: Stop) -> int:
    if not lengths:
        return 0
    sums = ", ".join(f"sum({length})" for length in lengths)  # terms of a sum would be nested too deeply
    summed = f"SELECT coalesce(list_sum([{sums}]), 0) FROM {relation}"
    return int(database.run(connection, summed, stop)[0][0])


def _true(
    asked: Sequence[Sequence[Doubt]], connection: duckdb.DuckDBPyConnection, relation: str, stop: Stop
) -> list[list[Doubt]]:
    """Which doubts about each column some row confirms."""
    true = [list[Doubt]() for _ in asked]
    left = [(at, doubt) for at, doubts in enumerate(asked) for doubt in doubts]
    for rows in (f"(FROM {relation} LIMIT {SAMPLE_ROWS})", relation):
        if not left:
            break
        query = ", ".join(f"coalesce(bool_or({doubt.sql}), false)" for _, doubt in left)
        answers = database.run(connection, f"SELECT {query} FROM {rows}", stop)[0]
        for (at, doubt), is_true in zip(left, answers, strict=True):
            if is_true:
                true[at].append(doubt)
        left = [each for each, is_true in zip(left, answers, strict=True) if not is_true]
    return true


@contextmanager
def damage() -> Iterator[None]:
    """What DuckDB says of a file that it cannot read becomes `Fault`: `parquet_encrypted`, `file_empty`,
    `parquet_not_supported` where others may read it, else `parquet_corrupt`."""
    try:
        yield
    except (duckdb.OutOfMemoryException, duckdb.ParserException):  # the latter is a bug of ours, and no file's
        raise
    except (duckdb.Error, RuntimeError) as problem:  # the latter where even its message cannot be read
        if database.is_full(problem):
            raise
        said = str(problem)
        if "ncrypt" in said:
            raise Fault("parquet_encrypted") from problem
        if "string encoding" in said:
            raise Fault("parquet_corrupt", reason="text") from problem
        if "at least one non-root column" in said:
            raise Fault("file_empty") from problem
        if what := next((what for words, what in _NOT_SUPPORTED.items() if words in said), None):
            raise Fault("parquet_not_supported", what=what, column=None) from problem
        if isinstance(problem, duckdb.BinderException | duckdb.NotImplementedException):
            raise Fault("parquet_not_supported", what=said.splitlines()[0][:80], column=None) from problem
        raise Fault("parquet_corrupt") from problem
