"""Tasks, as their owner sees them: submit, find, list, cancel, run again. Polls are in `polls`, workers in `runs`."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, case, delete, exists, func, or_, select, update

from portal import access, limits
from portal.errors import Conflict, Denied, Invalid, NotFound, TooMany, Unavailable
from portal.extensions import db, settings
from portal.models import Dataset, Export, Task, TaskEvent, User
from portal.models.tasks import ENDED, LIVE, STATUSES, WAITING
from portal.services import after_commit, keys, live, offers, quotas, refused_addresses, request_headers, storage
from portal.services.copies import RETRYABLE, TaskCopy, copy_of
from portal.services.events import NOBODY, Visitor
from portal.services.paging import Page, json_bytes, page
from portal.services.params import checked_params

_AS_ACCEPTED: dict[str, Any] = {
    "status": "pending",
    "progress": 0,
    "message": None,
    "result": None,
    "error": None,
    "attempt": 0,
    "losses": 0,
    "version": 1,
    "started_at": None,
    "cancel_requested_at": None,
    "finished_at": None,
}


@dataclass(frozen=True)
class Wanted:
    """Which tasks to list: a status, `live` or `ended`; a kind; submitted since, until; a part of name or address.

    Of an address, what is before its parameters: whoever could search in secrets could guess them letter by letter.
    """

    status: str | None = None
    kind: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    text: str = ""

    def conditions(self) -> list[ColumnElement[bool]]:
        found: list[ColumnElement[bool]] = []
        if self.status:
            groups = {"live": LIVE, "ended": ENDED}
            found.append(Task.status.in_(groups.get(self.status, (self.status,))))
        if self.kind:
            found.append(Task.kind == self.kind)
        if self.since:
            found.append(Task.created_at >= self.since)
        if self.until:
            found.append(Task.created_at < self.until)
        if text := self.text.replace("\x00", "").strip():
            place = func.regexp_replace(Task.params["url"].as_string(), "[?;#].*", "")
            names = (Task.params["name"].as_string(), place)
            found.append(or_(*(name.icontains(text, autoescape=True) for name in names)))
        return found


EVERYTHING = Wanted()
CHOICES = ("live", "ended", *STATUSES)


def submit(
    user: User,
    kind: str,
    params: dict[str, Any],
    *,
    key: str | None = None,
    countdown: int = 0,
    visitor: Visitor = NOBODY,
) -> TaskCopy:
    """A new task as it was accepted, to start in `countdown` seconds. The same key again answers the same, for a day.

    Raises `Invalid`; `TooMany` or `Unavailable` when as many wait as may.
    """
    checked, headers = _checked(user, kind, params, visitor)
    sent = keys.digest(kind, checked, countdown, *([request_headers.digest(headers)] if headers else []))
    quotas.one_at_a_time(user)
    if key is not None:
        before = keys.find(user, keys.checked(key), sent)
        if before is not None:
            start = before.created_at + timedelta(seconds=countdown)
            return copy_of(before).model_copy(update={**_AS_ACCEPTED, "next_run_at": start})
    if kind != "health_check":
        storage.check_room(user)
    task = _add(user, kind, checked, countdown=countdown)
    request_headers.seal(task, headers)
    if key is not None:
        keys.keep(task, key, sent)
    return copy_of(task)


def _checked(
    user: User, kind: str, params: dict[str, Any], visitor: Visitor = NOBODY
) -> tuple[dict[str, Any], dict[str, str]]:
    if not params.get("url"):
        return checked_params(user, kind, params)
    with refused_addresses.counted(user.id, visitor):
        return checked_params(user, kind, params)


def _add(user: User, kind: str, params: dict[str, Any], *, countdown: int = 0, retry_of: UUID | None = None) -> Task:
    quotas.take_place(user)
    start = func.now() + timedelta(seconds=countdown)
    task = Task(
        owner_id=user.id,
        kind=kind,
        params=params,
        retry_of=retry_of,
        next_run_at=start,
        start_before=start + timedelta(hours=settings().task_start_within_hours),
    )
    db.session.add(task)
    db.session.flush()
    db.session.refresh(task)
    publish(task)
    return task


def publish(task: Task) -> TaskCopy:
    """Hand the row, as it is now, to those who poll it, once it is committed."""
    copy = copy_of(task)
    after_commit.do(lambda: live.publish_task(copy))
    return copy


def get_for(user: User, uuid: UUID) -> Task:
    """The user's own task; `NotFound` for anyone else's, as if it did not exist."""
    task = db.session.scalar(select(Task).where(Task.uuid == uuid).execution_options(populate_existing=True))
    if task is None:
        raise NotFound
    if not access.may_see_task(user, task):
        raise Denied(user.id)
    return task


def copy_for(user: User, uuid: UUID) -> TaskCopy:
    """The same, as it is shown."""
    return live.with_places([copy_of(get_for(user, uuid))])[0]


def list_for(
    user: User, wanted: Wanted = EVERYTHING, *, cursor: int | None = None, limit: int = limits.PAGE_SIZE
) -> Page[TaskCopy]:
    """The user's tasks that are wanted, newest first."""
    query = select(Task).where(*wanted.conditions())
    found = page(query, Task, of=(Task.owner_id, user.id), cursor=cursor, limit=limit, size=size_of)
    return Page(live.with_places([copy_of(task) for task in found.items]), found.next_cursor)


def size_of(task: Task) -> int:
    """About how many bytes of JSON it is, most of which its owner wrote."""
    return json_bytes([task.params, task.result, task.error])


