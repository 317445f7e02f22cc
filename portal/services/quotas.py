"""How many tasks one may have waiting and running, and how many one has."""

import math
from dataclasses import dataclass

from sqlalchemy import func, select, tuple_

from portal import limits
from portal.errors import TooMany, Unavailable
from portal.extensions import db, settings
from portal.models import Task, User
from portal.models.tasks import WAITING
from portal.services import owners

_AGAIN_SECONDS = 30
_FEW = 10
_HIGHEST = 2**63 - 1


@dataclass(frozen=True)
class Quota:
    """A user's tasks now, beside what is allowed. Idle workers may be lent: more may run while nobody else waits."""

    running: int
    running_limit: int
    waiting: int
    waiting_limit: int


def use_of(user: User) -> Quota:
    running, waiting = db.session.execute(
        select(
            func.count().filter(Task.status == "processing"),
            func.count().filter(Task.status.in_(WAITING)),
        ).where(Task.owner_id == user.id, Task.status.in_((*WAITING, "processing")))
    ).one()
    return Quota(running, settings().tasks_running_per_user, waiting, settings().tasks_waiting_per_user)


def one_at_a_time(user: User) -> None:
    """Until the transaction ends nobody else adds tasks of this user, nor switches them off.

    Raises `Unauthorized` when somebody has.
    """
    db.session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"tasks:{user.id}", 42))))
    owners.hold_active(user.id)


def take_place(user: User) -> None:
    """Raises `TooMany` when the user has as many tasks as one may, `Unavailable` when the queue is full.

    Exact for the user, whose submits come one after another (`one_at_a_time`). Of the queue's length it is not: a lock
    for all would make everyone wait for the slowest. Who has few waiting is never refused for the many of others.
    """
    config, waiting = settings(), use_of(user).waiting
    if waiting >= config.tasks_waiting_per_user:
        raise TooMany("tasks_too_many", retry_after=_AGAIN_SECONDS, limit=config.tasks_waiting_per_user)
    if (wait := _seconds_until_tomorrow(user)) is not None:
        raise TooMany("tasks_too_many_today", retry_after=wait, limit=config.tasks_per_user_day, wait=wait)
    if waiting >= _FEW and _due() >= config.tasks_waiting:
        raise Unavailable("queue_full", retry_after=_AGAIN_SECONDS)


def _seconds_until_tomorrow(user: User) -> int | None:
    """Until the first of the user's last so many tasks is a day old; None when there were fewer in a day."""
    place, most = tuple_(Task.owner_id, Task.id), settings().tasks_per_user_day
    since = func.extract("epoch", func.now() - Task.created_at)
    mine = select(since).where(place <= (user.id, _HIGHEST), place >= (user.id, 0))
    age = db.session.scalar(mine.order_by(Task.owner_id.desc(), Task.id.desc()).offset(most - 1).limit(1))
    return None if age is None or age >= limits.DAY else max(1, math.ceil(limits.DAY - age))


def _due() -> int:
    query = select(func.count()).select_from(Task).where(Task.status.in_(WAITING), Task.next_run_at <= func.now())
    return db.session.scalar(query) or 0
