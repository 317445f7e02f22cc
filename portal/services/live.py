"""Copies in Redis of what a poll needs, so that a poll costs one round trip and no SQL. PostgreSQL stays the truth.

`task:<uuid>` holds the newest known copy of a task; `session:<id>` holds who a log-in is, for half a minute,
or a tombstone once it has ended.
A copy that is missing is read from PostgreSQL again; when Redis is away, everything is.
"""

import json
from typing import Any
from uuid import UUID

from loguru import logger

from portal.extensions import RedisError, redis
from portal.services.copies import TaskCopy

TASK_SECONDS = 30
SESSION_SECONDS = 30
TOMBSTONE_SECONDS = 3600
ENDED = "ended"

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
    try:
        redis().eval(
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
        redis().set(f"session:{session_id}", json.dumps(user), nx=True, ex=SESSION_SECONDS)
    except RedisError as error:
        logger.warning("redis: session not remembered: {}", type(error).__name__)


def bury_sessions(session_ids: list[UUID]) -> None:
    """Mark log-ins as ended. Never raises: while Redis is away nothing is read from it, and the reaper buries again."""
    try:
        with redis().pipeline(transaction=False) as pipe:
            for session_id in session_ids:
                pipe.set(f"session:{session_id}", ENDED, ex=TOMBSTONE_SECONDS)
            pipe.execute()
    except RedisError as error:
        logger.warning("redis: sessions not buried: {}", type(error).__name__)


def look(session_id: UUID, task_uuid: UUID) -> tuple[dict[str, Any] | None, TaskCopy | None]:
    """Who the log-in is and the task's newest copy, each None when unknown here: one round trip."""
    try:
        with redis().pipeline(transaction=False) as pipe:
            pipe.get(f"session:{session_id}")
            pipe.hget(f"task:{task_uuid}", "body")
            user, task = pipe.execute()
    except RedisError:
        return None, None
    return json.loads(user) if user and user != ENDED else None, TaskCopy.model_validate_json(task) if task else None
