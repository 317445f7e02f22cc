"""A file of any format we read becomes Parquet: rows in order, types from the whole file, memory bounded."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import duckdb

from portal.engine import broken_rows, csv_source, database, json_source, ndjson_source, parquet_rows, parquet_source
from portal.engine.columns import Column, readable
from portal.engine.csv_dialect import Dialect
from portal.engine.reading import Reading
from portal.engine.sniff import Sniffed
from portal.engine.stop import Stop
from portal.engine.values import MISFIT, TYPES, Type, cast, chosen, detection, identifier, literal, surviving
from portal.errors import Fault

SAMPLE_ROWS = 20_000
SAMPLE_CELLS = 1_000_000
GROUP_ROWS = 61_440
GROUP_CELLS = 600_000
GROUP_BYTES = 24 * 1024 * 1024
MANY_COLUMNS = 100  # each thread holds vectors of its own for each of them
VECTOR = 2048  # DuckDB works in vectors of this many rows
_PARTS = [VECTOR * n for n in (30, 20, 15, 12, 10, 6, 5, 4, 3, 2, 1)]
MEMORY_MB = 256  # with less DuckDB writes with one thread only
THREADS = 2

Report: TypeAlias = Callable[[float], object]


@dataclass(frozen=True)
class Converted:
    """`skipped` rows were left out; `first_skipped` has line, reason and the beginning of the first one's text."""

    rows: int
    columns: list[Column]
    skipped: int = 0
    first_skipped: dict[str, Any] | None = None
    sheet: str | None = None


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
    reading: Reading = Reading(),  # noqa: B008  # it cannot change
    memory_mb: int = MEMORY_MB,
    threads: int = THREADS,
    max_bytes: int = 2**63,
    stop: Stop,
    report: Report,
) -> Converted:
    """Write `target`; `source` is in UTF-8 if it is text, `work` is a folder for this conversion alone.

    `report` gets the share that is done, 0 to 1; it falls when the file has to be read anew. `max_bytes` is for what
    unpacks in a format of its own.

    Raises `Stopped`, or `Fault`: `csv_broken_row`, `ndjson_broken_line` (reason `encoding`: not UTF-8), `json_broken`,
    `xlsx_…`, `sheet_unknown`, `parquet_…`, `too_many_columns`, `rows_too_big`, `too_large`, `disk_full`.
    """
    with database.disk_limits():
        if sniffed.format not in ("json", "xlsx"):
            return _converted(source, sniffed, target, work, reading, memory_mb, threads, max_bytes, stop, report)
        lines, sheet = work / "lines.ndjson", None
        if sniffed.format == "json":
            json_source.to_ndjson(source, lines, work=work, stop=stop, tick=lambda share: report(share / 3))
        else:
            from portal.engine import xlsx_source  # and openpyxl with numpy: 16 MB for each process

            made = xlsx_source.to_ndjson(
                source,
                lines,
                work=work,
                sheet=reading.sheet,
                header=reading.header,
                max_bytes=max_bytes,
                stop=stop,
                report=lambda share: report(share / 2),
            )
            sheet = made.name
        as_lines = replace(sniffed, row_bytes=_row_bytes(lines))
        done = _converted(lines, as_lines, target, work, reading, memory_mb, threads, max_bytes, stop, report)
        lines.unlink()
        return replace(done, sheet=sheet)