def timeline(user: User, uuid: UUID) -> Sequence[TaskEvent]:
    """What happened to the task, oldest first; the last so many steps."""
    task = get_for(user, uuid)
    query = select(TaskEvent).where(TaskEvent.task_id == task.id).order_by(TaskEvent.id.desc()).limit(limits.STEPS_MAX)
    return db.session.scalars(query).all()[::-1]


def retried_as(uuid: UUID) -> UUID | None:
    """The task that ran this one again."""
    return db.session.scalar(select(Task.uuid).where(Task.retry_of == uuid))


def retry(user: User, uuid: UUID, *, offered: bool = False, **changed: Any) -> TaskCopy:
    """Run an ended task again, as a new one; asked again, the same one. `Conflict` unless it failed or was ended.

    `offered`: fetch the file's own address, which the task's error offers. `changed` are params that are new, such as
    `skip_broken`.
    """
    quotas.one_at_a_time(user)
    before = get_for(user, uuid)
    again = db.session.scalar(select(Task).where(Task.retry_of == uuid))
    if again is not None:
        return copy_of(again)
    if before.status not in RETRYABLE:
        raise Conflict("task_not_retryable")
    if offered:
        changed["url"] = offers.address_of(before)
    return _once_more(user, before, retry_of=uuid, **changed)


def again(user: User, before: Task, **changed: Any) -> TaskCopy:
    """The same fetch once more, whatever became of it, with params that are `changed`."""
    quotas.one_at_a_time(user)
    return _once_more(user, before, **changed)


def _once_more(user: User, before: Task, retry_of: UUID | None = None, **changed: Any) -> TaskCopy:
    given = {name: value for name, value in before.params.items() if name != "headers"}
    try:
        checked, _ = _checked(user, before.kind, {**given, **changed})
    except NotFound:
        raise Conflict("source_gone") from None
    storage.check_room(user)
    names = before.params.get("headers") if offers.is_of_one_server(before.params, checked) else None
    if names:
        checked["headers"] = names
    task = _add(user, before.kind, checked, retry_of=retry_of)
    if names and not request_headers.hand_on(before, task):
        raise Conflict("headers_erased")
    return copy_of(task)


def retry_many(user: User, uuids: Sequence[UUID]) -> int:
    """Run these again that can be, as many as there is room for; how many. `TooMany` when there is none at all."""
    done = 0
    for uuid in uuids[: limits.BULK_MAX]:
        try:
            known = retried_as(uuid)
            retry(user, uuid)
            done += known is None
        except (NotFound, Conflict, Invalid):
            continue
        except (TooMany, Unavailable):
            if not done:
                raise
            break
    return done


def cancel(user: User, uuid: UUID) -> TaskCopy:
    """Cancel: at once while it waits; a running one is asked to stop. `Conflict` once it has ended."""
    changed = _stop([get_for(user, uuid).id])
    if not changed:
        raise Conflict("task_ended")
    return changed[0]


def stop_all(owner_id: int) -> tuple[int, int]:
    """Cancel all that waits, ask all that runs to stop; how many of each."""
    ids = select(Task.id).where(Task.owner_id == owner_id, Task.status.in_(LIVE)).order_by(Task.uuid)
    # In the order of `cancel_many`: two of these at once do not wait for each other.
    stopped = _stop(db.session.scalars(ids.with_for_update()).all())
    cancelled = sum(copy.status == "cancelled" for copy in stopped)
    return cancelled, len(stopped) - cancelled


def _stop(task_ids: Sequence[int]) -> list[TaskCopy]:
    waits = Task.status.in_(WAITING)  # as it is when the row is changed: it may be starting, or be put back
    values = {
        "status": case((waits, "cancelled"), else_=Task.status),
        "finished_at": case((waits, func.now())),
        "cancel_requested_at": func.coalesce(Task.cancel_requested_at, func.now()),
    }
    query = update(Task).where(Task.id.in_(task_ids), Task.status.in_(LIVE)).values(values).returning(Task)
    changed = db.session.scalars(query.execution_options(populate_existing=True)).all()
    copies = [copy_of(task) for task in changed]
    after_commit.do(lambda: live.publish_tasks(copies))
    return copies


def cancel_many(user: User, uuids: Sequence[UUID]) -> int:
    """Cancel those of these that have not ended; how many."""
    done = 0
    for uuid in sorted(set(uuids[: limits.BULK_MAX])):  # in one order: two of these at once do not wait for each other
        try:
            cancel(user, uuid)
            done += 1
        except (NotFound, Conflict):
            continue
    return done


def expire_results(task_ids: Sequence[int], code: str = "result_expired") -> None:
    """What these tasks made is gone: past its retention, or deleted."""
    gone = {"status": "expired", "error": {"code": code, "params": {}}}
    done = Task.id.in_(task_ids), Task.status == "completed"
    for task in db.session.scalars(update(Task).where(*done).values(gone).returning(Task)).all():
        publish(task)


def forget_old() -> int:
    """Delete tasks that ended long ago and have no data, some of them, however many of those before have; how many."""
    long_ago = func.now() - timedelta(days=settings().task_keep_days)
    made = exists().where(Dataset.task_id == Task.id) | exists().where(Export.task_id == Task.id)
    forgotten, last = 0, 0
    while forgotten < limits.FORGOTTEN_AT_ONCE:
        oldest = select(Task.id, Task.created_at < long_ago).where(Task.id > last).order_by(Task.id)
        some = db.session.execute(oldest.limit(limits.FORGOTTEN_AT_ONCE)).all()
        if not some or not some[0][1]:
            break
        these = Task.id.between(some[0][0], some[-1][0]), Task.finished_at < long_ago, ~made
        forgotten += len(db.session.scalars(delete(Task).where(*these).returning(Task.id)).all())
        last = some[-1][0]
    return forgotten
