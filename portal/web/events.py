"""What happened to one's account."""

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from portal import limits
from portal.services import events
from portal.web import cursor, guards

bp = Blueprint("events", __name__, url_prefix="/account/history")


@bp.get("/")
@guards.member_required
def index() -> ResponseReturnValue:
    """Newest first."""
    found = events.list_for(guards.user(), cursor=cursor.wanted(), limit=limits.PAGE_SIZE)
    return render_template(
        "events/index.html", events=found.items, next_cursor=found.next_cursor, user_id=guards.user().id
    )
