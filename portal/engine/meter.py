"""How far a piece of work is. The work writes; another thread reads at any moment, also while the work is blocked."""

import math
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

WINDOW = 4.0  # seconds; a rate is of the recent past, so that it falls when the work stands still
SPACING = 0.1  # seconds between two samples of it
HALF = 64 * 1024**2  # without a total the bar still moves, ever more slowly: half of its span at so many units


@dataclass(frozen=True)
class Reading:
    """Per cent, 0 to 99, and what is being done: code and params of a sentence. No code: nothing has begun."""

    percent: int
    code: str
    params: dict[str, Any]


@dataclass
class _Step:
    code: str
    begin: int
    end: int
    moved_at: float
    done: float = 0
    total: float | None = None
    params: dict[str, Any] = field(default_factory=dict)
    samples: deque[tuple[float, float]] = field(default_factory=deque)  # moments, and what was done then

    def moved(self, now: float, done: float) -> None:
        if done < self.done:
            self.samples = deque([(now, done)])
        elif now - self.samples[-1][0] >= SPACING:
            self.samples.append((now, done))
            self._forget(now)
        if done != self.done:
            self.done, self.moved_at = done, now

    def rate(self, now: float) -> float:
        """Units a second over the window, or since the step began if that is less."""
        self._forget(now)
        since, before = self.samples[0]
        if now - self.moved_at >= WINDOW:
            return 0.0
        return (self.done - before) / max(0.001, min(WINDOW, now - since))

    def percent(self) -> int:
        share = self.done / self.total if self.total else self.done / (self.done + HALF)
        return int(self.begin + (self.end - self.begin) * min(1.0, share))

    def said(self, rate: float, left: int | None) -> tuple[str, dict[str, Any]]:
        match self.code:
            case "downloading" if rate == 0:
                return "stalled", {"bytes": self.done, "total": self.total}
            case "downloading":
                return self.code, {"bytes": self.done, "total": self.total, "rate": round(rate), "left": left}
            case "unpacking":
                return self.code, {**self.params, "left": left}
            case "converting" | "decoding" | "profiling" | "exporting" | "packing":
                share = min(99, int(100 * self.done / self.total)) if self.total else 0
                return self.code, {"share": share, "left": left}
            case _:
                return self.code, {}

    def _forget(self, now: float) -> None:
        """Keep one sample from before the window: what was done when it began."""
        while len(self.samples) > 1 and self.samples[1][0] <= now - WINDOW:
            self.samples.popleft()


class Meter:
    """Percentages never fall and are never 100: that is for the end of the task alone."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._highest = 0
        self.step("", (0, 0))

    def step(self, code: str, span: tuple[int, int]) -> None:
        """A new step begins; `span` is where it begins and ends, in per cent."""
        now = self._clock()
        with self._lock:
            self._step = _Step(code, *span, moved_at=now, samples=deque([(now, 0)]))
            self._raise_highest()

    def moved(self, done: float, total: float | None = None, **params: Any) -> None:
        """So many units of the step are done. Fewer than before: it began anew."""
        now = self._clock()
        with self._lock:
            self._step.moved(now, done)
            self._step.total, self._step.params = total, params
            self._raise_highest()

    def read(self) -> Reading:
        """As of now. `left` in its params: seconds until the end of this step, None while that cannot be known."""
        now = self._clock()
        with self._lock:
            step = self._step
            rate = step.rate(now)
            left = max(1, math.ceil((step.total - step.done) / rate)) if step.total and rate else None
            return Reading(self._highest, *step.said(rate, left))

    def _raise_highest(self) -> None:
        self._highest = max(self._highest, min(99, self._step.percent()))
