"""A CSV or NDJSON file becomes Parquet: rows in order, types from the whole file, memory bounded."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import duckdb

from portal.engine import csv_source, database, ndjson_source
from portal.engine.columns import Column, readable
from portal.engine.csv_dialect import Dialect
from portal.engine.sniff import Sniffed
from portal.engine.stop import Stop
from portal.engine.values import MISFIT, Type, cast, chosen, detection, identifier, literal, surviving
from portal.errors import Fault

SAMPLE_ROWS = 20_000
SAMPLE_CELLS = 1_000_000
GROUP_ROWS = 61_440
GROUP_CELLS = 600_000
GROUP_BYTES = 24 * 1024 * 1024
MANY_COLUMNS = 100  # each thread holds vectors of its own for each of them
VECTOR = 2048  # DuckDB works in vectors of this many rows
MEMORY_MB = 160
THREADS = 2

Report: TypeAlias = Callable[[float], object]


@dataclass(frozen=True)
class Converted:
    rows: int
    columns: list[Column]


@dataclass(frozen=True)
class _Plan:
    """What to read, and for each column (name, possible types of its text, how it is read if it is no text)."""

    relation: str
    columns: Sequence[tuple[str, Sequence[Type], str]]


def convert(
    source: Path,
    sniffed: Sniffed,
    target: Path,
    *,
    work: Path,
    memory_mb: int = MEMORY_MB,
    threads: int = THREADS,
    stop: Stop,
    report: Report,
) -> Converted:
    """Write `target`; `source` may be changed, `work` is a folder for this conversion alone.

    `report` gets the share that is done, 0 to 1; it falls when the file has to be read anew.

    Raises `Stopped`, or `Fault`: `csv_broken_row`, `ndjson_broken_line`, `not_utf8`, `too_many_columns`,
    `rows_too_big`, `disk_full`.
    """
    width = len(sniffed.dialect.names) if sniffed.dialect else 20
    rows = min(GROUP_ROWS, GROUP_CELLS // width, GROUP_BYTES // sniffed.row_bytes)
    # Wide tables need a vector for each column several times over, whatever the size of a group.
    attempts = [(memory_mb + width // 4, rows // VECTOR * VECTOR), (3 * memory_mb + width // 2, VECTOR)]
    for megabytes, group_rows in attempts:
        files = (source, target)
        try:
            with database.opened(
                memory_mb=megabytes, threads=1 if width > MANY_COLUMNS else threads, files=files, folder=work
            ) as connection:
                job = _Job(connection, source, target, work, max(VECTOR, group_rows), stop, report)
                return job.csv(sniffed.dialect) if sniffed.dialect else job.ndjson()
        except (
            duckdb.OutOfMemoryException,
            duckdb.NotImplementedException,
        ):
            # The second is for a row larger than its buffer.
            continue
        except duckdb.IOException as problem:
            if "No space left" in str(problem) or "quota exceeded" in str(problem):
                raise Fault("disk_full", passing=True) from problem
            raise
    raise Fault("rows_too_big")


@dataclass(frozen=True)
class _Job:
    connection: duckdb.DuckDBPyConnection
    source: Path
    target: Path
    work: Path
    group_rows: int
    stop: Stop
    report: Report

    def csv(self, dialect: Dialect) -> Converted:
        try:
            return self._csv(self.source, dialect)
        except duckdb.InvalidInputException as problem:
            csv_source.find_broken_row(self.source, dialect, self.stop, str(problem))
        even = self.work / "even.csv"
        csv_source.even_line_ends(self.source, even, dialect, self.stop)
        try:
            return self._csv(even, dialect)
        except duckdb.InvalidInputException as problem:
            raise csv_source.unreadable(str(problem)) from problem
        finally:
            even.unlink()

    def ndjson(self) -> Converted:
        ndjson_source.blank_mark(self.source)
        for exact in (False, True):
            try:
                found = ndjson_source.columns_of(self.connection, self.source, self.stop, self._first_half, exact=exact)
                if found is None:
                    break
                columns = [(column.name, column.candidates, column.expression) for column in found]
                return self._typed(_Plan(ndjson_source.relation(self.source, found), columns), self._second_half)
            except _Misfit:
                continue
            except duckdb.InvalidInputException:  # a key twice in one object
                break
        try:
            return self._copy(
                _Plan(ndjson_source.lines_relation(self.source), [("json", (), '"json"')]), [()], self.report
            )
        except duckdb.InvalidInputException as problem:
            raise ndjson_source.unreadable(str(problem)) from problem

    def _csv(self, path: Path, dialect: Dialect) -> Converted:
        columns = [(name, types, identifier(name)) for name, types in zip(dialect.names, dialect.types, strict=True)]
        return self._typed(_Plan(csv_source.relation(path, dialect), columns), self.report)

    def _typed(self, plan: _Plan, report: Report) -> Converted:
        """Types from the first rows; if a later value does not fit, from all rows."""
        everything = [candidates for _, candidates, _ in plan.columns]
        rows = max(VECTOR, min(SAMPLE_ROWS, SAMPLE_CELLS // len(everything)))
        likely = self._detect(plan, f"(FROM {plan.relation} LIMIT {rows})", everything)
        try:
            return self._copy(plan, likely, report)
        except _Misfit:
            sure = self._detect(plan, plan.relation, likely, self._first_half)
            return self._copy(plan, sure, self._second_half)

    def _detect(
        self, plan: _Plan, rows: str, candidates: Sequence[Sequence[Type]], report: Report | None = None
    ) -> list[list[Type]]:
        query = f"FROM {rows} SELECT {detection([name for name, _, _ in plan.columns], candidates)}"
        answers = database.run(self.connection, query, self.stop, report)[0]
        return surviving(answers, candidates)

    def _copy(self, plan: _Plan, candidates: Sequence[Sequence[Type]], report: Report) -> Converted:
        parts = []
        for (name, possible, expression), kind in zip(plan.columns, chosen(candidates), strict=True):
            parts.append(f"{cast(name, kind) if possible else expression} AS {identifier(name)}")
        query = (
            f"COPY (FROM {plan.relation} SELECT {', '.join(parts)}) TO {literal(str(self.target))} "
            f"(FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {self.group_rows})"
        )
        try:
            rows = database.run(self.connection, query, self.stop, report)[0][0]
        except duckdb.ConversionException as problem:
            raise _Misfit from problem
        except duckdb.InvalidInputException as problem:
            if MISFIT in str(problem):
                raise _Misfit from problem
            raise
        self.connection.execute(f"FROM read_parquet({literal(str(self.target))}) LIMIT 0")
        written = self.connection.description or []
        return Converted(rows, [Column(entry[0], readable(entry[1])) for entry in written])

    def _first_half(self, share: float) -> None:
        self.report(share / 2)

    def _second_half(self, share: float) -> None:
        self.report(0.5 + share / 2)


class _Misfit(Exception):
    """A value does not fit the type its column has been given."""
