"""Numbers that stand for days and times in a workbook, as ISO 8601: days since 1900 or 1904, the rest is the time."""

import datetime as dt
import re
from enum import IntFlag

from portal.engine.xlsx_formats import Format

_DAY_MS = 86_400_000  # a cell shows no less than a millisecond, and its number is exact to one
_EPOCH, _EARLY_EPOCH, _MAC_EPOCH = dt.date(1899, 12, 30), dt.date(1899, 12, 31), dt.date(1904, 1, 1)
_LEAP_DAY = 60  # 1900-02-29, which never was: what comes before it is counted from another day
_LAST = 2_958_465  # 9999-12-31
_CLOCKED_DAYS = 366  # a format of hours alone shows no day: up to so many it is a sum of hours
_ISO_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_ISO_MOMENT = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?)")


class Kind(IntFlag):
    """Of what stands in a cell; of a column those of all its cells. `LARGE` are whole numbers that a double lacks."""

    NOTHING = 0
    WHOLE = 1
    FRACTION = 2
    LARGE = 4
    BOOLEAN = 8
    DAY = 16
    MOMENT = 32
    TEXT = 64


def written(number: float, format_: Format, *, is_1904: bool) -> tuple[Kind, str] | None:
    """What a cell of this format shows: `NOTHING` for days that never were, 0 and 1900-02-29; None where no date has
    this number, so that it stays one."""
    days, ms = divmod(round(number * _DAY_MS), _DAY_MS)
    if format_ == Format.DURATION:
        return Kind.TEXT, _hours(number)
    if number < 0 or days > _LAST:
        return None
    if format_ == Format.CLOCK and number < _CLOCKED_DAYS:
        return Kind.TEXT, _hours(number)
    if not is_1904 and not days:
        return (Kind.TEXT, _hours(number)) if ms else (Kind.NOTHING, "")
    if is_1904:
        if days > _LAST - 1462:
            return None
        day = _MAC_EPOCH + dt.timedelta(days=days)
    elif days == _LEAP_DAY:
        return Kind.NOTHING, ""
    else:
        day = (_EARLY_EPOCH if days < _LEAP_DAY else _EPOCH) + dt.timedelta(days=days)
    if format_ == Format.DAY and not ms:
        return Kind.DAY, day.isoformat()
    return Kind.MOMENT, f"{day.isoformat()} {_hours(ms / _DAY_MS)}"


def from_iso(text: str, format_: Format) -> tuple[Kind, str]:
    """A cell that holds its date as text, as strict workbooks do."""
    if _ISO_DAY.fullmatch(text):
        return Kind.DAY, text
    if not (moment := _ISO_MOMENT.fullmatch(text)):
        return Kind.TEXT, text
    day, clock = moment.groups()
    if format_ == Format.DAY and not clock.strip("0:."):
        return Kind.DAY, day
    return Kind.MOMENT, f"{day} {clock}"


def _hours(days: float) -> str:
    """Hours, minutes and seconds, as they are shown; there may be more than 24."""
    ms = round(abs(days) * _DAY_MS)
    seconds, ms = divmod(ms, 1000)
    text = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return f"{'-' if days < 0 else ''}{text}{f'.{ms:03}' if ms else ''}"
