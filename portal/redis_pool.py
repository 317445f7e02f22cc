"""Connections to Redis that make a Redis which is dead or hangs cost little: nobody waits for what has just failed."""

import os
import time
from collections.abc import Callable
from typing import Any, TypeVar

from redis import BlockingConnectionPool
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

ANSWER_SECONDS = 0.5
AWAY_SECONDS = 2.0

T = TypeVar("T")


class Outage:
    """What a process knows of its Redis: for two seconds after a failure it is away, then one call tries."""

    def __init__(self) -> None:
        self._until = 0.0
        self._doubtful = False

    def is_on(self) -> bool:
        """Whether to leave Redis alone; False to the one that shall try while others still leave it alone."""
        now = time.monotonic()
        if now < self._until:
            return True
        if self._doubtful:
            self._doubtful, self._until = False, now + ANSWER_SECONDS + 0.1
        return False

    def begin(self) -> None:
        self._doubtful, self._until = True, time.monotonic() + AWAY_SECONDS

    def end(self) -> None:
        self._doubtful, self._until = False, 0.0


class _Noting(Retry):
    """One more try on a fresh connection: after a restart of Redis every pooled one is stale. What fails is noted."""

    def __init__(self, outage: Outage) -> None:
        super().__init__(NoBackoff(), 1, supported_errors=(RedisConnectionError,))
        self._outage = outage

    def __deepcopy__(self, _: object) -> "_Noting":
        return self  # each connection makes its own copy; what is known is shared

    def call_with_retry(self, do: Callable[[], T], fail: Any, *args: Any, **kwargs: Any) -> T:
        try:
            return super().call_with_retry(do, fail, *args, **kwargs)
        except (RedisConnectionError, RedisTimeoutError):
            self._outage.begin()
            raise


class Pool(BlockingConnectionPool):
    """At most so many connections; whoever finds none free waits half a second for one, then gets RedisError."""

    def __init__(self, **options: Any) -> None:
        self.outage = Outage()
        fixed = {"timeout": ANSWER_SECONDS, "retry": _Noting(self.outage)}
        super().__init__(**{**options, **fixed})  # type: ignore[no-untyped-call]

    def get_connection(self, *args: Any, **kwargs: Any) -> Any:
        if self.outage.is_on():
            raise RedisConnectionError("away")
        return super().get_connection(*args, **kwargs)  # type: ignore[no-untyped-call]

    def release(self, connection: Any) -> None:
        if connection.is_connected:  # what fails is disconnected: it has answered
            self.outage.end()
        super().release(connection)  # type: ignore[no-untyped-call]


def pool(url: str, *, size: int) -> Pool:
    """Text in, text out; no call waits longer than half a second."""
    return Pool.from_url(
        url,
        decode_responses=True,
        max_connections=size,
        socket_timeout=ANSWER_SECONDS,
        socket_connect_timeout=ANSWER_SECONDS,
    )


def size(*, local: bool) -> int:
    """How many connections a process may have: ten in local mode, else eight a core, between 20 and 100."""
    return 10 if local else min(100, max(20, 8 * len(os.sched_getaffinity(0))))
