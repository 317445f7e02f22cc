"""The front page, and the language."""

from flask import Blueprint, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from portal.errors import Invalid
from portal.extensions import db
from portal.services import accounts
from portal.web import guards

bp = Blueprint("home", __name__)


@bp.get("/")
@guards.public
def index() -> ResponseReturnValue:
    """What this is, to a stranger; one's tasks, to a member."""
    if current_user.is_authenticated:
        return redirect(url_for("tasks.index"))
    return render_template("home/index.html")


@bp.post("/language")
@guards.public
def language() -> ResponseReturnValue:
    """Read on in another language; a member's choice is remembered."""
    locale = request.form.get("locale", "")
    if locale not in ("zh", "en"):
        raise Invalid("locale_unknown", field="locale")
    session["locale"] = locale
    if current_user.is_authenticated:
        accounts.set_locale(guards.user().id, locale)
        db.session.commit()
    return redirect(guards.safe_next(request.form.get("next")) or url_for(".index"), 303)
