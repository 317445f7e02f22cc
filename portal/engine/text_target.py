"""How a dataset's values are written in CSV, TSV, JSON and NDJSON."""

from collections.abc import Sequence

from portal.engine import harmless, shown
from portal.engine.columns import Column
from portal.engine.values import identifier, literal

DELIMITERS = {"csv": ",", "tsv": "\t"}


def select(columns: Sequence[Column], format_: str) -> str:
    """What to select, as SQL."""
    harmless_names = format_ in DELIMITERS
    names = [identifier(harmless.text(column.name) if harmless_names else column.name) for column in columns]
    return ", ".join(f"{_expression(column, format_)} AS {name}" for column, name in zip(columns, names, strict=True))


def options(format_: str, *, header: bool = True, array: bool = True) -> str:
    """Of COPY; parts of a file leave out what stands once in it."""
    if delimiter := DELIMITERS.get(format_):
        quotes = "QUOTE '\"', ESCAPE '\"', NULLSTR ''"
        return f"FORMAT csv, HEADER {header}, DELIMITER {literal(delimiter)}, {quotes}"
    return f"FORMAT json, ARRAY {format_ == 'json' and array}"


def _expression(column: Column, format_: str) -> str:
    """How a column is written: ISO 8601, base64, JSON text; in files for spreadsheets without cells that run."""
    cell, kind = identifier(column.name), column.type
    if kind == "blob":
        return f"base64({cell})"
    if column.is_nested:
        return shown.json_text(cell) if format_ in DELIMITERS else f"CAST({shown.json_text(cell)} AS JSON)"
    if kind == "timestamp with time zone":
        return shown.text(column)
    if format_ in DELIMITERS:
        is_text = kind == "text"
        return harmless.sql(cell, literal(harmless.DANGEROUS), literal(harmless.NUMBER)) if is_text else cell
    if kind.startswith("decimal"):  # programs read JSON's numbers as doubles, which hold 15 digits
        return cell if int(kind[8:].partition(",")[0]) <= 15 else f"CAST({cell} AS VARCHAR)"
    if kind == "number":
        return f"CASE WHEN isfinite({cell}) THEN {cell} END"
    return shown.text(column) if kind == "timestamp" else cell
