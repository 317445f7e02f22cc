"""A dataset's Parquet file as a DuckDB relation."""

from collections.abc import Sequence
from pathlib import Path

from portal.engine.columns import Column
from portal.engine.values import identifier, literal


def relation(path: Path) -> str:
    return f"read_parquet({literal(str(path))})"


def numbered(path: Path, columns: Sequence[Column]) -> tuple[str, str]:
    """All `columns` of the file, in its order, and each row's place in it; and the name of the latter, quoted.

    DuckDB calls the places file_row_number, as a column of the data may be called: all get other names in between.
    """
    inner = [f"c{n}" for n in range(len(columns))]
    taken = {column.name.lower() for column in columns}
    place = "place"
    while place in taken:
        place += "_"
    named = [f"{cell} AS {identifier(column.name)}" for cell, column in zip(inner, columns, strict=True)]
    selected = ", ".join([*named, f"file_row_number AS {place}"])
    return f"(SELECT {selected} FROM {relation(path)} t({', '.join(inner)}))", place
