"""A dataset's Parquet becomes a file in another format: chosen columns, chosen rows, in order, memory bounded."""

import codecs
import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

import duckdb

from portal.engine import database, parquet_rows, text_target, xlsx_target
from portal.engine.columns import Column
from portal.engine.meter import Meter
from portal.engine.packed import Counted, packed
from portal.engine.query import Condition, where_sql
from portal.engine.stop import Stop
from portal.engine.values import identifier, literal
from portal.errors import Fault

FORMATS = ("csv", "tsv", "json", "ndjson", "xlsx", "parquet")
ENCODINGS = ("utf-8", "utf-8-bom", "gb18030")
PACKINGS = ("", "gzip", "zstd")
MEMORY_MB = 160
# For rows too wide for that: so many at once, in more memory. DuckDB works in vectors of 2048 rows, several a column.
AMPLE_MB, SLICE_ROWS, SMALL_GROUP = 384, 256, 2048

_MEDIA = {
    "csv": "text/csv; charset={}",
    "tsv": "text/tab-separated-values; charset={}",
    "json": "application/json",
    "ndjson": "application/x-ndjson",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "parquet": "application/vnd.apache.parquet",
}
_PACKED = {"gzip": (".gz", "application/gzip"), "zstd": (".zst", "application/zstd")}
MEDIA_TYPES = (*(media.partition(";")[0] for media in _MEDIA.values()), *(media for _, media in _PACKED.values()))
"""All that `media_type` may answer, without parameters."""
_PARQUET = "FORMAT parquet, COMPRESSION zstd"
_PIECE = 1024 * 1024
_EXPORTING, _PACKING = (0, 80), (80, 97)


@dataclass(frozen=True)
class Wanted:
    """No `columns`: all of them. `encoding` is for csv and tsv; xlsx and parquet are packed already."""

    format: str
    columns: tuple[str, ...] = ()
    where: tuple[Condition, ...] = ()
    encoding: str = "utf-8"
    packing: str = ""


@dataclass(frozen=True)
class Exported:
    """`bytes` and `sha256` are of the file at `path`."""

    path: Path
    rows: int
    bytes: int
    sha256: str


def checked(wanted: Wanted, columns: Sequence[Column]) -> None:
    """Raises `Fault`: `export_choice_invalid` with the field, `column_unknown`, or what `query.where_sql` raises."""
    for field, value, choices in (
        ("format", wanted.format, FORMATS),
        ("encoding", wanted.encoding, ENCODINGS if wanted.format in text_target.DELIMITERS else ENCODINGS[:1]),
        ("packing", wanted.packing, PACKINGS if wanted.format not in ("xlsx", "parquet") else PACKINGS[:1]),
    ):
        if value not in choices:
            raise Fault("export_choice_invalid", choice=field)
    if len(set(wanted.columns)) < len(wanted.columns):
        raise Fault("export_choice_invalid", choice="columns")
    _chosen(wanted, columns)
    where_sql(wanted.where, columns)


def ending(wanted: Wanted) -> str:
    """Of the file's name, with its dots."""
    return f".{wanted.format}" + (_PACKED[wanted.packing][0] if wanted.packing else "")


def media_type(wanted: Wanted) -> str:
    if wanted.packing:
        return _PACKED[wanted.packing][1]
    return _MEDIA[wanted.format].format("gb18030" if wanted.encoding == "gb18030" else "utf-8")


def export(
    source: Path,
    columns: Sequence[Column],
    wanted: Wanted,
    folder: Path,
    *,
    threads: int,
    max_bytes: int,
    stop: Stop,
    meter: Meter,
) -> Exported:
    """Make the file in `folder`, which is for this export alone and holds nothing else of it afterwards.

    Raises `Stopped`, or `Fault`: what `checked` raises, `quota_kept` beyond `max_bytes`, `xlsx_cell_too_long`,
    `disk_full`, `rows_too_big`.
    """
    checked(wanted, columns)
    condition, values = where_sql(wanted.where, columns)
    job = _Job(source, _chosen(wanted, columns), condition, values, wanted, folder, max_bytes, stop, meter)
    sparing = replace(job, share=1 / 16)
    attempts = [(MEMORY_MB, threads, job.usual), (AMPLE_MB, 1, job.frugal), (AMPLE_MB, 1, sparing.frugal)]
    meter.step("exporting", _EXPORTING)
    with database.disk_limits():
        for memory_mb, most_threads, make in attempts:
            with (
                suppress(duckdb.OutOfMemoryException),
                database.opened(memory_mb=memory_mb, threads=most_threads, files=[source], folder=folder) as connection,
            ):
                return make(connection)
    raise Fault("rows_too_big")


def _chosen(wanted: Wanted, columns: Sequence[Column]) -> list[Column]:
    known = {column.name: column for column in columns}
    for name in wanted.columns:
        if name not in known:
            raise Fault("column_unknown", column=name[:100].encode("utf-8", "replace").decode())
    return [known[name] for name in wanted.columns] if wanted.columns else list(columns)


