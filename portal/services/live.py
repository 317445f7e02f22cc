"""Copies in Redis of what a poll needs, so that a poll costs one round trip and no SQL. PostgreSQL stays the truth.

`task:<uuid>` holds the newest known copy of a task; `session:<id>` holds who a log-in is, for half a minute,
or a tombstone once it has ended.
A copy that is missing is read from PostgreSQL again; when Redis is away, everything is.
"""

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from loguru import logger

from portal.extensions import Client, RedisError, redis
from portal.services.copies import TaskCopy

TASK_SECONDS = 5  # how long a copy can be out of date when Redis missed a write; beats renew it each second
SESSION_SECONDS = 30
AWAY_SECONDS = 2
TOMBSTONE_SECONDS = 3600
ENDED = "ended"
# There while every ended log-in is known to be buried. The dispatcher renews it each second, after burying: when Redis
# was away for a log-out, it is gone before that log-out is answered, and polls ask PostgreSQL until all is buried.
HEARD, HEARD_SECONDS = "sessions:heard", 2.5

# An older copy never replaces a newer one: writers race, and a poll may hold what it read a while ago.
_PUBLISH = """
local have = redis.call('HGET', KEYS[1], 'version')
if have and tonumber(have) > tonumber(ARGV[1]) then return 0 end
redis.call('HSET', KEYS[1], 'version', ARGV[1], 'body', ARGV[2])
redis.call('EXPIRE', KEYS[1], ARGV[3])
return 1
"""


@contextmanager
def _unless_away() -> Iterator[Client]:
    """The client; for two seconds after a failure RedisError at once: a hung Redis must not hold up every poll."""
    client = redis()
    if time.monotonic() < client.away_until:
        raise RedisError
    try:
        yield client
    except RedisError:
        client.away_until = time.monotonic() + AWAY_SECONDS
        raise


def publish_task(copy: TaskCopy) -> None:
    """Keep this copy of a task unless a newer one is there. Never raises."""
    try:
        with _unless_away() as client:
            client.eval(
                _PUBLISH,
                1,
                f"task:{copy.uuid}",
                copy.version,
                copy.model_dump_json(),
                TASK_SECONDS,
            )
    except RedisError as error:
        logger.warning("redis: task copy not written: {}", type(error).__name__)


def remember_session(session_id: UUID, user: dict[str, Any]) -> None:
    """Keep who a live log-in is; a tombstone stays. Never raises."""
    try:
        with _unless_away() as client:
            client.set(f"session:{session_id}", json.dumps(user), nx=True, ex=SESSION_SECONDS)
    except RedisError as error:
        logger.warning("redis: session not remembered: {}", type(error).__name__)


def bury_sessions(session_ids: Sequence[UUID]) -> None:
    """Put a tombstone over log-ins that have ended; raises RedisError."""
    with redis().pipeline(transaction=True) as pipe:
        _bury(pipe, session_ids)
        pipe.execute()


def bury_or_outwait(session_ids: Sequence[UUID]) -> None:
    """Return when no poll can take these ended log-ins for live ones: buried, or `sessions:heard` has run out."""
    until = time.monotonic() + HEARD_SECONDS
    while True:
        try:
            bury_sessions(session_ids)
        except RedisError as error:
            logger.warning("redis: sessions not buried: {}", type(error).__name__)
        else:
            return
        if (left := until - time.monotonic()) <= 0:
            return
        time.sleep(min(left, 0.2))


def clock() -> int:
    """The time in Redis, in milliseconds; raises RedisError."""
    seconds, micros = redis().time()
    return int(seconds) * 1000 + int(micros) // 1000


def hear(session_ids: Sequence[UUID], since: int) -> None:
    """Bury these, all that had ended at `since` (`clock`), and say that burials are complete, for a short while.

    In one transaction and with an absolute end: held up on its way, it says nothing. Raises RedisError.
    """
    with redis().pipeline(transaction=True) as pipe:
        _bury(pipe, session_ids)
        pipe.set(HEARD, "1", pxat=since + int(HEARD_SECONDS * 1000))
        pipe.execute()


def _bury(pipe: Any, session_ids: Sequence[UUID]) -> None:
    for session_id in session_ids:
        pipe.set(f"session:{session_id}", ENDED, ex=TOMBSTONE_SECONDS)


def look(session_id: UUID, task_uuid: UUID) -> tuple[dict[str, Any] | None, TaskCopy | None]:
    """Who the log-in is and the task's newest copy, each None when unknown here: one round trip."""
    try:
        with _unless_away() as client, client.pipeline(transaction=False) as pipe:
            pipe.get(HEARD)
            pipe.get(f"session:{session_id}")
            pipe.hget(f"task:{task_uuid}", "body")
            heard, user, task = pipe.execute()
    except RedisError:
        return None, None
    known = json.loads(user) if heard and user and user != ENDED else None
    return known, TaskCopy.model_validate_json(task) if task else None
