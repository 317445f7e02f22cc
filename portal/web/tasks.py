"""Tasks: submit, list, watch, cancel, run again."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, flash, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from portal import limits
from portal.errors import BadRequest, Conflict, Invalid, PortalError, TooMany, Unavailable
from portal.extensions import db, settings
from portal.services import polls, quotas, storage, tasks
from portal.services.copies import TaskCopy, poll_after
from portal.web import cursor, guards, htmx, task_words
from portal.web.forms.tasks import UPLOAD, FetchForm, FilterForm, UploadForm, fresh_nonce, key_of
from portal.wording import sentence, task_name

bp = Blueprint("tasks", __name__, url_prefix="/tasks")
bp.add_app_template_filter(task_name)
bp.add_app_template_filter(task_words.ordinal)
bp.add_app_template_filter(task_words.wait_until)
bp.add_app_template_filter(poll_after)


@bp.get("/")
@guards.member_required
def index() -> ResponseReturnValue:
    """A form for a new task, and one's tasks, newest first; to htmx only how many there may be and are."""
    if htmx.is_htmx():
        return htmx.part("tasks/_quota.html", quota=quotas.use_of(guards.user()), held=storage.use_of(guards.user().id))
    return page_of(FetchForm(formdata=None, nonce=fresh_nonce()))


def page_of(
    form: FetchForm, status: int = 200, headers: dict[str, str] | None = None, *, upload: UploadForm | None = None
) -> ResponseReturnValue:
    """One's tasks, with the forms for new ones; one of them may say what was wrong with it."""
    form.forget_secrets()
    chosen = FilterForm(request.args)
    found = tasks.list_for(guards.user(), chosen.wanted(), cursor=cursor.wanted())
    page = render_template(
        "tasks/index.html",
        form=form,
        upload=upload or UploadForm(formdata=None, prefix=UPLOAD, nonce=fresh_nonce()),
        chosen=chosen,
        kept=chosen.kept(),
        tasks=found.items,
        next_cursor=found.next_cursor,
        quota=quotas.use_of(guards.user()),
        held=storage.use_of(guards.user().id),
        sample=settings().sample_url,
    )
    return page, status, headers or {}


@bp.post("/")
@guards.member_required
def create() -> ResponseReturnValue:
    """Go to the new task, or show the form again with what is wrong."""
    form = FetchForm()
    if not form.validate_on_submit():
        return page_of(form, 422)
    try:
        task = tasks.submit(
            guards.user(), "fetch", form.params(), key=key_of(form.nonce.data), visitor=guards.visitor()
        )
    except PortalError as error:
        db.session.rollback()
        again = {"Retry-After": str(error.retry_after)} if error.retry_after else {}
        return page_of(form, form.explain(error), again)
    db.session.commit()
    return redirect(url_for(".show", uuid=task.uuid), 303)


@bp.post("/health-check")
@guards.member_required
def check_health() -> ResponseReturnValue:
    """A task that asks each part of the portal how it is."""
    try:
        task = tasks.submit(guards.user(), "health_check", {}, key=key_of(request.form.get("nonce")))
    except PortalError as error:
        return _refused(error, url_for(".index"))
    db.session.commit()
    return redirect(url_for(".show", uuid=task.uuid), 303)


@bp.get("/<uuid:uuid>")
@guards.member_required
def show(uuid: UUID) -> ResponseReturnValue:
    """One task, live, and what happened to it."""
    task, steps = tasks.copy_for(guards.user(), uuid), tasks.timeline(guards.user(), uuid)
    return render_template("tasks/show.html", task=task, steps=steps, retried_as=tasks.retried_as(uuid))


@bp.get("/<uuid:uuid>/timeline")
@guards.member_required
def timeline(uuid: UUID) -> ResponseReturnValue:
    """What happened to a task."""
    steps = tasks.timeline(guards.user(), uuid)
    if not htmx.is_htmx():
        return redirect(url_for(".show", uuid=uuid))
    return htmx.part("tasks/_timeline.html", steps=steps)


