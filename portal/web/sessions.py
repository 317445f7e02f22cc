"""Where one is logged in."""

from uuid import UUID

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from portal.extensions import db
from portal.services import sessions
from portal.web import guards

bp = Blueprint("sessions", __name__, url_prefix="/sessions")


@bp.get("/")
@guards.member_required
def index() -> ResponseReturnValue:
    """Live log-ins, of browsers and programs."""
    found = sessions.list_live(guards.user())
    return render_template("sessions/index.html", sessions=found, current=guards.login_session().id)


@bp.post("/<uuid:session_id>/end")
@guards.member_required
def end(session_id: UUID) -> ResponseReturnValue:
    """End one: its cookie or tokens are refused from the next call on."""
    sessions.end(guards.user(), session_id, visitor=guards.visitor())
    db.session.commit()
    flash(_("The session has been ended."), "success")
    return redirect(url_for(".index"), 303)


@bp.post("/end-all")
@guards.member_required
def end_all() -> ResponseReturnValue:
    """Log out everywhere, here too."""
    sessions.end_all(guards.user(), "logout_all", visitor=guards.visitor())
    db.session.commit()
    guards.forget()
    flash(_("You are logged out everywhere."), "success")
    return redirect(url_for("accounts.login"), 303)