def _row_bytes(lines: Path) -> int:
    with lines.open("rb") as file:
        head = file.read(1024 * 1024)
    return max(1, len(head) // max(1, head.count(b"\n")))


def _converted(
    source: Path,
    sniffed: Sniffed,
    target: Path,
    work: Path,
    reading: Reading,
    memory_mb: int,
    threads: int,
    max_bytes: int,
    stop: Stop,
    report: Report,
) -> Converted:
    width = len(sniffed.dialect.names) if sniffed.dialect else 20
    rows = min(GROUP_ROWS, GROUP_CELLS // width, GROUP_BYTES // sniffed.row_bytes)
    # Wide tables need a vector for each column several times over, whatever the size of a group.
    attempts = [(memory_mb + width // 4, _group(rows), False), (2 * memory_mb + width // 2, VECTOR, True)]
    for megabytes, group_rows, in_parts in attempts:
        try:
            with database.opened(
                memory_mb=megabytes,
                threads=1 if width > MANY_COLUMNS or in_parts else threads,
                files=(source, target),
                folder=work,
            ) as connection:
                job = _Job(connection, source, target, work, reading, group_rows, max_bytes, stop, report)
                if sniffed.dialect:
                    return job.csv_in_parts(sniffed.dialect) if in_parts else job.csv(sniffed.dialect)
                return job.parquet() if sniffed.format == "parquet" else job.ndjson(sniffed.format)
        except (duckdb.OutOfMemoryException, duckdb.NotImplementedException):  # or a row larger than its buffer
            continue
    raise Fault("rows_too_big")


def _group(rows: int) -> int:
    """Rows in a group: a part of what DuckDB hands on at once, else it writes with one thread only."""
    return max(VECTOR, max((part for part in _PARTS if part <= rows), default=VECTOR))


@dataclass(frozen=True)
class _Job:
    connection: duckdb.DuckDBPyConnection
    source: Path
    target: Path
    work: Path
    reading: Reading
    group_rows: int
    max_bytes: int
    stop: Stop
    report: Report

    def csv(self, dialect: Dialect) -> Converted:
        try:
            return self._csv(csv_source.relation(self.source, dialect), dialect)
        except duckdb.InvalidInputException as problem:
            message = str(problem)
        return self.csv_in_parts(dialect, message)

    def csv_in_parts(self, dialect: Dialect, message: str = "") -> Converted:
        """With rows that cannot be read left out, if they may be. `message` is what DuckDB said of the whole file."""
        skip = self.reading.skip_broken
        most = sys.maxsize if skip else broken_rows.COUNTED
        with csv_source.Parts(self.work) as parts:
            broken = broken_rows.of_csv(self.source, dialect, self.stop, parts.take, most=most)
            parts.end()
            if broken.count and not skip:
                raise broken.fault("csv_broken_row")
            if broken.count:  # what was seen may have been of broken rows
                dialect = replace(dialect, types=tuple(TYPES for _ in dialect.names))
            in_a_part = csv_source.PART_BYTES * parts.rows // max(1, parts.bytes)
            job = replace(self, group_rows=max(1, min(self.group_rows, in_a_part)))
            try:
                done = job._csv(parts.relation(dialect), dialect)
            except duckdb.InvalidInputException as problem:
                raise csv_source.unreadable(message or str(problem)) from problem
        return replace(done, skipped=broken.count, first_skipped=broken.first)

    def ndjson(self, format_: str) -> Converted:
        ndjson_source.blank_mark(self.source)
        done = self._objects(self.source, mixed_as_text=format_ == "xlsx")
        if done is not None:
            return done
        broken = broken_rows.of_ndjson(self.source, self.stop)
        if not broken.count:
            return self._lines(self.source)
        if not self.reading.skip_broken:
            raise broken.fault("ndjson_broken_line")
        clean = self.work / "clean.ndjson"
        with clean.open("wb") as good:
            broken = broken_rows.of_ndjson(self.source, self.stop, good)
        done = self._objects(clean) or self._lines(clean)
        clean.unlink()
        return replace(done, skipped=broken.count, first_skipped=broken.first)

    def _objects(self, path: Path, *, mixed_as_text: bool = False) -> Converted | None:
        """The keys as columns; None where that cannot be done."""
        for exact in (False, True):
            try:
                found = ndjson_source.columns_of(self.connection, path, self.stop, self._first_half, exact=exact)
                if found is None:
                    return None
                if mixed_as_text:
                    found = [ndjson_source.of_a_sheet(column) for column in found]
                columns = [(column.name, column.candidates, column.expression) for column in found]
                return self._typed(_Plan(ndjson_source.relation(path, found), columns), self._second_half)
            except _Misfit:
                continue
            except duckdb.InvalidInputException:  # a key twice in one object
                return None
        return None

    def _lines(self, path: Path) -> Converted:
        """Each object whole, for those no table can hold."""
        try:
            return self._copy(_Plan(ndjson_source.lines_relation(path), [("json", (), '"json"')]), [()], self.report)
        except duckdb.InvalidInputException as problem:
            raise ndjson_source.unreadable(str(problem)) from problem

    def parquet(self) -> Converted:
        with parquet_source.damage():
            found = parquet_source.selection(self.connection, self.source, self.stop, max_bytes=self.max_bytes)
            columns = [(name, (), expression) for name, expression in found]
            plan = _Plan(parquet_rows.relation(self.source), columns)
            try:
                return self._copy(plan, [()] * len(columns), self.report)
            except _Misfit as misfit:
                raise Fault("parquet_corrupt") from misfit

    def _csv(self, relation: str, dialect: Dialect) -> Converted:
        columns = [(name, types, identifier(name)) for name, types in zip(dialect.names, dialect.types, strict=True)]
        return self._typed(_Plan(relation, columns), self.report)

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
        self.connection.execute(f"FROM {parquet_rows.relation(self.target)} LIMIT 0")
        written = self.connection.description or []
        return Converted(rows, [Column(entry[0], readable(entry[1])) for entry in written])

    def _first_half(self, share: float) -> None:
        self.report(share / 2)

    def _second_half(self, share: float) -> None:
        self.report(0.5 + share / 2)


class _Misfit(Exception):
    """A value does not fit the type its column has been given."""
