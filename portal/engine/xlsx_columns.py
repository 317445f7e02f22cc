"""The columns of a sheet: their names, and as what their cells are read once all of them are known."""

from collections.abc import Iterable

from portal.engine.csv_dialect import unique_names
from portal.engine.ndjson_source import DATES, Field
from portal.engine.values import identifier
from portal.engine.xlsx_cells import Cell
from portal.engine.xlsx_serials import Kind

_DIGITS = 38  # of the longest whole number a table holds
_BIGINT = 18  # digits that surely fit into 64 bits
_NUMBERS = Kind.WHOLE | Kind.FRACTION


class Columns:
    """As rows become longer there are more, which are called after their places."""

    def __init__(self, cells: Iterable[str]) -> None:
        self.names = unique_names(cells)
        self._taken = {name.lower() for name in self.names}
        self._kinds = [Kind.NOTHING] * len(self.names)
        self._digits: dict[int, int] = {}  # of the longest of the large numbers, by the columns' places

    def lengthen(self, width: int) -> None:
        while len(self.names) < width:  # not all anew: thousands of rows may each be longer than those before
            name = f"column{len(self.names) + 1}"
            while name in self._taken:
                name += "_2"
            self.names.append(name)
            self._kinds.append(Kind.NOTHING)
            self._taken.add(name)

    def take(self, place: int, cell: Cell) -> None:
        """Note what stands in a column."""
        kind, value = cell
        self._kinds[place] |= kind
        if kind == Kind.LARGE:
            self._digits[place] = max(self._digits.get(place, 0), len(value.lstrip("-")))

    def fields(self) -> list[Field]:
        """How each is read from lines whose keys are `key_of` its place."""
        return [
            self._field(place, name, kinds)
            for place, (name, kinds) in enumerate(zip(self.names, self._kinds, strict=True))
        ]

    def _field(self, place: int, name: str, kinds: Kind) -> Field:
        key, cell, digits = key_of(place), identifier(name), self._digits.get(place, 0)
        if kinds in (Kind.WHOLE, Kind.FRACTION, _NUMBERS):
            sql_type = "BIGINT" if kinds == Kind.WHOLE else "DOUBLE"
            return Field(key, name, sql_type, (), cell)
        if kinds in (Kind.LARGE, Kind.LARGE | Kind.WHOLE) and digits <= _DIGITS:
            return Field(key, name, "BIGINT" if digits <= _BIGINT else f"DECIMAL({_DIGITS},0)", (), cell)
        if kinds == Kind.BOOLEAN:
            return Field(key, name, "BOOLEAN", (), cell)
        if kinds == Kind.DAY:
            return Field(key, name, "VARCHAR", (), f"CAST({cell} AS DATE)")
        if kinds in (Kind.MOMENT, Kind.DAY | Kind.MOMENT):
            return Field(key, name, "VARCHAR", (), f"CAST({cell} AS TIMESTAMP)")
        texts = Kind.TEXT in kinds and not kinds & ~(Kind.TEXT | Kind.DAY | Kind.MOMENT)
        return Field(key, name, "VARCHAR", DATES if texts else (), cell)


def key_of(place: int) -> str:
    """Short, as it stands in each line."""
    return f"c{place}"


def text_of(cell: Cell) -> str:
    """A cell as a column of texts has it."""
    kind, value = cell
    return str(value).lower() if kind == Kind.BOOLEAN else str(value)
