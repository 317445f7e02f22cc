"""Sliding windows: at most so many in so many seconds, exact in parallel, with places that can be given back.

Kept in Redis; while Redis is away each process keeps its part, so that a limit never becomes an open door.
"""

import threading
import time
from collections.abc import Iterable, Mapping, Sequence

from portal.errors import TooMany
from portal.extensions import RedisError, redis, settings
from portal.limits import Window

# For each key its windows (how many, then "count, milliseconds" pairs): take a place in all of them, or in none.
# Answers 0, or which key was full and in how many milliseconds there is room again.
_TAKE = """
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local at, longest = 2, {}
for k = 1, #KEYS do
  longest[k] = 0
  for _ = 1, tonumber(table.remove(ARGV, at)) do
    local count, span = tonumber(table.remove(ARGV, at)), tonumber(table.remove(ARGV, at))
    if redis.call('ZCOUNT', KEYS[k], now - span + 1, '+inf') >= count then
      local first = redis.call('ZRANGE', KEYS[k], -count, -count, 'WITHSCORES')
      return {k, tonumber(first[2]) + span - now}
    end
    longest[k] = math.max(longest[k], span)
  end
end
for k = 1, #KEYS do
  redis.call('ZREMRANGEBYSCORE', KEYS[k], '-inf', now - longest[k])
  redis.call('ZADD', KEYS[k], now, ARGV[1])
  redis.call('PEXPIRE', KEYS[k], longest[k])
end
return {0, 0}
"""
Shares = Mapping[str, Sequence[Window]]


class _Here:
    """The same in this process's memory; forgets a key when its places have run out."""

    KEYS = 20_000

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._places: dict[str, list[tuple[float, str]]] = {}

    def take(self, shares: Shares, share: str) -> float | None:
        """None, or the seconds until there is room."""
        now = time.monotonic()
        with self._lock:
            for key, windows in shares.items():
                times = [at for at, _ in self._places.get(key, ())]
                for window in windows:
                    recent = [at for at in times if at > now - window.seconds]
                    if len(recent) >= window.count:
                        return recent[-window.count] + window.seconds - now
            if len(self._places) > self.KEYS:
                self._forget(now)
            for key, windows in shares.items():
                longest = max(window.seconds for window in windows)
                kept = [place for place in self._places.get(key, ()) if place[0] > now - longest]
                self._places[key] = [*kept, (now, share)]
        return None

    def is_full(self, key: str, windows: Sequence[Window]) -> bool:
        now = time.monotonic()
        with self._lock:
            times = [at for at, _ in self._places.get(key, ())]
        return any(sum(at > now - window.seconds for at in times) >= window.count for window in windows)

    def _forget(self, now: float) -> None:
        self._places = {key: kept for key, kept in self._places.items() if kept[-1][0] > now - 3600}

    def give_back(self, keys: Iterable[str], share: str) -> None:
        with self._lock:
            for key in keys:
                kept = [place for place in self._places.get(key, ()) if place[1] != share]
                if kept:
                    self._places[key] = kept
                else:
                    self._places.pop(key, None)


_here = _Here()


def take(shares: Shares, *, share: str, code: str = "too_many") -> None:
    """Take a place, named `share`, in each window of each key, or in none: then `TooMany(code)` with the wait."""
    _refuse(_wait(shares, share), code)


def take_here(shares: Shares, *, share: str, code: str) -> None:
    """The same in this process alone, for those who have found Redis away already."""
    _refuse(_here.take(shares, share), code)


def _refuse(wait: float | None, code: str) -> None:
    if wait is not None:
        seconds = max(1, -int(-wait // 1))
        raise TooMany(code, retry_after=seconds, wait=seconds)


def is_full(key: str, windows: Sequence[Window]) -> bool:
    """Whether a key has no room; takes nothing."""
    now = int(time.time() * 1000)
    try:
        with redis().pipeline(transaction=False) as pipe:
            for window in windows:
                pipe.zcount(key, now - window.seconds * 1000, "+inf")
            return any(count >= window.count for count, window in zip(pipe.execute(), windows, strict=True))
    except RedisError:
        return _here.is_full(key, _part(windows))


def note(key: str, windows: Sequence[Window], *, share: str) -> bool:
    """Take a place if there is one; whether there was."""
    return _wait({key: windows}, share) is None


def first(key: str, seconds: int) -> bool:
    """Whether nobody asked this within so many seconds."""
    return _wait({key: (Window(1, seconds),)}, "first") is None


def give_back(keys: Iterable[str], share: str) -> None:
    """Give up the places that `share` took. Never raises: without Redis they run out by themselves."""
    keys = list(keys)
    _here.give_back(keys, share)
    try:
        with redis().pipeline(transaction=False) as pipe:
            for key in keys:
                pipe.zrem(key, share)
            pipe.execute()
    except RedisError:
        return


def _wait(shares: Shares, share: str) -> float | None:
    args: list[str | int] = [share]
    for windows in shares.values():
        args.append(len(windows))
        for window in windows:
            args += [window.count, window.seconds * 1000]
    try:
        full, wait = redis().eval(_TAKE, len(shares), *shares, *args)
    except RedisError:
        return _here.take({key: _part(windows) for key, windows in shares.items()}, share)
    return float(wait) / 1000 if full else None


def _part(windows: Sequence[Window]) -> Sequence[Window]:
    """What a web process that knows nothing of the others may give."""
    processes = settings().web_processes
    return [Window(max(1, window.count // processes), window.seconds) for window in windows]
