"""Numbers, sizes and times as the reader's language writes them, for templates and sentences."""

import math

from babel.numbers import format_decimal
from flask import Flask
from flask_babel import get_locale, ngettext

UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


def number(value: float | None) -> str:
    """With thousands separators, at most three decimals; an en dash for None."""
    return "–" if value is None else str(format_decimal(value, locale=get_locale() or "en"))


def filesize(size: float | None) -> str:
    """Bytes as a person reads them, three significant digits: 1536 → "1.5 KiB"; an en dash for None."""
    if size is None:
        return "–"
    unit = 0
    while abs(size) >= 1024 and unit < len(UNITS) - 1:
        size /= 1024
        unit += 1
    pattern = "#,##0" if unit == 0 or abs(size) >= 100 else "#,##0.0" if abs(size) >= 10 else "#,##0.##"
    return f"{format_decimal(size, format=pattern, locale=get_locale() or 'en')} {UNITS[unit]}"


def duration(seconds: float | None) -> str:
    """Seconds as 0.4 s (whole ones: 4 s), 12 s, 3:05 or 1:02:03; an en dash for None."""
    if seconds is None:
        return "–"
    if seconds < 10 and not isinstance(seconds, int):
        return f"{format_decimal(seconds, format='0.0', locale=get_locale() or 'en')} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def wait(seconds: float) -> str:
    """How long to wait, within a sentence: in seconds, in minutes from one on, in hours from two on; rounded up."""
    whole = math.ceil(seconds)
    if whole < 60:
        return str(ngettext("%(num)s second", "%(num)s seconds", whole))
    minutes = math.ceil(whole / 60)
    if minutes < 120:
        return str(ngettext("%(num)s minute", "%(num)s minutes", minutes))
    hours = math.ceil(minutes / 60)
    return str(ngettext("%(num)s hour", "%(num)s hours", hours))


def register(app: Flask) -> None:
    """Give templates the filters `number`, `filesize` and `duration`."""
    app.jinja_env.filters.update(number=number, filesize=filesize, duration=duration)
