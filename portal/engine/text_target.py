"""How a dataset's values are written in CSV, TSV, JSON and NDJSON."""

from collections.abc import Sequence

from portal.engine import shown
from portal.engine.columns import Column
from portal.engine.harmless import Harmless
from portal.engine.values import identifier, literal

DELIMITERS = {"csv": ",", "tsv": "\t"}
HARMLESS = {
    "csv": Harmless(";\t|"),
    "tsv": Harmless(",;\t|"),
}  # a quoted comma of a csv is known to all who split there


def select(columns: Sequence[Column], format_: str) -> str:
    """What to select, as SQL."""
    harmless = HARMLESS.get(format_)
    names = [identifier(harmless.text(column.name) if harmless else column.name) for column in columns]
    return ", ".join(f"{_expression(column, format_)} AS {name}" for column, name in zip(columns, names, strict=True))


def options(columns: Sequence[Column], format_: str, *, header: bool = True, array: bool = True) -> str:
    """Of COPY; parts of a file leave out what stands once in it.

    All texts of a csv are quoted: many a program splits it at semicolons.
    """
    if delimiter := DELIMITERS.get(format_):
        quotes = "QUOTE '\"', ESCAPE '\"', NULLSTR ''"
        texts = [column.name for column in columns if format_ == "csv" and (column.type == "text" or column.is_nested)]
        quoted = ", ".join(identifier(HARMLESS[format_].text(name)) for name in texts)
        forced = f", FORCE_QUOTE ({quoted})" if texts else ""
        return f"FORMAT csv, HEADER {header}, DELIMITER {literal(delimiter)}, {quotes}{forced}"
    return f"FORMAT json, ARRAY {format_ == 'json' and array}"


def _expression(column: Column, format_: str) -> str:
    """How a column is written: ISO 8601, base64, JSON text; in files for spreadsheets without cells that run."""
    cell, kind, harmless = identifier(column.name), column.type, HARMLESS.get(format_)
    if kind == "blob":
        return f"base64({cell})"
    if column.is_nested:
        said = shown.json_text(cell)
        return harmless.part_sql(said) if harmless else f"CAST({said} AS JSON)"
    if kind == "timestamp with time zone":
        return shown.text(column)
    if harmless:
        return harmless.text_sql(cell) if kind == "text" else cell
    if kind.startswith("decimal"):  # programs read JSON's numbers as doubles, which hold 15 digits
        return cell if int(kind[8:].partition(",")[0]) <= 15 else f"CAST({cell} AS VARCHAR)"
    if kind == "number":
        return f"CASE WHEN isfinite({cell}) THEN {cell} END"
    return shown.text(column) if kind == "timestamp" else cell
