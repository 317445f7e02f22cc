"""Tasks, as their owner sees them: submit, find, list, poll, cancel. For workers: `runs` and `queue`."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert

from portal import access, jobs, limits
from portal.engine import guard
from portal.errors import Conflict, Fault, Invalid, NotFound, Unauthorized
from portal.extensions import db, settings
from portal.models import Task, User
from portal.models.tasks import LIVE, WAITING
from portal.services import after_commit, live, sessions
from portal.services.copies import TaskCopy, copy_of
from portal.services.paging import Page, page
from portal.validation import check_name

FORMATS = ("csv", "ndjson")


def fetch_policy() -> guard.Policy:
    """Which addresses may be fetched, from the settings."""
    return guard.Policy(
        settings().allowed_targets,
        frozenset(int(port) for port in settings().fetch_ports),
    )


def checked_params(kind: str, params: dict[str, Any]) -> dict[str, Any]:
    """The params of a kind in their normal form. Raises `Invalid` with the field."""
    if kind not in jobs.BY_KIND:
        raise Invalid("kind_unknown", field="kind")
    if kind == "health_check":
        if params:
            raise Invalid("params_unknown", field="params")
        return {}
    if unknown := params.keys() - {"url", "name", "format"}:
        raise Invalid("params_unknown", field=f"params.{min(unknown)}")
    url, name, data_format = (
        params.get("url"),
        params.get("name") or "",
        params.get("format") or None,
    )
    if not isinstance(url, str) or not url.strip():
        raise Invalid("required", field="params.url")
    try:
        guard.check_url(url.strip(), fetch_policy())
    except Fault as fault:
        raise Invalid(fault.code, field="params.url") from None
    if not isinstance(name, str):
        raise Invalid("name_invalid", field="params.name")
    if data_format not in (None, *FORMATS):
        raise Invalid("format_unknown", field="params.format")
    checked = {"url": url.strip(), "name": check_name(name, field="params.name"), "format": data_format}
    return {key: value for key, value in checked.items() if value}


def submit(
    user: User,
    kind: str,
    params: dict[str, Any],
    *,
    nonce: str | None = None,
    countdown: int = 0,
) -> Task:
    """A new task, to start in `countdown` seconds. The same nonce again answers the task it made before."""
    if nonce is not None and not nonce.isprintable():
        raise Invalid("idempotency_key_invalid", field="Idempotency-Key")
    start = func.now() + timedelta(seconds=countdown)
    values = {
        "owner_id": user.id,
        "kind": kind,
        "params": checked_params(kind, params),
        "nonce": nonce,
        "next_run_at": start,
        "start_before": start + timedelta(hours=settings().task_start_within_hours),
    }
    query = insert(Task).values(values).on_conflict_do_nothing(constraint="uq_tasks_owner_id_nonce").returning(Task)
    task = db.session.scalar(query)
    if task is None:
        before = db.session.scalars(select(Task).where(Task.owner_id == user.id, Task.nonce == nonce)).one()
        if (before.kind, before.params) != (kind, values["params"]):
            raise Invalid("idempotency_key_reused", field="Idempotency-Key")
        return before
    publish(task)
    return task


def publish(task: Task) -> TaskCopy:
    """Hand the row, as it is now, to those who poll it, once it is committed."""
    copy = copy_of(task)
    after_commit.do(lambda: live.publish_task(copy))
    return copy


def get_for(user: User, uuid: UUID) -> Task:
    """The user's own task; `NotFound` for anyone else's, as if it did not exist."""
    task = db.session.scalar(select(Task).where(Task.uuid == uuid))
    if task is None or not access.may_see_task(user, task):
        raise NotFound
    return task


def list_for(user: User, *, cursor: int | None = None, limit: int = limits.PAGE_SIZE) -> Page[Task]:
    """The user's tasks, newest first."""
    return page(select(Task).where(Task.owner_id == user.id), Task, cursor=cursor, limit=limit)


def poll(session_id: UUID, uuid: UUID, *, kind: str) -> TaskCopy:
    """The newest copy of a task for whoever a log-in belongs to: one Redis round trip, no SQL while known there.

    Raises `Unauthorized` when the log-in has ended and `NotFound` for someone else's task.
    """
    person, copy = live.look(session_id, uuid)
    if person is None or person["kind"] != kind:
        login = sessions.find_live(session_id, kind=kind)
        if login is None:
            raise Unauthorized("session_ended")
        person = sessions.identity(login)
        live.remember_session(session_id, person)
    if copy is None:
        task = db.session.scalar(select(Task).where(Task.uuid == uuid))
        if task is None:
            raise NotFound
        copy = copy_of(task)
        live.publish_task(copy)
    if copy.owner_id != person["user_id"]:
        raise NotFound
    return copy


def cancel(user: User, uuid: UUID) -> Task:
    """Cancel: at once while it waits; a running one is asked to stop. `Conflict` once it has ended."""
    task = get_for(user, uuid)
    at_once = {
        "status": "cancelled",
        "finished_at": func.now(),
        "cancel_requested_at": func.now(),
    }
    asked = {"cancel_requested_at": func.coalesce(Task.cancel_requested_at, func.now())}
    for statuses, values in (
        (WAITING, at_once),
        (("processing",), asked),
        (WAITING, at_once),
    ):
        # Between two looks it may have been started, or put back: the last round is for that.
        query = update(Task).where(Task.id == task.id, Task.status.in_(statuses)).values(values).returning(Task)
        changed = db.session.scalar(query.execution_options(populate_existing=True))
        if changed is not None:
            publish(changed)
            return changed
    db.session.refresh(task)
    if task.status in LIVE:
        raise Conflict("try_again")
    raise Conflict("task_ended")
