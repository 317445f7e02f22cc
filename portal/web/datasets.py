"""Datasets: list, look, describe, remove."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from portal.errors import Invalid, PortalError, Unavailable
from portal.extensions import db
from portal.models import Dataset
from portal.services import datasets, storage
from portal.web import cursor, guards, htmx, looks, profile_charts
from portal.web.forms.datasets import DatasetForm
from portal.wording import sentence

bp = Blueprint("datasets", __name__, url_prefix="/datasets")
bp.add_app_template_test(looks.is_nested, "nested")
COLUMNS_A_PAGE = 24


@bp.get("/")
@guards.member_required
def index() -> ResponseReturnValue:
    """One's datasets, newest first."""
    found = datasets.list_for(guards.user(), cursor=cursor.wanted())
    held = storage.use_of(guards.user().id)
    return render_template("datasets/index.html", datasets=found.items, next_cursor=found.next_cursor, held=held)


@bp.get("/<uuid:uuid>")
@guards.member_required
def show(uuid: UUID) -> ResponseReturnValue:
    """What is known of a dataset, and its rows; to htmx the rows alone."""
    dataset = datasets.get_for(guards.user(), uuid)
    task = datasets.task_of(dataset)
    context = _looked(looks.page, dataset) | {"words": looks.WORDS}
    if htmx.is_htmx():
        return htmx.part("datasets/_rows.html", **context)
    return render_template("datasets/show.html", task=task, **context)


@bp.get("/<uuid:uuid>/row")
@guards.member_required
def row(uuid: UUID) -> ResponseReturnValue:
    """One row, whole: what a page of rows has no room for."""
    return render_template("datasets/row.html", **_looked(looks.row, datasets.get_for(guards.user(), uuid)))


def _looked(look: Callable[[Dataset, Any], looks.LookPage], dataset: Dataset) -> dict[str, Any]:
    db.session.commit()  # it may take a second: no connection is held
    try:
        return {"dataset": dataset, "look": look(dataset, request.args), "away": None}
    except Unavailable as error:
        return {"dataset": dataset, "look": None, "away": sentence({"code": error.code, "params": error.params})}


@bp.get("/<uuid:uuid>/columns")
@guards.member_required
def columns(uuid: UUID) -> ResponseReturnValue:
    """What is in each column."""
    dataset = datasets.get_for(guards.user(), uuid, with_profile=True)
    first = max(0, request.args.get("from", 0, type=int))
    profile = dataset.profile or []
    cards = [profile_charts.card(found) for found in profile[first : first + COLUMNS_A_PAGE]]
    following = first + COLUMNS_A_PAGE if first + COLUMNS_A_PAGE < len(profile) else None
    return render_template("datasets/columns.html", dataset=dataset, cards=cards, first=first, following=following)


@bp.get("/<uuid:uuid>/edit")
@guards.member_required
def edit(uuid: UUID) -> ResponseReturnValue:
    """A form for name and description."""
    dataset = datasets.get_for(guards.user(), uuid)
    return render_template("datasets/edit.html", dataset=dataset, form=DatasetForm(obj=dataset))


@bp.post("/<uuid:uuid>/edit")
@guards.member_required
def change(uuid: UUID) -> ResponseReturnValue:
    """Call it otherwise, describe it."""
    form = DatasetForm()
    try:
        datasets.change(guards.user(), uuid, name=form.name.data, description=form.description.data)
    except Invalid as error:
        db.session.rollback()
        status, dataset = form.explain(error), datasets.get_for(guards.user(), uuid)
        return render_template("datasets/edit.html", dataset=dataset, form=form), status
    db.session.commit()
    return redirect(url_for(".show", uuid=uuid), 303)


@bp.post("/<uuid:uuid>/delete")
@guards.member_required
def delete(uuid: UUID) -> ResponseReturnValue:
    """Remove it; what was exported of it stays."""
    datasets.delete(guards.user(), uuid)
    db.session.commit()
    flash(gettext("The dataset is deleted."), "success")
    return redirect(url_for(".index"), 303)


@bp.post("/<uuid:uuid>/fetch-again")
@guards.member_required
def fetch_again(uuid: UUID) -> ResponseReturnValue:
    """Make a new one of the same source."""
    try:
        task = datasets.fetch_again(guards.user(), uuid)
    except PortalError as error:
        db.session.rollback()
        if error.status == 404:
            raise
        flash(sentence({"code": error.code, "params": error.params}), "error")
        return redirect(url_for(".show", uuid=uuid), 303)
    db.session.commit()
    return redirect(url_for("tasks.show", uuid=task.uuid), 303)
