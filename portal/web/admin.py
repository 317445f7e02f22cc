"""For admins: people, everyone's tasks, what was sent, the history, how the portal stands."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import astuple
from typing import Any
from uuid import UUID

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from portal.errors import Conflict, Forbidden, Invalid
from portal.extensions import db
from portal.models.tasks import STATUSES
from portal.services import admin, events, messages
from portal.services.paging import Page
from portal.services.switching_off import Stopped
from portal.web import charts, cursor, guards
from portal.wording import EVENTS, ROLES, sentence

bp = Blueprint("admin", __name__, url_prefix="/admin")
SPENDING_DAYS = 30
HISTORY_ROWS = 50


@bp.get("/")
@guards.admin_required
def index() -> ResponseReturnValue:
    """The first of the pages."""
    return redirect(url_for(".users"))


@bp.get("/users")
@guards.admin_required
def users() -> ResponseReturnValue:
    """Everyone, newest first; `q`, `role` and `active` narrow it."""
    chosen = _chosen("q", "role", "active")
    active = {"yes": True, "no": False}.get(chosen["active"])
    found = admin.list_users(chosen["q"], role=chosen["role"] or None, active=active, cursor=cursor.wanted())
    return render_template(
        "admin/users.html", users=found.items, chosen=chosen, roles=ROLES, older=_older(".users", found, chosen)
    )


@bp.get("/users/<uuid:uuid>")
@guards.admin_required
def user(uuid: UUID) -> ResponseReturnValue:
    """One person, what may be changed of them, and their history."""
    who = admin.get_user(uuid)
    found = events.list_for(who, cursor=cursor.wanted(), limit=HISTORY_ROWS, whole=True)
    return render_template(
        "admin/user.html",
        user=who,
        actor=guards.user(),
        roles=admin.roles_for(guards.user(), who),
        role_words=ROLES,
        events=found.items,
        people=admin.people_of(found.items),
        older=_older(".user", found, {"uuid": str(uuid)}),
    )


@bp.get("/users/<uuid:uuid>/role")
@bp.get("/users/<uuid:uuid>/active")
@guards.admin_required
def back_to_user(uuid: UUID) -> ResponseReturnValue:
    """Where those come back to who pressed a button and had to confirm who they are first."""
    return _once_more(url_for(".user", uuid=uuid))


@bp.post("/users/<uuid:uuid>/role")
@guards.admin_required
def set_role(uuid: UUID) -> ResponseReturnValue:
    """Give another role; all their sessions end."""
    return _change(uuid, role=request.form.get("role", ""))


@bp.post("/users/<uuid:uuid>/active")
@guards.admin_required
def set_active(uuid: UUID) -> ResponseReturnValue:
    """Let in (`active=yes`) or keep out; all their sessions end."""
    return _change(uuid, active=request.form.get("active") == "yes")


def _change(uuid: UUID, *, role: str | None = None, active: bool | None = None) -> ResponseReturnValue:
    try:
        changed = admin.change(guards.user(), uuid, role=role, active=active, visitor=guards.visitor())
        db.session.commit()
        flash(_("Changed. All sessions of this user have ended."), "success")
        if changed.stopped and any(astuple(changed.stopped)):
            flash(_stopped(changed.stopped))
    except (Conflict, Forbidden, Invalid) as error:
        db.session.rollback()
        flash(sentence({"code": error.code, "params": error.params}), "error")
    return redirect(url_for(".user", uuid=uuid), 303)


@bp.get("/tasks")
@guards.admin_required
def tasks() -> ResponseReturnValue:
    """Everyone's tasks, newest first."""
    chosen = _chosen("status")
    found = admin.list_tasks(status=chosen["status"], cursor=cursor.wanted())
    older = _older(".tasks", found, chosen)
    return render_template("admin/tasks.html", tasks=found.items, chosen=chosen, statuses=STATUSES, older=older)


@bp.get("/messages")
@guards.admin_required
def sent() -> ResponseReturnValue:
    """SMS and mail per day, what is left to send, which numbers are stopped."""
    days = messages.spending(SPENDING_DAYS)
    return render_template(
        "admin/messages.html",
        days=days,
        charts={channel: charts.per_day(days, channel) for channel in ("sms", "mail")},
        left=messages.budget_left(),
        stopped=messages.stopped(),
    )


@bp.get("/messages/<prefix>/lift")
@guards.admin_required
def back_to_messages(prefix: str) -> ResponseReturnValue:  # noqa: ARG001  # the address has it
    """As `back_to_user`."""
    return _once_more(url_for(".sent"))


@bp.post("/messages/<prefix>/lift")
@guards.admin_required
def lift(prefix: str) -> ResponseReturnValue:
    """Allow codes to numbers that begin so again."""
    messages.lift(guards.user(), prefix, visitor=guards.visitor())
    db.session.commit()
    flash(_("Numbers that begin with %(prefix)s get codes again.", prefix=prefix), "success")
    return redirect(url_for(".sent"), 303)


@bp.get("/history")
@guards.admin_required
def history() -> ResponseReturnValue:
    """What happened to accounts, newest first; `kind`, `user` and `address` narrow it."""
    chosen = _chosen("kind", "user", "address")
    found = admin.search_history(**chosen, cursor=cursor.wanted(), limit=HISTORY_ROWS)
    return render_template(
        "admin/history.html",
        events=found.items,
        people=admin.people_of(found.items),
        kinds_of_event={kind: str(words) % defaultdict(lambda: "…") for kind, words in EVENTS.items()},
        chosen=chosen,
        older=_older(".history", found, chosen),
    )


@bp.get("/system")
@guards.admin_required
def system() -> ResponseReturnValue:
    """Queue, workers, Redis, budgets, captcha."""
    return render_template("admin/system.html", **admin.system())


def _stopped(stopped: Stopped) -> str:
    told = _(
        "Stopped: sessions %(sessions)s, tasks that waited %(cancelled)s, tasks that run %(stopping)s (soon), "
        "stored request headers %(secrets)s, files sent %(uploads)s, mails %(mails)s.",
        sessions=stopped.sessions,
        cancelled=stopped.tasks_cancelled,
        stopping=stopped.tasks_stopping,
        secrets=stopped.secrets,
        uploads=stopped.uploads,
        mails=stopped.mails,
    )
    return str(told)


def _once_more(page: str) -> ResponseReturnValue:
    flash(_("You have confirmed that it is you. Press the button once more."))
    return redirect(page, 303)


def _chosen(*names: str) -> dict[str, str]:
    return {name: request.args.get(name, "").strip() for name in names}


def _older(endpoint: str, found: Page[Any], chosen: Mapping[str, str]) -> str | None:
    """The address of the page after this one, narrowed in the same way."""
    kept: dict[str, Any] = {name: value for name, value in chosen.items() if value}
    return url_for(endpoint, **kept, cursor=found.next_cursor) if found.next_cursor else None
