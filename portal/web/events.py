"""What happened to one's account."""

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from portal import limits
from portal.services import events
from portal.web import guards

bp = Blueprint("events", __name__, url_prefix="/account/history")


@bp.get("/")
@guards.member_required
def index() -> ResponseReturnValue:
    """Newest first."""
    cursor = request.args.get("cursor", type=int)
    found = events.list_for(guards.user(), cursor=cursor, limit=limits.PAGE_SIZE)
    return render_template(
        "events/index.html", events=found.items, next_cursor=found.next_cursor, user_id=guards.user().id
    )
