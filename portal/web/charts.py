"""Charts drawn on the server: the geometry of their bars, for templates to put into SVG."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

HEIGHT, BAR, GAP = 120, 14, 6


@dataclass(frozen=True)
class Bar:
    """One day: what was sent (or may have been) stands below what failed."""

    day: date
    sent: int
    failed: int
    x: int
    sent_height: int
    failed_height: int

    @property
    def sent_y(self) -> int:
        return HEIGHT - self.sent_height

    @property
    def failed_y(self) -> int:
        return self.sent_y - self.failed_height


@dataclass(frozen=True)
class Chart:
    bars: Sequence[Bar]
    most: int
    sent: int
    failed: int
    height: int = HEIGHT
    bar: int = BAR

    @property
    def width(self) -> int:
        return len(self.bars) * (BAR + GAP) - GAP


def per_day(rows: Sequence[Any], channel: str) -> Chart | None:
    """A bar for every day from the first to the last that `messages.spending` tells of; None without any."""
    counted = {row.day: (row.sent + row.unknown, row.failed) for row in rows if row.channel == channel}
    if not counted:
        return None
    first, last = min(row.day for row in rows), max(row.day for row in rows)
    days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    most = max(sum(pair) for pair in counted.values()) or 1
    bars = [_bar(n, day, *counted.get(day, (0, 0)), most) for n, day in enumerate(days)]
    return Chart(bars, most, sum(bar.sent for bar in bars), sum(bar.failed for bar in bars))


def _bar(n: int, day: date, sent: int, failed: int, most: int) -> Bar:
    heights = (round(HEIGHT * count / most) or min(count, 1) for count in (sent, failed))
    return Bar(day, sent, failed, n * (BAR + GAP), *heights)
