"""What is in each column of a Parquet file: one scan of all rows, then a closer look at each column's values.

Up to EXACT_ROWS rows all figures are exact. Above, the number of distinct values is an estimate (HyperLogLog), and
quantiles, frequent values and the histogram are of rows in windows spread over the file.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb

from portal.engine import database, parquet_rows, shown
from portal.engine.columns import Column
from portal.engine.stop import Stop
from portal.engine.values import identifier, literal

EXACT_ROWS = 200_000
MEMORY_MB = 160
WINDOWS, WINDOW_ROWS = 32, 8192
GOLDEN = 0.618034
AT_ONCE = 50  # columns in one scan: each keeps state of its own
BINS, TOP, TEXT_CHARS = 20, 10, 100
QUANTILES = {"p05": 0.05, "p25": 0.25, "p50": 0.5, "p75": 0.75, "p95": 0.95}

Found = dict[str, Any]
Report = Callable[[float], object]


def profile(
    path: Path,
    columns: Sequence[Column],
    *,
    work: Path,
    threads: int,
    stop: Stop,
    report: Report,
) -> list[Found]:
    """For each column `name`, `type`, `count` and `nulls`, and as far as they make sense `distinct`, `min`, `max`,
    `mean`, `quantiles`, `top` ([value, count]), `histogram` (`edges`, `counts`), `shortest`, `longest`, `empty`,
    `not_finite`; `approximate` where `distinct` is one, `sampled` with the number of rows looked at.

    Figures of values too large to hold side by side are left out. Raises `Stopped`, `Fault('disk_full')`.
    """
    with database.opened(memory_mb=MEMORY_MB, threads=threads, files=[path], folder=work) as connection:
        looker = _Looker(connection, path, columns, stop)
        found: list[Found] = []
        for start in range(0, len(columns), AT_ONCE):
            for column, summed in looker.scan(columns[start : start + AT_ONCE]):
                found.append(summed | looker.closer(column, summed))
                report(len(found) / len(columns))
        return found


class _Looker:
    def __init__(
        self, connection: duckdb.DuckDBPyConnection, path: Path, columns: Sequence[Column], stop: Stop
    ) -> None:
        self._connection, self._stop = connection, stop
        self._all = parquet_rows.relation(path)
        self._rows = int(self._run(f"SELECT count(*) FROM {self._all}")[0][0])
        self._exact = self._rows <= EXACT_ROWS
        self._some = self._all if self._exact else self._windows(path, columns)

    def _windows(self, path: Path, columns: Sequence[Column]) -> str:
        # Row groups without any of these rows are not read.
        rows, place = parquet_rows.numbered(path, columns)
        # Each begins somewhere in its share of the rows: at one distance they might meet a rhythm of the data.
        share = self._rows // WINDOWS
        starts = (share * n + int((n * GOLDEN) % 1 * (share - WINDOW_ROWS)) for n in range(WINDOWS))
        within = " OR ".join(f"({place} >= {at} AND {place} < {at + WINDOW_ROWS})" for at in starts)
        return f"(FROM {rows} WHERE {within})"

    def scan(self, columns: Sequence[Column]) -> Iterator[tuple[Column, Found]]:
        """What takes all rows; of fewer columns at once, and in the end of counts alone, if memory is short."""
        try:
            found = self._scanned(columns, [_figures(column, exact=self._exact) for column in columns])
        except duckdb.OutOfMemoryException:
            if len(columns) == 1:
                yield columns[0], self._scanned(columns, [_counted(columns[0])])[0]
                return
            half = len(columns) // 2
            yield from self.scan(columns[:half])
            yield from self.scan(columns[half:])
            return
        yield from zip(columns, found, strict=True)

    def _scanned(self, columns: Sequence[Column], asked: Sequence[dict[str, str]]) -> list[Found]:
        parts = [sql for figures in asked for sql in figures.values()]
        answer = iter(self._run(f"SELECT {', '.join(parts)} FROM {self._all}")[0])
        found = []
        for column, figures in zip(columns, asked, strict=True):
            values = {name: _json(next(answer)) for name in figures}
            count = values["count"]
            told: Found = {"name": column.name, "type": column.type, "nulls": self._rows - count}
            told |= {name: value for name, value in values.items() if value is not None}
            if "distinct" in told:
                told |= {"distinct": min(told["distinct"], count), "approximate": True}
            if not told.get("not_finite"):
                told.pop("not_finite", None)
            found.append(told)
        return found

    def closer(self, column: Column, summed: Found) -> Found:
        """What takes the values of one column side by side."""
        try:
            return self._closer(column, summed)
        except duckdb.OutOfMemoryException:
            return {}

    def _closer(self, column: Column, summed: Found) -> Found:
        kind = _kind(column)
        if kind == "nested":
            return {}
        found: Found = {"distinct": summed["distinct"] if "distinct" in summed else self._distinct(column)}
        if not summed["count"]:
            return found
        if kind in ("number", "time") and {"min", "max"} <= summed.keys():
            found |= self._spread(column, kind, summed)
        if kind in ("text", "boolean") or found["distinct"] <= TOP:
            found |= {"top": self._top(column, kind)}
        return found if self._exact else found | {"sampled": min(self._rows, WINDOWS * WINDOW_ROWS)}

    def _distinct(self, column: Column) -> int:
        # Not a count(DISTINCT …) of the scan: there each column takes megabytes, however few rows there are.
        cell = identifier(column.name)
        rows = self._run(f"SELECT count(*) FROM (SELECT DISTINCT {cell} FROM {self._all} WHERE {cell} IS NOT NULL)")
        return int(rows[0][0])

    def _spread(self, column: Column, kind: str, summed: Found) -> Found:
        cell = identifier(column.name)
        number = f"CAST({cell} AS DOUBLE)" if kind == "number" else f"epoch({cell})"
        least, most = self._run(f"SELECT {', '.join(_bound(summed[name], column) for name in ('min', 'max'))}")[0]
        shares = list(QUANTILES.values())
        edges = _edges(float(least), float(most), whole=column.type == "integer")
        bounds = ", ".join(repr(edge) for edge in edges[1:])
        row = self._run(
            f"SELECT quantile_cont({number}, {shares}), histogram({number}, [{bounds}]) "
            f"FROM {self._some} WHERE {_finite(column)}"
        )[0]
        quantiles, counted = row[0] or [], row[1] or {}
        counts = [int(counted.get(edge, 0)) for edge in edges[1:]]
        plain = (lambda value: _number(value, column)) if kind == "number" else (lambda value: _moment(value, column))
        found: Found = {"histogram": {"edges": [plain(edge) for edge in edges], "counts": counts}}
        if quantiles:
            found["quantiles"] = {name: plain(value) for name, value in zip(QUANTILES, quantiles, strict=True)}
        return found

    def _top(self, column: Column, kind: str) -> list[list[Any]]:
        cell = identifier(column.name)
        told = _iso("v", column) if kind == "time" else "v"
        value, alike = cell, cell
        if kind == "text":  # told apart by all of it, but not held whole
            value, alike = f"left(any_value({cell}), {TEXT_CHARS})", f"hash({cell}), length({cell})"
        counted = f"SELECT {value} AS v, count(*) AS n FROM {self._some} WHERE {_finite(column)} GROUP BY {alike}"
        rows = self._run(f"SELECT {told}, n FROM ({counted}) ORDER BY n DESC, v LIMIT {TOP}")
        return [[_json(value), count] for value, count in rows]

    def _run(self, sql: str) -> list[tuple[Any, ...]]:
        with database.disk_limits():
            return database.run(self._connection, sql, self._stop)


def _counted(column: Column) -> dict[str, str]:
    return {"count": f"count({identifier(column.name)})"}


def _figures(column: Column, *, exact: bool) -> dict[str, str]:
    """Aggregates by name, `count` among them."""
    cell, kind = identifier(column.name), _kind(column)
    figures = _counted(column)
    if kind == "nested":
        return figures
    if not exact:
        figures["distinct"] = f"approx_count_distinct({cell})"
    if kind == "number":
        finite = f"FILTER (isfinite({cell}))" if column.type == "number" else ""
        mean = f"avg(CAST({cell} AS DOUBLE)) {finite}"  # a sum of large decimals would be none
        figures |= {"min": f"min({cell}) {finite}", "max": f"max({cell}) {finite}", "mean": mean}
        if finite:
            figures["not_finite"] = f"count({cell}) FILTER (NOT isfinite({cell}))"
    elif kind == "time":
        figures |= {name: _iso(f"{name}({cell})", column) for name in ("min", "max")}
    elif kind == "text":
        figures |= {
            "min": f"left(min({cell}), {TEXT_CHARS})",
            "max": f"left(max({cell}), {TEXT_CHARS})",
            "shortest": f"min(length({cell}))",
            "longest": f"max(length({cell}))",
            "empty": f"count({cell}) FILTER ({cell} = '')",
        }
    return figures


def _iso(moment: str, column: Column) -> str:
    return f"CASE WHEN isfinite({moment}) THEN {shown.iso(moment, column.type)} END"


def _bound(value: Any, column: Column) -> str:
    """A least or greatest value as a number in SQL; of times the seconds since 1970."""
    if _kind(column) == "number":
        return f"CAST({literal(str(value))} AS DOUBLE)"
    return f"epoch(CAST({literal(str(value))} AS {column.type.upper()}))"


def _kind(column: Column) -> str:
    name = column.type
    if column.is_nested:
        return "nested"
    if name in ("integer", "number") or name.startswith("decimal") or name.endswith("int"):
        return "number"
    if name in ("date", "timestamp", "timestamp with time zone"):
        return "time"
    return name if name in ("text", "boolean") else "nested"


def _finite(column: Column) -> str:
    cell = identifier(column.name)
    return (
        f"isfinite({cell})"
        if column.type in ("number", "date") or "timestamp" in column.type
        else f"{cell} IS NOT NULL"
    )


def _edges(least: float, most: float, *, whole: bool) -> list[float]:
    """Of bins of equal width, the last one perhaps narrower; one bin where all values are the same.

    A bin holds its upper edge, the first one its lower edge, too: `whole` numbers are evenly spread over bins so.
    """
    if not least < most:
        return [least, most]
    if whole and max(-least, most) < 2**52:
        step = -(-(most - least + 1) // BINS)
        uppers = [least + step * n - 1 for n in range(1, BINS + 1)]
        return [least, *(upper for upper in uppers if upper < most), most]
    width = most / BINS - least / BINS  # not (most - least): that may be infinite
    edges = [least, *(least + width * n for n in range(1, BINS)), most]
    return edges if all(one < other for one, other in pairwise(edges)) else [least, most]


def _number(value: float, column: Column) -> Any:
    whole = column.type == "integer" and math.isfinite(value) and value == int(value) and abs(value) < 2**53
    return int(value) if whole else value


def _moment(seconds: float, column: Column) -> str:
    """ISO 8601, of seconds since 1970; a year that Python does not know is cut to the nearest it does."""
    try:
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=round(seconds))
    except OverflowError:
        moment = datetime.min.replace(tzinfo=UTC) if seconds < 0 else datetime.max.replace(tzinfo=UTC)
    if column.type == "date":
        return moment.date().isoformat()
    return moment.replace(tzinfo=None).isoformat() + ("Z" if column.type.endswith("zone") else "")


def _json(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int):
        return value
    return str(value).replace("\0", "\ufffd")  # PostgreSQL's JSON holds no NUL
