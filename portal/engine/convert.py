"""A file of any format we read becomes Parquet: rows in order, types from the whole file, memory bounded."""

import itertools
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb

from portal.engine import (
    broken_rows,
    csv_source,
    database,
    json_source,
    ndjson_source,
    parquet_source,
    row_count,
    xlsx_source,
)
from portal.engine.broken_rows import Broken
from portal.engine.csv_dialect import Dialect
from portal.engine.ndjson_source import Field
from portal.engine.parts import Parts
from portal.engine.reading import Reading
from portal.engine.sniff import Sniffed
from portal.engine.stop import Stop
from portal.engine.typed_copy import VECTOR, Converted, Misfit, Plan, Report, TypedCopy
from portal.engine.values import TYPES, identifier, literal
from portal.errors import Fault

GROUP_ROWS = 61_440
GROUP_CELLS = 600_000
GROUP_BYTES = 24 * 1024 * 1024
MANY_COLUMNS = 100  # each thread holds vectors of its own for each of them
_PARTS = [VECTOR * n for n in (30, 20, 15, 12, 10, 6, 5, 4, 3, 2, 1)]
MEMORY_MB = 256  # with less DuckDB writes with one thread only
THREADS = 2
WIDE = "wide"  # rows with more values than a table has columns: each is kept whole


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
            json_source.to_ndjson(source, lines, stop, work=work, most=max_bytes, tick=lambda share: report(share / 3))
        else:
            sheet = xlsx_source.to_ndjson(
                source, lines, work, reading, max_bytes=max_bytes, stop=stop, report=lambda share: report(share / 2)
            )
        fields = sheet.fields if sheet else []
        as_lines = replace(
            sniffed, format=WIDE if sheet and not fields else "json", row_bytes=ndjson_source.row_bytes(lines)
        )
        done = _converted(lines, as_lines, target, work, reading, memory_mb, threads, max_bytes, stop, report, fields)
        lines.unlink()
        return replace(done, sheet=sheet.name, wide=sheet.wide, found=sheet.found) if sheet else done


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
    fields: Sequence[Field] = (),
) -> Converted:
    width = len(sniffed.dialect.names) if sniffed.dialect else len(fields) or 20
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
                job = _Job(connection, target, group_rows, stop, report, source, work, reading, max_bytes)
                if sniffed.format == "parquet":
                    return job.parquet()
                if sniffed.dialect:
                    return job.csv_in_parts(sniffed.dialect) if in_parts else job.csv(sniffed.dialect)
                if fields:
                    return job.sheet(fields, in_parts)
                return job.ndjson_in_parts(sniffed.format) if in_parts else job.ndjson(sniffed.format)
        except (duckdb.OutOfMemoryException, duckdb.NotImplementedException):  # or a row larger than its buffer
            continue
    raise Fault("rows_too_big")


def _group(rows: int) -> int:
    """Rows in a group: a part of what DuckDB hands on at once, else it writes with one thread only."""
    return max(VECTOR, max((part for part in _PARTS if part <= rows), default=VECTOR))


