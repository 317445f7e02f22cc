"""Local mode only: what would have been sent by SMS or mail."""

from typing import Any

from flask import Blueprint, abort, redirect, render_template, request, url_for

from portal.extensions import gateways, settings
from portal.web import guards

bp = Blueprint("dev", __name__, url_prefix="/dev")
COOKIE_SECONDS = 30 * 86400


def _messages() -> list[dict[str, Any]]:
    box = gateways().outbox
    return box.messages() if box else abort(404)


@bp.get("/outbox")
@guards.outbox_reader
def outbox() -> Any:
    """Messages, newest first; an address with the key in it leads to the one without."""
    if "key" in request.args:
        answer = redirect(url_for(".outbox"), 303)
        answer.set_cookie(
            guards.outbox_cookie(),
            settings().outbox_key,
            max_age=COOKIE_SECONDS,
            path=bp.url_prefix,
            httponly=True,
            samesite="Lax",
        )
        return answer
    return render_template("dev/outbox.html", messages=_messages())


@bp.get("/outbox.json")
@guards.outbox_reader
def outbox_json() -> Any:
    """The same for programs, which send the key as `key` or in the header `X-Outbox-Key`."""
    return _messages()
