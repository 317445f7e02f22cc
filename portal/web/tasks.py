"""Tasks: submit, list, watch, cancel."""

import secrets
from uuid import UUID

from flask import Blueprint, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from portal.errors import Conflict, PortalError
from portal.extensions import db, settings
from portal.services import tasks
from portal.services.copies import copy_of
from portal.web import cursor, guards, htmx
from portal.web.forms.tasks import FetchForm

bp = Blueprint("tasks", __name__, url_prefix="/tasks")


@bp.get("/")
@guards.member_required
def index() -> ResponseReturnValue:
    """A form for a new task, and one's tasks, newest first."""
    return _index(FetchForm(formdata=None, nonce=secrets.token_hex(16)))


def _index(form: FetchForm, status: int = 200) -> ResponseReturnValue:
    found = tasks.list_for(guards.user(), cursor=cursor.wanted())
    copies = [copy_of(task) for task in found.items]
    sample = settings().sample_url
    page = render_template(
        "tasks/index.html",
        form=form,
        tasks=copies,
        next_cursor=found.next_cursor,
        sample=sample,
    )
    return page, status


@bp.post("/")
@guards.member_required
def create() -> ResponseReturnValue:
    """Go to the new task, or show the form again with what is wrong."""
    form = FetchForm()
    status = 422
    if form.validate_on_submit():
        try:
            nonce = f"form:{form.nonce.data}"[:64] if form.nonce.data else None
            task = tasks.submit(guards.user(), "fetch", form.params(), nonce=nonce)
            db.session.commit()
            return redirect(url_for(".show", uuid=task.uuid), 303)
        except PortalError as error:
            status = form.explain(error)
    return _index(form, status)


@bp.post("/health-check")
@guards.member_required
def check_health() -> ResponseReturnValue:
    """A task that asks each part of the portal how it is."""
    task = tasks.submit(guards.user(), "health_check", {})
    db.session.commit()
    return redirect(url_for(".show", uuid=task.uuid), 303)


@bp.get("/<uuid:uuid>")
@guards.member_required
def show(uuid: UUID) -> ResponseReturnValue:
    """One task, live."""
    return render_template("tasks/show.html", task=copy_of(tasks.get_for(guards.user(), uuid)))


@bp.get("/<uuid:uuid>/progress")
@guards.member_polls
def progress(uuid: UUID) -> ResponseReturnValue:
    """The live part of a task, as its page shows it, or as a row of the list (`?as=row`)."""
    copy = tasks.poll(g.session_id, uuid, kind="browser")
    db.session.commit()  # the log-in's last use, where it was looked up
    if not htmx.is_htmx():
        return redirect(url_for(".show", uuid=uuid))
    return htmx.part(_fragment(), task=copy)


@bp.post("/<uuid:uuid>/cancel")
@guards.member_required
def cancel(uuid: UUID) -> ResponseReturnValue:
    """Cancel, and show how it stands; one that has just ended is shown as it is."""
    try:
        task = tasks.cancel(guards.user(), uuid)
    except Conflict:
        task = tasks.get_for(guards.user(), uuid)
    db.session.commit()
    return htmx.swap(_fragment(), otherwise=".show", values={"uuid": uuid}, task=copy_of(task))


def _fragment() -> str:
    """What the asking page shows: the task in full, or (`?as=row`) a row of the list."""
    return "tasks/_row.html" if request.args.get("as") == "row" else "tasks/_task.html"
