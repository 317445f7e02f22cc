"""The queue of record is the table: admit what waits, bring back what died, end what is too late."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, case, func, select, update

from portal import limits
from portal.extensions import db, settings
from portal.models import Task
from portal.models.tasks import WAITING
from portal.services.tasks import publish

_ONE_ADMITS = 4201  # advisory lock: of any number of dispatchers, one admits at a time


@dataclass(frozen=True)
class Admitted:
    uuid: UUID
    kind: str


def admit() -> list[Admitted]:
    """Move waiting tasks to `queued`, as many as the window has room for; ring for them after the commit.

    The window keeps the number of unanswered doorbells small, so that a lost broker costs little.
    """
    if not db.session.scalar(select(func.pg_try_advisory_xact_lock(_ONE_ADMITS))):
        return []
    queued = db.session.scalar(select(func.count()).select_from(Task).where(Task.status == "queued")) or 0
    room = settings().task_window - queued
    if room <= 0:
        return []
    waiting = (
        select(Task.id)
        .where(Task.status == "pending", Task.next_run_at <= func.now())
        .order_by(Task.next_run_at, Task.id)
        .limit(room)
        .with_for_update(skip_locked=True)
    )
    return [
        Admitted(task.uuid, task.kind)
        for task in _move(Task.id.in_(waiting), status="queued", dispatched_at=func.now())
    ]


def put_back_lost() -> int:
    """Doorbells that nobody answered are rung again, tasks whose worker died run again or fail; answers how many."""
    unanswered = and_(
        Task.status == "queued",
        Task.dispatched_at < func.now() - timedelta(seconds=limits.DOORBELL_SECONDS),
    )
    moved = list(_move(_free(unanswered), status="pending"))
    for task in db.session.scalars(
        select(Task)
        .where(Task.status == "processing", Task.lease_until < func.now())
        .order_by(Task.id)
        .limit(100)
        .with_for_update(skip_locked=True)
    ).all():
        moved += _move(Task.id == task.id, lease_until=None, message=None, **_after_a_death(task))
    return len(moved)


def _after_a_death(task: Task) -> dict[str, Any]:
    if task.cancel_requested_at is not None:
        return {"status": "cancelled", "finished_at": func.now()}
    if task.attempt < limits.TASK_ATTEMPTS:
        return {"status": "pending", "next_run_at": func.now()}
    return {
        "status": "failed",
        "finished_at": func.now(),
        "error": {"code": "worker_lost", "params": {}},
    }


def expire_late() -> int:
    """Tasks that did not start before their deadline; answers how many."""
    late = and_(Task.status.in_(WAITING), Task.start_before < func.now())
    return len(
        _move(
            _free(late),
            status="expired",
            finished_at=func.now(),
            error={"code": "started_too_late", "params": {}},
        )
    )


def _free(where: ColumnElement[bool]) -> ColumnElement[bool]:
    return Task.id.in_(select(Task.id).where(where).with_for_update(skip_locked=True))


def _move(where: ColumnElement[bool], **values: Any) -> Sequence[Task]:
    query = update(Task).where(where).values(values).returning(Task).execution_options(populate_existing=True)
    tasks = db.session.scalars(query).all()
    for task in tasks:
        publish(task)
    return tasks


def health() -> dict[str, Any]:
    """How long the queue is, and how long its head has waited (seconds)."""
    row = db.session.execute(
        select(
            func.count().filter(Task.status.in_(WAITING)),
            func.count().filter(Task.status == "processing"),
            func.coalesce(
                func.extract(
                    "epoch",
                    func.now() - func.min(case((Task.status.in_(WAITING), Task.next_run_at))),
                ),
                0,
            ),
        ).where(Task.status.in_((*WAITING, "processing")))
    ).one()
    return {
        "waiting": row[0],
        "running": row[1],
        "oldest_seconds": max(0, round(float(row[2]))),
    }
