"""Who I am and where I am logged in."""

from typing import Any
from uuid import UUID

from apiflask import APIBlueprint

from portal.api import guards
from portal.api.schemas import PageQuery
from portal.api.schemas.accounts import EventsAnswer, ProfileBody, SessionAnswer, SessionsAnswer, UserAnswer, dump_event
from portal.extensions import db
from portal.services import credentials, events, sessions

bp = APIBlueprint("api_sessions", __name__, url_prefix="/api/v1/users/me", tag="users")


@bp.get("")
@guards.bearer_required
@bp.doc(operation_id="getAccount", security="bearer")
@bp.output(UserAnswer)
def me() -> Any:
    """The account behind the token."""
    return UserAnswer.model_validate(guards.user())


@bp.patch("")
@guards.bearer_required
@bp.doc(operation_id="changeAccount", security="bearer")
@bp.input(ProfileBody, arg_name="body")
@bp.output(UserAnswer)
def change(body: ProfileBody) -> Any:
    """Change what is sent; username, e-mail and phone number need a log-in of ten minutes at most (`/auth/confirm`)."""
    user = credentials.change(guards.login(), **body.model_dump(exclude_none=True), visitor=guards.visitor())
    db.session.commit()
    return UserAnswer.model_validate(user)


@bp.get("/events")
@guards.bearer_required
@bp.doc(operation_id="listAccountEvents", security="bearer")
@bp.input(PageQuery, location="query", arg_name="query")
@bp.output(EventsAnswer)
def history(query: PageQuery) -> Any:
    """What happened to your account, newest first."""
    found = events.list_for(guards.user(), cursor=query.cursor, limit=query.limit)
    return {"items": [dump_event(event) for event in found.items], "next_cursor": found.next_cursor}


@bp.get("/sessions")
@guards.bearer_required
@bp.doc(operation_id="listSessions", security="bearer")
@bp.output(SessionsAnswer)
def index() -> Any:
    """Live log-ins, of browsers and programs, last used first."""
    found = [SessionAnswer.model_validate(login) for login in sessions.list_live(guards.user())]
    return {"items": [each.model_copy(update={"current": each.id == guards.login().id}) for each in found]}


@bp.delete("/sessions/<uuid:session_id>")
@guards.bearer_required
@bp.doc(operation_id="endSession", security="bearer")
@bp.output({}, status_code=204)
def end(session_id: UUID) -> Any:
    """End one log-in: its cookie or tokens are refused from the next call on."""
    sessions.end(guards.user(), session_id, visitor=guards.visitor())
    db.session.commit()
    return ""