@bp.get("/<uuid:uuid>/progress")
@guards.member_polls
def progress(uuid: UUID) -> ResponseReturnValue:
    """The live part of a task's page. `seen`: the state that the page shows already."""
    copy = polls.poll(g.session_id, uuid, kind="browser")
    db.session.commit()  # the log-in's last use, where it was looked up
    if not htmx.is_htmx():
        return redirect(url_for(".show", uuid=uuid))
    answer = htmx.part("tasks/_task.html", task=copy, seen=request.args.get("seen", ""))
    return _telling(answer, [copy])


@bp.get("/progress")
@guards.member_polls
def progress_many() -> ResponseReturnValue:
    """The rows of the list that may have changed, in one answer. `seen` is for the numbers above the list."""
    copies = polls.poll_many(g.session_id, _named(request.args), kind="browser")
    db.session.commit()  # as above
    if not htmx.is_htmx():
        return redirect(url_for(".index"))
    answer = htmx.part("tasks/progress.html", tasks=copies, seen=request.args.get("seen", ""))
    return _telling(answer, copies)


def _telling(answer: Response, copies: Sequence[TaskCopy]) -> Response:
    """A page asks about tasks that it shows as live: those that are not have just ended."""
    ended = task_words.notices(copies)
    return htmx.tell(answer, "tasks-ended", tasks=ended) if ended else answer


@bp.post("/<uuid:uuid>/cancel")
@guards.member_required
def cancel(uuid: UUID) -> ResponseReturnValue:
    """Cancel, and show how it stands; one that has just ended is shown as it is."""
    try:
        task = tasks.cancel(guards.user(), uuid)
    except Conflict:
        task = tasks.copy_for(guards.user(), uuid)
    db.session.commit()
    fragment = "tasks/_row.html" if request.args.get("as") == "row" else "tasks/_task.html"
    return htmx.swap(fragment, otherwise=".show", values={"uuid": uuid}, task=task, seen="")


@bp.post("/<uuid:uuid>/retry")
@guards.member_required
def retry(uuid: UUID) -> ResponseReturnValue:
    """Run an ended task again, and go to the new one; with what was missing to read its file, if that is sent."""
    chosen: dict[str, Any] = {
        name: value for name in ("member", "sheet", "encoding") if (value := request.form.get(name))
    }
    chosen |= {name: True for name in ("skip_broken", "replace_undecodable", "offered") if request.form.get(name)}
    try:
        task = tasks.retry(guards.user(), uuid, **chosen)
    except (Conflict, Invalid, TooMany, Unavailable) as error:
        return _refused(error, url_for(".show", uuid=uuid))
    db.session.commit()
    return redirect(url_for(".show", uuid=task.uuid), 303)


@bp.post("/bulk")
@guards.member_required
def bulk() -> ResponseReturnValue:
    """Cancel the chosen tasks, or run them again, as far as they can be."""
    chosen, back = _named(request.form), guards.safe_next(request.form.get("next")) or url_for(".index")
    action = {"cancel": tasks.cancel_many, "retry": tasks.retry_many}.get(request.form.get("action", ""))
    if action is None:
        raise BadRequest
    try:
        done = action(guards.user(), chosen)
    except PortalError as error:
        return _refused(error, back)
    db.session.commit()
    flash(task_words.of_many(request.form["action"], done, len(chosen)), "success" if done else "error")
    return redirect(back, 303)


def _named(sent: Any) -> list[UUID]:
    """The tasks that a request names with `task=`, each once."""
    found = dict.fromkeys(sent.getlist("task", type=UUID))
    if len(found) > limits.BULK_MAX:
        raise BadRequest
    return list(found)


def _refused(error: PortalError, target: str) -> ResponseReturnValue:
    """Nothing was done; say why, on a page where one can go on."""
    db.session.rollback()
    flash(sentence({"code": error.code, "params": error.params}), "error")
    return redirect(target, 303)
