"""What a format of a workbook's cells makes of a number: a day, a moment, a time, a duration, or just a number."""

import re
from enum import IntEnum

# A blank cell of this format says that its row is one, though nothing else stands in it; so are rows of nulls written.
ROW_FORMAT = 'General;General;General;"row"'


class Format(IntEnum):
    """`ROW` is `ROW_FORMAT`'s."""

    NUMBER = 0
    DAY = 1
    MOMENT = 2
    CLOCK = 3
    DURATION = 4
    ROW = 5


# Those that have no code of their own in a file (ECMA-376, 18.8.30). From 27 on they depend on the country: what is a
# date in one of China, Taiwan, Japan and Korea is one, or a time, in the others; the Thai ones begin at 71.
BUILT_IN = {
    **dict.fromkeys([14, 15, 16, 17, *range(27, 32), *range(34, 37), *range(50, 59), *range(71, 75), 81], Format.DAY),
    **dict.fromkeys([18, 19, 20, 21, 32, 33, 45, 47, 75, 76, 78, 80], Format.CLOCK),
    **dict.fromkeys([22, 77], Format.MOMENT),
    **dict.fromkeys([46, 79], Format.DURATION),
}

_TOKENS = re.compile(
    r"""(?P<literal>"[^"]*"?|\\.|_.|\*.)|(?P<elapsed>\[(?:h+|m+|s+)\])|(?P<bracket>\[[^\]]*\])
    |(?P<half>AM/PM|A/P|上午/下午|午前/午後)|(?P<general>General|Standard|G/通用格式|G/標準)|(?P<part>;)
    |(?P<fraction>(?<=s)[.,]0+|(?<=s\])[.,]0+)|(?P<date>y+|d+|g+|b{2,}|a{3,}|e(?![-+]))|(?P<m>m+)|(?P<time>h+|s+)
    |(?P<digit>[0\#?])|(?P<other>.)""",
    re.IGNORECASE | re.VERBOSE | re.DOTALL,
)


def format_of(code: str) -> Format:
    """By the first part of a format's code that is no mere text."""
    if code == ROW_FORMAT:
        return Format.ROW
    kinds: list[str] = []
    for token in _TOKENS.finditer(code):
        kind = str(token.lastgroup)
        if kind == "part":
            if kinds:
                break
        elif kind not in ("literal", "bracket", "other"):
            kinds.append(kind)
    if "digit" in kinds or "general" in kinds:
        return Format.NUMBER
    if "elapsed" in kinds:
        return Format.DURATION
    clock = [kind for kind in kinds if kind not in ("half", "fraction")]
    minutes = [
        clock[max(0, n - 1) : n] == ["time"] or clock[n + 1 : n + 2] == ["time"]
        for n, kind in enumerate(clock)
        if kind == "m"
    ]
    is_day = "date" in clock or not all(minutes)
    is_clock = "time" in clock
    if is_day:
        return Format.MOMENT if is_clock else Format.DAY
    return Format.CLOCK if is_clock or "half" in kinds else Format.NUMBER
