"""How fast bytes move, over a window: too slow is as good as not at all."""

from collections import deque

from portal.front import terms


class Rate:
    """Of one direction of one connection, told `moved` bytes in all at a time."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._marks: deque[tuple[float, int]] = deque()

    def is_too_slow(self, now: float, moved: int) -> bool:
        """Whether less than the least rate has moved over the whole window."""
        self._marks.append((now, moved))
        while len(self._marks) > 1 and self._marks[1][0] <= now - self._seconds:
            self._marks.popleft()
        since, before = self._marks[0]
        return now - since >= self._seconds and moved - before < terms.LEAST_RATE * self._seconds

    def rest(self) -> None:
        """Nothing is to move now."""
        self._marks.clear()
