"""What a worker does to the task it runs. Each write is fenced: it counts only while this attempt holds the task.

Functions answer None when it does not: then the worker stops and writes nothing. The protocol: docs/tasks.md.
"""

import random
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, exists, func, select, update

from portal import limits
from portal.extensions import db, settings
from portal.models import Task, User
from portal.models.tasks import WAITING
from portal.services.copies import TaskCopy
from portal.services.tasks import publish


def _lease() -> Any:
    return func.now() + timedelta(seconds=settings().task_lease_seconds)


def claim(uuid: UUID, worker: str) -> TaskCopy | None:
    """Take the task: a new attempt begins. None when another worker has it, or it has ended or is too late.

    None, too, when its owner is switched off.
    """
    query = (
        update(Task)
        .where(
            Task.uuid == uuid,
            Task.status.in_(WAITING),
            Task.start_before > func.now(),
            Task.next_run_at <= func.now(),
            exists().where(User.id == Task.owner_id, User.is_active),
        )
        .values(
            status="processing",
            attempt=Task.attempt + 1,
            worker=worker[:100],
            lease_until=_lease(),
            started_at=func.now(),
            message=None,
        )
        .returning(Task)
    )
    task = db.session.scalar(query)
    return publish(task) if task else None


def address_of(run: TaskCopy) -> str:
    """What its fetch asks, with the secrets that copies hide."""
    return str(db.session.scalar(select(Task.params["url"].as_string()).where(Task.uuid == run.uuid)))


def _held(run: TaskCopy, *also: ColumnElement[bool], **values: Any) -> Task | None:
    query = (
        update(Task)
        .where(
            Task.uuid == run.uuid,
            Task.attempt == run.attempt,
            Task.status == "processing",
            *also,
        )
        .values(values)
        .returning(Task)
        .execution_options(populate_existing=True)
    )
    task = db.session.scalar(query)
    if task:
        publish(task)
    return task


def _ended(run: TaskCopy, *also: ColumnElement[bool], status: str, **values: Any) -> Task | None:
    return _held(run, *also, status=status, lease_until=None, finished_at=func.now(), message=None, **values)


def beat(run: TaskCopy, progress: int, message: dict[str, Any] | None) -> Task | None:
    """Keep the task for another lease and say how far it is; progress never falls, nor with another attempt."""
    return _held(
        run,
        lease_until=_lease(),
        progress=func.greatest(Task.progress, min(progress, 99)),
        message=message,
    )


def complete(run: TaskCopy, result: dict[str, Any]) -> Task | None:
    """None, too, when the task was asked to stop before it was done."""
    return _ended(run, Task.cancel_requested_at.is_(None), status="completed", progress=100, result=result)


def cancelled(run: TaskCopy) -> Task | None:
    """The work has really stopped; nothing happens unless that was asked."""
    return _ended(run, Task.cancel_requested_at.is_not(None), status="cancelled")


def fail(run: TaskCopy, error: dict[str, Any], *, passing: bool) -> Task | None:
    """End as failed, or wait for another attempt when the fault can pass and tries are left.

    None, too, when the task was asked to stop: then it is `cancelled`.
    """
    unasked = Task.cancel_requested_at.is_(None)
    retries = run.attempt - 1 - run.losses
    if passing and retries < limits.TASK_RETRIES:
        # Our own database answers again: this is written to it.
        pause = 1 if error["code"] == "database_unavailable" else settings().task_retry_seconds
        seconds = pause * 2**retries * random.uniform(0.8, 1.2)  # jitter, not a secret
        later = func.now() + timedelta(seconds=seconds)
        message = {"code": "retrying", "params": {"error": error}}
        return _held(
            run,
            unasked,
            status="pending",
            lease_until=None,
            next_run_at=later,
            start_before=func.greatest(Task.start_before, later + timedelta(hours=1)),
            message=message,
        )
    return _ended(run, unasked, status="failed", error=error)
