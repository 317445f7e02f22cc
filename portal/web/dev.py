"""Local mode only: what would have been sent by SMS or mail."""

from typing import Any

from flask import Blueprint, abort, render_template

from portal.extensions import gateways
from portal.web import guards

bp = Blueprint("dev", __name__, url_prefix="/dev")


def _messages() -> list[dict[str, Any]]:
    box = gateways().outbox
    return box.messages() if box else abort(404)


@bp.get("/outbox")
@guards.outbox_reader
def outbox() -> Any:
    """Messages, newest first."""
    return render_template("dev/outbox.html", messages=_messages())


@bp.get("/outbox.json")
@guards.outbox_reader
def outbox_json() -> Any:
    """The same for programs."""
    return _messages()