@dataclass(frozen=True)
class _Job:
    source: Path
    columns: list[Column]
    condition: str
    values: list[Any]
    wanted: Wanted
    folder: Path
    max_bytes: int
    stop: Stop
    meter: Meter
    share: float = 1  # of the rows that are held at once otherwise

    def usual(self, connection: duckdb.DuckDBPyConnection) -> Exported:
        format_ = self.wanted.format
        if format_ == "xlsx":
            return self._xlsx(connection)
        return self._whole(connection, _PARQUET if format_ == "parquet" else text_target.options(self.columns, format_))

    def frugal(self, connection: duckdb.DuckDBPyConnection) -> Exported:
        if self.wanted.format == "xlsx":
            return self._xlsx(connection)
        if self.wanted.format == "parquet":  # a group of rows is held until it is written
            return self._whole(connection, f"{_PARQUET}, ROW_GROUP_SIZE {self._fewer(SMALL_GROUP)}")
        return self._slices(connection)

    def _fewer(self, rows: int) -> int:
        return max(1, int(rows * self.share))

    def _whole(self, connection: duckdb.DuckDBPyConnection, options: str) -> Exported:
        def tick(share: float) -> None:
            self.meter.moved(share, 1)
            with suppress(FileNotFoundError):
                self._check(plain.stat().st_size if not self.wanted.packing else 0)

        with self._scratch("plain") as plain:
            return self._finished(plain, self._copied(connection, self._all, plain, options, tick))

    def _slices(self, connection: duckdb.DuckDBPyConnection) -> Exported:
        """Some rows after the other; the same bytes as all at once."""
        step = self._fewer(SLICE_ROWS)
        total = int(database.run(connection, f"SELECT count(*) FROM {self._all}", self.stop)[0][0])
        array, rows = self.wanted.format == "json", 0
        with self._scratch("slice") as slice_, self._scratch("plain") as plain:
            with plain.open("wb") as whole:
                whole.write(b"[\n\t" if array else b"")
                for start in range(0, max(1, total), step):
                    some = f"(FROM {self._all} LIMIT {step} OFFSET {start})"
                    options = text_target.options(self.columns, self.wanted.format, header=not start, array=False)
                    more = self._copied(connection, some, slice_, options)
                    with slice_.open("rb") as lines:
                        for n, line in enumerate(lines):
                            whole.write(b",\n\t" if array and rows + n else b"")
                            whole.write(line.rstrip(b"\n") if array else line)
                    rows += more
                    self._check(whole.tell() if not self.wanted.packing else 0)
                    self.meter.moved(start, total)
                whole.write(b"\n]\n" if array else b"")
            return self._finished(plain, rows)

    def _xlsx(self, connection: duckdb.DuckDBPyConnection) -> Exported:
        counting = f"SELECT count(*) FROM {self._all} {self.condition}"
        total = int(database.run(connection, counting, self.stop, None, self.values)[0][0])
        select = ", ".join(xlsx_target.expression(column) for column in self.columns)
        with self.stop.interrupting(connection.interrupt):
            connection.execute(f"SELECT {select} FROM {self._all} {self.condition}", self.values)
        with self._scratch("book.xlsx") as plain:
            rows = xlsx_target.write(
                iter(lambda: connection.fetchmany(self._fewer(xlsx_target.BATCH)), []),
                self.columns,
                plain,
                self.folder,
                stop=self.stop,
                report=lambda done: self.meter.moved(done, max(1, total)),
            )
            return self._finished(plain, rows)

    @property
    def _all(self) -> str:
        return parquet_rows.relation(self.source)

    @contextmanager
    def _scratch(self, name: str) -> Iterator[Path]:
        path = self.folder / name
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)

    def _copied(
        self,
        connection: duckdb.DuckDBPyConnection,
        rows: str,
        target: Path,
        options: str,
        tick: database.Tick | None = None,
    ) -> int:
        """How many rows were written, of those of a relation."""
        select = (
            ", ".join(identifier(column.name) for column in self.columns)
            if self.wanted.format == "parquet"
            else text_target.select(self.columns, self.wanted.format)
        )
        query = f"COPY (SELECT {select} FROM {rows} {self.condition}) TO {literal(str(target))} ({options})"
        return int(database.run(connection, query, self.stop, tick, self.values)[0][0])

    def _finished(self, plain: Path, rows: int) -> Exported:
        """In its encoding, packed, measured: one pass, and no copy where nothing changes."""
        target, digest, size = self.folder / "export", hashlib.sha256(), plain.stat().st_size
        self.meter.step("packing", _PACKING)
        changes = bool(self.wanted.packing) or self.wanted.encoding != "utf-8"
        with (
            plain.open("rb") as file,
            Counted(target if changes else None, digest, self._check) as out,
            packed(out, self.wanted.packing) as packing,
        ):
            for piece in self._pieces(file):
                packing.write(piece)
                self.meter.moved(file.tell(), size)
        if not changes:
            plain.rename(target)
        return Exported(target, rows, out.bytes, digest.hexdigest())

    def _pieces(self, file: IO[bytes]) -> Iterator[bytes]:
        if self.wanted.encoding == "utf-8-bom":
            yield codecs.BOM_UTF8
        decoder = codecs.getincrementaldecoder("utf-8")() if self.wanted.encoding == "gb18030" else None
        while piece := file.read(_PIECE):
            self.stop.check()
            yield decoder.decode(piece).encode("gb18030") if decoder else piece

    def _check(self, size: int) -> None:
        if size > self.max_bytes:
            raise Fault("quota_kept", limit=self.max_bytes)
