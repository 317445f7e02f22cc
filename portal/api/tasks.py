"""Tasks: submit, list, watch, cancel."""

from typing import Any
from uuid import UUID

from apiflask import APIBlueprint
from flask import g, make_response, request, url_for
from flask_babel import get_locale

from portal.api import guards
from portal.api.schemas import PageQuery
from portal.api.schemas.tasks import TaskAnswer, TaskBody, TasksAnswer, dump
from portal.errors import Invalid
from portal.extensions import db
from portal.services import tasks
from portal.services.copies import copy_of

bp = APIBlueprint("api_tasks", __name__, url_prefix="/api/v1/tasks", tag="tasks")


@bp.post("")
@guards.bearer_required
@bp.doc(security="bearer")
@bp.input(TaskBody, arg_name="body")
@bp.output(TaskAnswer, status_code=202)
def create(body: TaskBody) -> Any:
    """Submit a task; the same `Idempotency-Key` again answers the same task."""
    task = tasks.submit(
        guards.user(),
        body.kind,
        body.params,
        nonce=_idempotency_key(),
        countdown=body.countdown,
    )
    db.session.commit()
    return dump(copy_of(task)), 202, {"Location": url_for(".show", uuid=task.uuid)}


@bp.get("")
@guards.bearer_required
@bp.doc(security="bearer")
@bp.input(PageQuery, location="query", arg_name="query")
@bp.output(TasksAnswer)
def index(query: PageQuery) -> Any:
    """Your tasks, newest first."""
    found = tasks.list_for(guards.user(), cursor=query.cursor, limit=query.limit)
    return {
        "items": [dump(copy_of(task)) for task in found.items],
        "next_cursor": found.next_cursor,
    }


@bp.get("/<uuid:uuid>")
@guards.bearer_polls
@bp.doc(security="bearer")
@bp.output(TaskAnswer)
def show(uuid: UUID) -> Any:
    """One task; send its `ETag` as `If-None-Match` to be told 304 while nothing has changed."""
    copy = tasks.poll(g.session_id, uuid, kind="api")
    db.session.commit()  # the log-in's last use, where it was looked up
    answer = make_response(dump(copy))
    answer.set_etag(f"{copy.version}-{get_locale()}")  # it holds sentences
    answer.vary.add("Accept-Language")
    return answer.make_conditional(request)


@bp.post("/<uuid:uuid>/cancel")
@guards.bearer_required
@bp.doc(security="bearer")
@bp.output(TaskAnswer, status_code=202)
def cancel(uuid: UUID) -> Any:
    """Cancel: at once while it waits; a running task says `cancelling` until its work has stopped."""
    task = tasks.cancel(guards.user(), uuid)
    db.session.commit()
    return dump(copy_of(task)), 202


def _idempotency_key() -> str | None:
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return None
    if not 1 <= len(key) <= 60 or not key.isprintable():
        raise Invalid("idempotency_key_invalid", field="Idempotency-Key")
    return f"api:{key}"
