"""Who I am and where I am logged in."""

from typing import Any
from uuid import UUID

from apiflask import APIBlueprint

from portal.api import guards
from portal.api.schemas.accounts import SessionAnswer, SessionsAnswer, UserAnswer
from portal.extensions import db
from portal.services import sessions

bp = APIBlueprint("api_sessions", __name__, url_prefix="/api/v1/users/me", tag="users")


@bp.get("")
@guards.bearer_required
@bp.doc(security="bearer")
@bp.output(UserAnswer)
def me() -> Any:
    """The account behind the token."""
    return UserAnswer.model_validate(guards.user())


@bp.get("/sessions")
@guards.bearer_required
@bp.doc(security="bearer")
@bp.output(SessionsAnswer)
def index() -> Any:
    """Live log-ins, of browsers and programs, last used first."""
    found = [SessionAnswer.model_validate(login) for login in sessions.list_live(guards.user())]
    return {"items": [each.model_copy(update={"current": each.id == guards.login().id}) for each in found]}


@bp.delete("/sessions/<uuid:session_id>")
@guards.bearer_required
@bp.doc(security="bearer")
@bp.output({}, status_code=204)
def end(session_id: UUID) -> Any:
    """End one log-in: its cookie or tokens are refused from the next call on."""
    sessions.end(guards.user(), session_id)
    db.session.commit()
    return ""
