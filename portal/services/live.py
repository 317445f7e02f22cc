"""Copies in Redis of what a poll needs, so that a poll costs one round trip and no SQL. PostgreSQL stays the truth.

`task:<uuid>` holds the newest known copy of a task; `session:<id>` holds who a log-in is, for half a minute,
or a tombstone once it has ended.
A copy that is missing is read from PostgreSQL again; when Redis is away, everything is.
"""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from loguru import logger

from portal.extensions import RedisError, redis
from portal.models.tasks import WAITING
from portal.services.copies import TaskCopy, poll_after

TASK_SECONDS = 5  # and two polls: so long a copy can be out of date when Redis missed a write; beats renew it
SESSION_SECONDS = 30
TOMBSTONE_SECONDS = 3600
ENDED = "ended"
# There while every ended log-in is known to be buried. The dispatcher renews it each second, after burying: when Redis
# was away for a log-out, it is gone before that log-out is answered, and polls ask PostgreSQL until all is buried.
HEARD, HEARD_SECONDS = "sessions:heard", 2.5
PLACES, PLACES_SECONDS = "queue:places", 5
RUNG = "queue:rung"

# An older copy never replaces a newer one: writers race, and a poll may hold what it read a while ago.
_PUBLISH = """
local have = redis.call('HGET', KEYS[1], 'version')
if have and tonumber(have) > tonumber(ARGV[1]) then return 0 end
redis.call('HSET', KEYS[1], 'version', ARGV[1], 'body', ARGV[2])
redis.call('EXPIRE', KEYS[1], ARGV[3])
return 1
"""


def publish_task(copy: TaskCopy) -> None:
    """Keep this copy of a task unless a newer one is there. Never raises."""
    publish_tasks([copy])


def publish_tasks(copies: Sequence[TaskCopy]) -> None:
    """The same for several: one round trip. A copy lives a little longer than it takes until the next poll."""
    try:
        with redis().pipeline(transaction=False) as pipe:
            for copy in copies:
                seconds = TASK_SECONDS + 2 * poll_after(copy)
                pipe.eval(_PUBLISH, 1, f"task:{copy.uuid}", copy.version, copy.model_dump_json(), seconds)
            pipe.execute()
    except RedisError as error:
        logger.warning("redis: task copies not written: {}", type(error).__name__)


def remember_session(session_id: UUID, user: dict[str, Any]) -> None:
    """Keep who a live log-in is; a tombstone stays. Never raises."""
    try:
        redis().set(f"session:{session_id}", json.dumps(user), nx=True, ex=SESSION_SECONDS)
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


@dataclass(frozen=True)
class Look:
    """What Redis knows: who the log-in is, how often it polled this minute, tasks, places; None if it does not."""

    person: dict[str, Any] | None = None
    polls: int | None = None
    tasks: Mapping[UUID, TaskCopy] = field(default_factory=dict)
    places: Mapping[UUID, str] = field(default_factory=dict)


def look(session_id: UUID, uuids: Sequence[UUID]) -> Look:
    """All that a poll of these tasks needs: one round trip."""
    polls = f"polls:{session_id}"
    try:
        with redis().pipeline(transaction=False) as pipe:
            pipe.get(HEARD)
            pipe.get(f"session:{session_id}")
            pipe.incr(polls)
            pipe.expire(polls, 60, nx=True)
            pipe.hmget(PLACES, [str(uuid) for uuid in uuids] or [""])
            for uuid in uuids:
                pipe.hget(f"task:{uuid}", "body")
            heard, user, count, _, places, *bodies = pipe.execute()
    except RedisError:
        return Look()
    known = json.loads(user) if heard and user and user != ENDED else None
    found = zip(uuids, bodies, places, strict=True) if uuids else ()
    read = [(uuid, body and TaskCopy.model_validate_json(body), place) for uuid, body, place in found]
    tasks = {uuid: copy for uuid, copy, _ in read if copy}
    return Look(known, count, tasks, {uuid: place for uuid, _, place in read if place})


def tell_places(expected: Mapping[UUID, float]) -> None:
    """Say when tasks that wait, in their order, may start (seconds since 1970; 0: nobody knows). Raises RedisError.

    They are forgotten after a few seconds, unless they are told again.
    """
    with redis().pipeline(transaction=True) as pipe:
        pipe.delete(PLACES)
        if expected:
            places: dict[Any, Any] = {str(uuid): f"{n} {at:.0f}" for n, (uuid, at) in enumerate(expected.items(), 1)}
            pipe.hset(PLACES, mapping=places)
            pipe.expire(PLACES, PLACES_SECONDS)
        pipe.execute()


def with_places(copies: Sequence[TaskCopy]) -> list[TaskCopy]:
    """The same copies; those that wait with their places, as far as Redis knows them."""
    waiting = [str(copy.uuid) for copy in copies if copy.status in WAITING]
    if not waiting:
        return list(copies)
    try:
        told = dict(zip(waiting, redis().hmget(PLACES, waiting), strict=True))
    except RedisError:
        return list(copies)
    return [placed(copy, told.get(str(copy.uuid))) for copy in copies]


def placed(copy: TaskCopy, told: Any) -> TaskCopy:
    """The copy with its place, if it waits and was told one."""
    if not told or copy.status not in WAITING:
        return copy
    place, at = (int(part) for part in told.split())
    return copy.model_copy(update={"place": place, "expected_start": datetime.fromtimestamp(at, UTC) if at else None})


def remembers_rings() -> bool:
    """Whether Redis is the one that was rung last: one that began empty has lost all rings. Raises RedisError."""
    return redis().set(RUNG, "1", nx=True) is None