@dataclass(frozen=True)
class _Job(TypedCopy):
    source: Path
    work: Path
    reading: Reading
    max_bytes: int

    def csv(self, dialect: Dialect) -> Converted:
        """No reader's count is believed: it must be that of the rows that stand in the file."""
        message, done = "", None
        if dialect.plain and not csv_source.has_long_lines(self.source):
            try:
                done = self._csv(csv_source.relation(self.source, dialect), dialect)
            except duckdb.InvalidInputException as problem:
                message = str(problem)
        counted = row_count.count(self.source, dialect, self.stop, likely=done.rows if done else None)
        is_whole = done and done.rows == counted.rows == counted.lines
        if dialect.may_be_bare and not is_whole and (bare := self._bare(dialect, counted.lines)):
            return bare
        if done and (done.rows == counted.rows or done.rows == self._readable_rows(dialect)):
            return done
        return self.csv_in_parts(dialect, message)

    def _bare(self, dialect: Dialect, lines: int) -> Converted | None:
        """With quotation marks as characters like any other, if each line is a row so."""
        if not dialect.plain:
            return None
        try:
            done = self._csv(csv_source.relation(self.source, replace(dialect, quote="")), dialect)
        except duckdb.InvalidInputException:
            return None
        return replace(done, bare=True) if done.rows == lines else None

    def _readable_rows(self, dialect: Dialect) -> int:
        """As many as can be read one by one; -1 if one cannot."""
        taken = itertools.count()
        broken = broken_rows.of_csv(self.source, dialect, self.stop, lambda _: next(taken), most=1)
        return -1 if broken.count else next(taken)

    def csv_in_parts(self, dialect: Dialect, message: str = "") -> Converted:
        """With rows that cannot be read left out, if they may be. `message` is what DuckDB said of the whole file."""
        until = csv_source.last_line(self.source, self.reading.footer_rows, self.stop)
        with csv_source.parts(self.work) as parts:
            broken = broken_rows.of_csv(
                self.source, dialect, self.stop, parts.take, most=self._most_broken, until=until
            )
            job = self._with(parts, broken, "csv_broken_row")
            if broken.count:  # what was seen may have been of broken rows
                dialect = replace(dialect, types=tuple(TYPES for _ in dialect.names))
            try:
                done = job._csv(csv_source.relation_of_parts(parts.files, dialect), dialect)
            except duckdb.InvalidInputException as problem:
                raise csv_source.unreadable(message or str(problem)) from problem
            if done.rows != parts.rows:
                raise Fault("csv_rows_lost", read=done.rows, rows=parts.rows)
        return replace(done, skipped=broken.count, first_skipped=broken.first)

    @property
    def _most_broken(self) -> int:
        return sys.maxsize if self.reading.skip_broken else broken_rows.COUNTED

    def _with(self, parts: Parts, broken: Broken, code: str) -> "_Job":
        """To go on with all rows in parts. Raises `Fault(code)` where some are broken that may not be left out."""
        parts.end()
        if broken.count and not self.reading.skip_broken:
            raise broken.fault(code)
        return replace(self, group_rows=min(self.group_rows, parts.rows_in_one))

    def ndjson(self, format_: str) -> Converted:
        ndjson_source.blank_mark(self.source)
        files = literal(str(self.source))
        if format_ == WIDE:
            return self._lines(files)
        return self._objects(files, files) or self.ndjson_in_parts(format_)

    def sheet(self, fields: Sequence[Field], in_parts: bool) -> Converted:
        """Rows of a workbook, whose columns are known."""
        columns = [(each.name, each.candidates, each.expression) for each in fields]
        with Parts(self.work) as parts:
            job, files = self, literal(str(self.source))
            if in_parts:
                broken = broken_rows.of_ndjson(self.source, self.stop, parts.take, most=0)
                job, files = self._with(parts, broken, "ndjson_broken_line"), parts.files
            return job._typed(Plan(ndjson_source.relation(files, fields), columns), self._second_half)

    def ndjson_in_parts(self, format_: str) -> Converted:
        with Parts(self.work) as parts:
            broken = broken_rows.of_ndjson(self.source, self.stop, parts.take, most=self._most_broken)
            job = self._with(parts, broken, "ndjson_broken_line")
            # To find types DuckDB opens all files, with a buffer for each.
            whole = parts.files if broken.count else literal(str(self.source))
            table = None if format_ == WIDE else job._objects(whole, parts.files)
            done = table or job._lines(parts.files)
        return replace(done, skipped=broken.count, first_skipped=broken.first)

    def _objects(self, whole: str, files: str) -> Converted | None:
        """The keys as columns; None where that cannot be done. Both hold all rows; types are found in `whole`."""
        for exact in (False, True):
            try:
                found = ndjson_source.columns_of(self.connection, whole, self.stop, self._first_half, exact=exact)
                if found is None:
                    return None
                columns = [(column.name, column.candidates, column.expression) for column in found]
                return self._typed(Plan(ndjson_source.relation(files, found), columns), self._second_half)
            except Misfit:
                continue
            except duckdb.InvalidInputException:  # a key twice in one object
                return None
        return None

    def _lines(self, files: str) -> Converted:
        """Each object whole, for those no table can hold."""
        try:
            return self._copy(Plan(ndjson_source.lines_relation(files), [("json", (), '"json"')]), [()], self.report)
        except duckdb.InvalidInputException as problem:
            raise ndjson_source.unreadable(str(problem)) from problem

    def parquet(self) -> Converted:
        with parquet_source.damage():
            found = parquet_source.selection(self.connection, self.source, self.stop, max_bytes=self.max_bytes)
            try:
                done = self._copy(Plan(found.relation, found.columns), [()] * len(found.columns), self.report)
            except Misfit as misfit:
                raise Fault("parquet_corrupt") from misfit
            found.check(done.rows)
        return replace(done, converted=found.converted)

    def _csv(self, relation: str, dialect: Dialect) -> Converted:
        columns = [(name, types, identifier(name)) for name, types in zip(dialect.names, dialect.types, strict=True)]
        return self._typed(Plan(relation, columns), self.report)
