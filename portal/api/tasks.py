"""Tasks: submit, list, watch, cancel, run again."""

from typing import Any
from uuid import UUID

from apiflask import APIBlueprint
from flask import g, make_response, request, url_for

from portal import transfers
from portal.api import guards
from portal.api.schemas.tasks import (
    RetryQuery,
    TaskAnswer,
    TaskBody,
    TaskEventsAnswer,
    TasksAnswer,
    TasksQuery,
    dump,
    dump_event,
)
from portal.errors import Invalid
from portal.extensions import db
from portal.services import exports, polls, quotas, storage, tasks

bp = APIBlueprint("api_tasks", __name__, url_prefix="/api/v1/tasks", tag="tasks")


@bp.post("")
@guards.bearer_required
@bp.doc(operation_id="submitTask", security="bearer")
@bp.input(TaskBody, arg_name="body")
@bp.output(TaskAnswer, status_code=202)
def create(body: TaskBody) -> Any:
    """Submit a task. For a day the same `Idempotency-Key` with the same body is answered the same, and makes no other.

    The answer is the task as it was accepted; how it stands is at `Location`.
    """
    task = tasks.submit(
        guards.user(),
        body.kind,
        body.params,
        key=_idempotency_key(),
        countdown=body.countdown,
        visitor=guards.visitor(),
    )
    headers = {"Location": url_for(".show", uuid=task.uuid), **_quota()}
    db.session.commit()
    return dump(task) | {"poll_after": 1}, 202, headers  # whenever it is asked again


@bp.get("")
@guards.bearer_required
@bp.doc(operation_id="listTasks", security="bearer")
@bp.input(TasksQuery, location="query", arg_name="query")
@bp.output(TasksAnswer)
def index(query: TasksQuery) -> Any:
    """Your tasks that are asked for, newest first."""
    found = tasks.list_for(guards.user(), query.wanted(), cursor=query.cursor, limit=query.limit)
    return {"items": [dump(task) for task in found.items], "next_cursor": found.next_cursor}, 200, _quota()


@bp.get("/<uuid:uuid>")
@guards.bearer_polls
@bp.doc(operation_id="getTask", security="bearer")
@bp.output(TaskAnswer)
def show(uuid: UUID) -> Any:
    """One task; send its `ETag` as `If-None-Match` to be told 304 while nothing has changed."""
    copy = polls.poll(g.session_id, uuid, kind="api")
    db.session.commit()  # the log-in's last use, where it was looked up
    answer = make_response(dump(copy))
    answer.add_etag()  # of all that is said: places and sentences change without a new version
    answer.vary.add("Accept-Language")
    return answer.make_conditional(request)


@bp.get("/<uuid:uuid>/events")
@guards.bearer_required
@bp.doc(operation_id="listTaskEvents", security="bearer")
@bp.output(TaskEventsAnswer)
def timeline(uuid: UUID) -> Any:
    """What happened to the task, oldest first."""
    return {"items": [dump_event(event) for event in tasks.timeline(guards.user(), uuid)], "next_cursor": None}


@bp.post("/<uuid:uuid>/cancel")
@guards.bearer_required
@bp.doc(operation_id="cancelTask", security="bearer")
@bp.output(TaskAnswer, status_code=202)
def cancel(uuid: UUID) -> Any:
    """Cancel: at once while it waits; a running task says `cancelling` until its work has stopped."""
    task = tasks.cancel(guards.user(), uuid)
    headers = _quota()
    db.session.commit()
    return dump(task), 202, headers


@bp.post("/<uuid:uuid>/retry")
@guards.bearer_required
@bp.doc(operation_id="retryTask", security="bearer")
@bp.input(RetryQuery, location="query", arg_name="query")
@bp.output(TaskAnswer, status_code=202)
def retry(uuid: UUID, query: RetryQuery) -> Any:
    """Run a task again that failed, expired or was cancelled: a new one, and the same new one if asked again."""
    task = tasks.retry(guards.user(), uuid, **query.model_dump(exclude_defaults=True))
    headers = {"Location": url_for(".show", uuid=task.uuid), **_quota()}
    db.session.commit()
    return dump(task), 202, headers


@bp.get("/<uuid:uuid>/download")
@guards.bearer_required
@bp.doc(operation_id="downloadExport", security="bearer")
def download(uuid: UUID) -> Any:
    """The file of a completed export. `Range` resumes it; `ETag` and `Repr-Digest` are of the whole."""
    export = exports.get_for(guards.user(), uuid)
    db.session.commit()  # it may take long: no connection is held
    return transfers.download(export)


def _quota() -> dict[str, str]:
    """The caller's tasks and bytes now and how many may be, for the headers."""
    use, held = quotas.use_of(guards.user()), storage.use_of(guards.user().id)
    return {
        "X-Quota-Bytes-Kept": str(held.kept),
        "X-Quota-Bytes-Kept-Limit": str(held.kept_limit),
        "X-Quota-Bytes-Fetched": str(held.fetched),
        "X-Quota-Bytes-Fetched-Limit": str(held.fetched_limit),
        "X-Quota-Tasks-Running": str(use.running),
        "X-Quota-Tasks-Running-Limit": str(use.running_limit),
        "X-Quota-Tasks-Waiting": str(use.waiting),
        "X-Quota-Tasks-Waiting-Limit": str(use.waiting_limit),
    }


def _idempotency_key() -> str | None:
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return None
    if not 1 <= len(key) <= 60 or not key.isprintable():
        raise Invalid("idempotency_key_invalid", field="Idempotency-Key")
    return f"api:{key}"
