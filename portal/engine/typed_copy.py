"""A relation of text becomes Parquet, with types found in its rows: those of the first, or of all where they differ."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import duckdb

from portal.engine import database, parquet_rows
from portal.engine.columns import Column, readable
from portal.engine.stop import Stop
from portal.engine.values import MISFIT, Type, cast, chosen, detection, identifier, literal, surviving

SAMPLE_ROWS = 20_000
SAMPLE_CELLS = 1_000_000
VECTOR = 2048  # DuckDB works in vectors of this many rows

Report: TypeAlias = Callable[[float], object]


@dataclass(frozen=True)
class Converted:
    """`skipped` rows were left out; `first_skipped` has line, reason and the beginning of the first one's text.
    `wide`: so many columns, more than a table has, were kept as one of JSON. `bare`: its quotation marks are
    characters like any other, which its beginning did not tell. `converted`: see `parquet_values.How`."""

    rows: int
    columns: list[Column]
    skipped: int = 0
    first_skipped: dict[str, Any] | None = None
    sheet: str | None = None
    wide: int | None = None
    bare: bool = False
    converted: Mapping[str, list[str]] = field(default_factory=dict)
    found: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    """What to read, and for each column (name, possible types of its text, how it is read if it is no text)."""

    relation: str
    columns: Sequence[tuple[str, Sequence[Type], str]]


@dataclass(frozen=True)
class TypedCopy:
    """Writes `target`. `report` gets the share that is done, 0 to 1; it falls when all is read anew."""

    connection: duckdb.DuckDBPyConnection
    target: Path
    group_rows: int
    stop: Stop
    report: Report

    def _typed(self, plan: Plan, report: Report) -> Converted:
        """Types from the first rows; if a later value does not fit, from all rows."""
        everything = [candidates for _, candidates, _ in plan.columns]
        rows = max(VECTOR, min(SAMPLE_ROWS, SAMPLE_CELLS // len(everything)))
        likely = self._detect(plan, f"(FROM {plan.relation} LIMIT {rows})", everything)
        try:
            return self._copy(plan, likely, report)
        except Misfit:
            sure = self._detect(plan, plan.relation, likely, self._first_half)
            return self._copy(plan, sure, self._second_half)

    def _detect(
        self, plan: Plan, rows: str, candidates: Sequence[Sequence[Type]], report: Report | None = None
    ) -> list[list[Type]]:
        query = f"FROM {rows} SELECT {detection([name for name, _, _ in plan.columns], candidates)}"
        answers = database.run(self.connection, query, self.stop, report)[0]
        return surviving(answers, candidates)

    def _copy(self, plan: Plan, candidates: Sequence[Sequence[Type]], report: Report) -> Converted:
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
            raise Misfit from problem
        except duckdb.InvalidInputException as problem:
            if MISFIT in str(problem):
                raise Misfit from problem
            raise
        self.connection.execute(f"FROM {parquet_rows.relation(self.target)} LIMIT 0")
        written = self.connection.description or []
        return Converted(rows, [Column(entry[0], readable(entry[1])) for entry in written])

    def _first_half(self, share: float) -> None:
        self.report(share / 2)

    def _second_half(self, share: float) -> None:
        self.report(0.5 + share / 2)


class Misfit(Exception):
    """A value does not fit the type its column has been given."""
