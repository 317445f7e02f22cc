"""How values are written as text, as SQL: the same on pages, in profiles, filters and files."""

from portal.engine.columns import Column
from portal.engine.values import identifier, literal

# A text, or what DuckDB writes of numbers that JSON has no word for. Each gets a mark, which JSON itself never holds.
_NOT_JSON = r'("(?:[^"\\]|\\.)*")|-?(?i:nan|inf(?:inity)?)'
_MARK = "chr(1)"


def iso(moment: str, type_: str) -> str:
    """A date or a timestamp as ISO 8601 writes it."""
    zoned = type_.endswith("zone")
    text = f"CAST({moment} AT TIME ZONE 'UTC' AS VARCHAR)" if zoned else f"CAST({moment} AS VARCHAR)"
    return f"regexp_replace({text}, '([0-9]) ([0-9])', '\\1T\\2')" + (" || 'Z'" if zoned else "")


def json_text(cell: str) -> str:
    """A nested value as JSON; numbers in it that are not finite are null."""
    said = f"CAST(to_json({cell}) AS VARCHAR)"
    marked = f"regexp_replace({said}, {literal(_NOT_JSON)}, '\\1' || {_MARK}, 'g')"
    mended = f"replace(replace({marked}, '\"' || {_MARK}, '\"'), {_MARK}, 'null')"
    return f"CASE WHEN regexp_matches({said}, '(?i)nan|inf') THEN {mended} ELSE {said} END"


def text(column: Column) -> str:
    """Any value, as people see it."""
    cell = identifier(column.name)
    if column.is_nested:
        return json_text(cell)
    return iso(cell, column.type) if column.type.startswith("timestamp") else f"CAST({cell} AS VARCHAR)"
