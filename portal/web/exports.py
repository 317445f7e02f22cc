"""Exports: ask for a file of a dataset, take it away."""

from typing import Any
from uuid import UUID

from flask import Blueprint, Response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from portal import transfers
from portal.errors import PortalError
from portal.extensions import db
from portal.models import Dataset
from portal.services import datasets, exports, tasks
from portal.web import guards, looks
from portal.web.forms.exports import ExportForm
from portal.web.forms.tasks import fresh_nonce, key_of

bp = Blueprint("exports", __name__)


@bp.get("/tasks/<uuid:uuid>/download")
@guards.member_required
def download(uuid: UUID) -> Response:
    """The file of a completed export; a broken download goes on where it was."""
    export = exports.get_for(guards.user(), uuid)
    db.session.commit()  # it may take long: no connection is held
    return transfers.download(export)


@bp.get("/datasets/<uuid:uuid>/export")
@guards.member_required
def new(uuid: UUID) -> ResponseReturnValue:
    """Which columns, which rows, in which format."""
    dataset = datasets.get_for(guards.user(), uuid)
    return _page(dataset, ExportForm(request.args, nonce=fresh_nonce(), meta={"csrf": False}))


@bp.post("/datasets/<uuid:uuid>/export")
@guards.member_required
def create(uuid: UUID) -> ResponseReturnValue:
    """Go to the task that makes the file, or show the form again with what is wrong."""
    dataset, form = datasets.get_for(guards.user(), uuid), ExportForm()
    if not form.validate_on_submit():
        return _page(dataset, form), 422
    try:
        params = form.params(dataset.uuid, looks.conditions(request.form))
        task = tasks.submit(guards.user(), "export", params, key=key_of(form.nonce.data))
    except PortalError as error:
        db.session.rollback()
        status = form.explain(error)
        return _page(datasets.get_for(guards.user(), uuid), form), status
    db.session.commit()
    return redirect(url_for("tasks.show", uuid=task.uuid), 303)


def _page(dataset: Dataset, form: ExportForm) -> str:
    chosen: Any = request.form if request.method == "POST" else request.args
    return render_template(
        "exports/new.html",
        dataset=dataset,
        form=form,
        conditions=looks.asked(chosen),
        export_words=looks.WORDS,
        made=exports.of_dataset(dataset),
        picked=set(chosen.getlist("columns")),
    )
