"""The queue of record is the table: admit what waits, bring back what died, end what is too late."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, case, func, or_, select, update

from portal import limits
from portal.extensions import db, settings
from portal.models import Process, Task
from portal.models.tasks import LIVE, WAITING
from portal.services import leftovers, processes, turns
from portal.services.copies import copy_of
from portal.services.tasks import publish

_ONE_ADMITS = 4201  # advisory lock: of any number of dispatchers, one admits at a time
_SILENT_SECONDS = 5  # a worker that has not written for so long does not work
_FIRST_GUESS = 5.0  # seconds that a task runs, before any has


@dataclass(frozen=True)
class Admitted:
    uuid: UUID
    kind: str


def admit() -> list[Admitted]:
    """Move waiting tasks to `queued`, one for each idle slot, in turn per owner; ring for them after the commit."""
    if not db.session.scalar(select(func.pg_try_advisory_xact_lock(_ONE_ADMITS))):
        return []
    room = processes.slots() - _taken()
    if room <= 0:
        return []
    chosen = [waiting.id for waiting in turns.in_turn(2 * room)]  # more, for somebody may be cancelling some of them
    free = select(Task.id).where(Task.id.in_(chosen), Task.status == "pending").with_for_update(skip_locked=True)
    first = sorted(db.session.scalars(free), key=chosen.index)[:room]
    tasks = _move(Task.id.in_(first), status="queued", dispatched_at=func.now())
    turns.served({task.owner_id for task in tasks})
    return [Admitted(task.uuid, task.kind) for task in sorted(tasks, key=lambda task: chosen.index(task.id))]


def _taken() -> int:
    """Slots that are taken or promised. A task whose worker is silent takes none: its slot is free again, or gone."""
    lease = settings().task_lease_seconds
    fresh = func.now() + timedelta(seconds=max(lease - _SILENT_SECONDS, lease / 3))
    at_work = and_(Task.status == "processing", Task.lease_until > fresh)
    query = select(func.count()).select_from(Task).where(or_(Task.status == "queued", at_work))
    return db.session.scalar(query) or 0


def expected_starts() -> dict[UUID, float]:
    """When the tasks that wait for their turn may start (seconds since 1970), the next one first."""
    slots = processes.slots()
    waiting = turns.in_turn(limits.PLACES_MAX)
    pace = (turns.mean_seconds() or _FIRST_GUESS) / slots if slots else math.inf
    now = time.time()
    starts = {each.uuid: now + pace * n for n, each in enumerate(waiting, 1)}
    return {uuid: round(at, -1) if math.isfinite(at) else 0 for uuid, at in starts.items()}


def put_back(uuids: Sequence[UUID] | None = None) -> int:
    """Tasks whose doorbell surely did not ring wait again: these, or all that are queued; answers how many."""
    where = Task.status == "queued"
    return len(_move(_free(where if uuids is None else and_(where, Task.uuid.in_(uuids))), status="pending"))


def put_back_lost() -> int:
    """Doorbells that nobody answered are rung again, tasks whose worker died run again or fail; answers how many."""
    unanswered = and_(
        Task.status == "queued",
        Task.dispatched_at < func.now() - timedelta(seconds=limits.DOORBELL_SECONDS),
    )
    return len(_move(_free(unanswered), status="pending")) + _bring_back(Task.lease_until < func.now())


def take_back(worker: str) -> int:
    """The same at once for tasks of a worker that has just been born under this name: its predecessor is dead.

    Were it alive after all, it would find its tasks taken over, and stop.
    """
    return _bring_back(Task.worker == worker[:100])


def _bring_back(where: ColumnElement[bool]) -> int:
    lost = select(Task).where(Task.status == "processing", where).order_by(Task.id).limit(100)
    tasks = db.session.scalars(lost.with_for_update(skip_locked=True)).all()
    return sum(_mourn(task) for task in tasks)


def _mourn(task: Task) -> int:
    moved = _move(Task.id == task.id, lease_until=None, message=None, **_after_a_death(task))
    for ended in (copy_of(each) for each in moved if each.status not in LIVE):
        leftovers.drop_later(ended)  # no other attempt comes to do it
    return len(moved)


def _after_a_death(task: Task) -> dict[str, Any]:
    leaving = select(Process.slots == 0).where(Process.name == task.worker)
    # A worker that was on its way out, for a restart say, was not brought down by its task.
    losses = {} if db.session.scalar(leaving) else {"losses": task.losses + 1}
    if task.cancel_requested_at is not None:
        return {"status": "cancelled", "finished_at": func.now(), **losses}
    if not losses or task.losses + 1 < limits.TASK_LOSSES:
        return {"status": "pending", "next_run_at": func.now(), **losses}
    return {
        "status": "failed",
        "finished_at": func.now(),
        "error": {"code": "worker_lost", "params": {}},
        **losses,
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
