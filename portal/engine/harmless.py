"""Cells that a spreadsheet would run are made harmless by an apostrophe; numbers are left alone.

What runs, in the spreadsheets we know: a text whose first visible character is = + - @, full-width forms too, and one
that begins with a tab or a line break, behind which programs look again. https://owasp.org/www-community/attacks/CSV_Injection
"""

import re

# Characters themselves, not escapes: DuckDB's and Python's expressions spell those differently.
_BLANKS = "".join(map(chr, [*range(1, 33), 127, *range(0x80, 0xA1), 0xAD, *range(0x2000, 0x2010), 0x2028, 0x2029]))
_BLANKS += "".join(map(chr, [0x202F, 0x205F, 0x2060, 0x3000, 0x00A0, 0x180E, 0xFEFF]))
_STARTS = "=+@＝＋－＠﹢﹣﹫|%"
DANGEROUS = f"(?s:[{_BLANKS}\"']*[-{_STARTS}].*|[\t\r\n].*)"
NUMBER = "[-+]?(?:[0-9]+(?:[.][0-9]*)?|[.][0-9]+)(?:[eE][-+]?[0-9]+)?"

_dangerous, _number = re.compile(DANGEROUS), re.compile(NUMBER)


def text(value: str) -> str:
    """The cell's text as it may stand in a file for spreadsheets."""
    start = value.lstrip("\0")
    risky = start != value or (_dangerous.fullmatch(start) and not _number.fullmatch(start))
    return f"'{value}" if risky else value


def sql(cell: str, literal: str, number: str) -> str:
    """The same as an expression; `literal` and `number` are the patterns as SQL literals."""
    runs = f"regexp_full_match({cell}, {literal}) AND NOT regexp_full_match({cell}, {number})"
    risky = f"(starts_with({cell}, chr(0)) OR ({runs}))"
    return f"CASE WHEN {risky} THEN chr(39) || {cell} ELSE {cell} END"
