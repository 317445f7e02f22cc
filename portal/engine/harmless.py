"""Cells that a spreadsheet would run are made harmless by an apostrophe; numbers are left alone.

What runs, in the spreadsheets we know: a text whose first visible character is = + - @, full-width forms too, and one
that begins with a tab or a line break, behind which programs look again. https://owasp.org/www-community/attacks/CSV_Injection

The same holds for what stands behind a semicolon, a tab or a bar within a text: Excel splits at what its country
separates lists with, and knows a quoted text only where a cell begins. Behind a line break, where honest texts have
lists with dashes, = and @ count, and signs only with what runs a program or a function.
"""

import re

from portal.engine.values import literal

# Characters themselves, not escapes: DuckDB's and Python's expressions spell those differently.
_BLANKS = "".join(map(chr, [*range(1, 33), 127, *range(0x80, 0xA1), 0xAD, *range(0x2000, 0x2010), 0x2028, 0x2029]))
_BLANKS += "".join(map(chr, [0x202F, 0x205F, 0x2060, 0x3000, 0x00A0, 0x180E, 0xFEFF]))
_STARTS = "=+@＝＋－＠﹢﹣﹫|%"
DANGEROUS = f"(?s:[{_BLANKS}\"']*[-{_STARTS}].*|[\t\r\n].*)"
NUMBER = "[-+]?(?:[0-9]+(?:[.][0-9]*)?|[.][0-9]+)(?:[eE][-+]?[0-9]+)?"

_LINES = "\r\n"
_SPACE = "".join(char for char in _BLANKS if char not in f"\t{_LINES}")
_AWAY = f"[{_SPACE}\\x00\"']*"
_CALLS = f"[-+＋－﹢﹣][{_SPACE}]*(?:[A-Za-z.]+[(]|[^{_LINES}]*[|])"
_MARK = "\ufdd0'"  # an apostrophe of ours, until it is sure to stay; the character before it is none
_MARKED, _SIGNED = f"\\1\\3{_MARK}\\2\\4", "\\1\\2\\3"

_dangerous, _number = re.compile(DANGEROUS), re.compile(NUMBER)


class Harmless:
    """The rule for a file whose texts may be split at any of `separators`; each of them beside its own delimiter."""

    def __init__(self, separators: str) -> None:
        starts = _STARTS.replace("|", "")
        self._within = f"([{separators}]{_AWAY})([-{starts}])|([{_LINES}]{_AWAY})([=@＝＠﹫]|{_CALLS})"
        self._signed = f"([{separators}]{_AWAY}){_MARK}({NUMBER}[{_SPACE}\"']*)([{separators}{_LINES}]|$)"

    def text(self, value: str) -> str:
        """The cell's text as it may stand in the file."""
        start = value.lstrip("\0")
        risky = start != value or (_dangerous.fullmatch(start) and not _number.fullmatch(start))
        return ("'" if risky else "") + self.part(value)

    def part(self, value: str) -> str:
        """A text as it may stand within a cell: no piece of it runs."""
        if not re.search(self._within, value):
            return value
        marked = re.sub(self._within, _MARKED, value)
        for _ in range(2):  # what ends one number begins the next
            marked = re.sub(self._signed, _SIGNED, marked)
        return marked.replace(_MARK, "'")

    def text_sql(self, cell: str) -> str:
        """`text` as an expression."""
        runs = f"regexp_full_match({cell}, {literal(DANGEROUS)}) AND NOT regexp_full_match({cell}, {literal(NUMBER)})"
        return f"CASE WHEN starts_with({cell}, chr(0)) OR ({runs}) THEN chr(39) ELSE '' END || {self.part_sql(cell)}"

    def part_sql(self, cell: str) -> str:
        """`part` as an expression."""
        marked = f"regexp_replace({cell}, {literal(self._within)}, {literal(_MARKED)}, 'g')"
        for _ in range(2):
            marked = f"regexp_replace({marked}, {literal(self._signed)}, {literal(_SIGNED)}, 'g')"
        mended = f"replace({marked}, {literal(_MARK)}, chr(39))"
        return f"CASE WHEN regexp_matches({cell}, {literal(self._within)}) THEN {mended} ELSE {cell} END"
