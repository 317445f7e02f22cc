"""A column's profile as a card: its figures in words, and the geometry of its chart, for templates to put into SVG."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flask_babel import lazy_gettext

from portal.formats import number

_ = lazy_gettext

WIDTH, HEIGHT, GAP = 240, 64, 1
QUANTILES = {"p05": "5%", "p25": "25%", "p50": _("Median"), "p75": "75%", "p95": "95%"}
_MOMENT = re.compile(r"\b([0-9]{4}-[0-9]{2}-[0-9]{2})T([0-9]{2}:)")  # easier to read with a space


@dataclass(frozen=True)
class Bar:
    """One bin of a histogram: from, to, how many rows; and where it stands."""

    begin: str
    end: str
    count: int
    x: float
    width: float
    height: float

    @property
    def y(self) -> float:
        return HEIGHT - self.height


@dataclass(frozen=True)
class Value:
    """A frequent value, how often it is there, and that as a share of the most frequent one in per cent."""

    text: str
    count: int
    share: int


@dataclass(frozen=True)
class Card:
    """`missing` is in per cent of the rows."""

    name: str
    type: str
    count: int
    nulls: int
    missing: float
    figures: list[tuple[Any, str]]
    bars: list[Bar]
    values: list[Value]
    sampled: int | None
    width: int = WIDTH
    height: int = HEIGHT


def card(found: Mapping[str, Any]) -> Card:
    rows = found["count"] + found["nulls"]
    return Card(
        name=found["name"],
        type=found["type"],
        count=found["count"],
        nulls=found["nulls"],
        missing=round(100 * found["nulls"] / rows, 1) if rows else 0,
        figures=_figures(found),
        bars=_bars(found.get("histogram") or {}, whole=found["type"] == "integer"),
        values=_values(found.get("top") or []) if found.get("distinct", 0) < max(found["count"], 2) else [],
        sampled=found.get("sampled"),
    )


def _figures(found: Mapping[str, Any]) -> list[tuple[Any, str]]:
    told: list[tuple[Any, str]] = []
    if "distinct" in found:
        told.append((_("Different values"), ("≈ " if found.get("approximate") else "") + number(found["distinct"])))
    if found["type"] == "text" and "shortest" in found:
        lengths = f"{number(found['shortest'])} – {number(found['longest'])}"
        told += [(_("Length"), lengths), *([(_("Empty texts"), number(found["empty"]))] if found.get("empty") else [])]
    else:
        told += [
            (word, _shown(found[key])) for key, word in (("min", _("Least")), ("max", _("Greatest"))) if key in found
        ]
    if "mean" in found:
        told.append((_("Mean"), _shown(found["mean"])))
    told += [(word, _shown(found["quantiles"][key])) for key, word in QUANTILES.items() if "quantiles" in found]
    if found.get("not_finite"):
        told.append((_("Not a number"), number(found["not_finite"])))
    return told


def _bars(histogram: Mapping[str, Any], *, whole: bool) -> list[Bar]:
    edges, counts = histogram.get("edges") or [], histogram.get("counts") or []
    most = max(counts, default=0)
    if not most:
        return []
    step = WIDTH / len(counts)
    return [
        Bar(
            _shown(edges[n] + 1 if whole and n else edges[n]),
            _shown(edges[n + 1]),
            count,
            round(n * step, 2),
            round(step - GAP, 2),
            round(max(1.0, HEIGHT * count / most), 2) if count else 0,
        )
        for n, count in enumerate(counts)
    ]


def _values(top: Sequence[Sequence[Any]]) -> list[Value]:
    most = top[0][1] if top else 0
    return [Value(_shown(value), count, max(1, round(100 * count / most))) for value, count in top]


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        if value.is_integer() and abs(value) < 1e18:
            return ("≈ " if abs(value) >= 2**53 else "") + number(int(value))
        return number(round(value, 3)) if 0.001 <= abs(value) < 1e15 or not value else f"{value:.6g}"
    return number(value) if isinstance(value, int) else _MOMENT.sub(r"\1 \2", str(value))
