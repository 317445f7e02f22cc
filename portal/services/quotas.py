"""How many tasks one may have waiting and running, and how many one has."""

from dataclasses import dataclass

from sqlalchemy import func, select

from portal.errors import TooMany, Unavailable
from portal.extensions import db, settings
from portal.models import Task, User
from portal.models.tasks import WAITING

_AGAIN_SECONDS = 30


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
    """Until the transaction ends nobody else adds tasks of this user."""
    db.session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"tasks:{user.id}", 42))))


def take_place(user: User) -> None:
    """Raises `TooMany` when the user has as many tasks waiting as one may, `Unavailable` when the queue is full.

    Exact for both: takers queue, the user's own first (`one_at_a_time`), then everyone's.
    """
    if use_of(user).waiting >= settings().tasks_waiting_per_user:
        raise TooMany("tasks_too_many", retry_after=_AGAIN_SECONDS, limit=settings().tasks_waiting_per_user)
    db.session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended("tasks", 42))))
    if _waiting() >= settings().tasks_waiting:
        raise Unavailable("queue_full", retry_after=_AGAIN_SECONDS)


def _waiting() -> int:
    return db.session.scalar(select(func.count()).select_from(Task).where(Task.status.in_(WAITING))) or 0
