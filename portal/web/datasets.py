"""Datasets: list and look."""

from uuid import UUID

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from portal.errors import Unavailable
from portal.services import datasets
from portal.web import cursor, guards

bp = Blueprint("datasets", __name__, url_prefix="/datasets")


@bp.get("/")
@guards.member_required
def index() -> ResponseReturnValue:
    """One's datasets, newest first."""
    found = datasets.list_for(guards.user(), cursor=cursor.wanted())
    return render_template("datasets/index.html", datasets=found.items, next_cursor=found.next_cursor)


@bp.get("/<uuid:uuid>")
@guards.member_required
def show(uuid: UUID) -> ResponseReturnValue:
    """What is known of a dataset, and its first rows."""
    dataset = datasets.get_for(guards.user(), uuid)
    try:
        rows = datasets.rows(dataset)
    except Unavailable:
        rows = None
    return render_template("datasets/show.html", dataset=dataset, rows=rows)
