"""Datasets: list, look, describe, remove."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, TypeAlias
from uuid import UUID

from flask import Blueprint, flash, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from portal.data_words import encoding_name
from portal.engine.reading import ENCODINGS
from portal.errors import Invalid, PortalError, TooMany, Unavailable
from portal.extensions import db
from portal.models import Dataset
from portal.services import datasets, storage
from portal.web import cursor, guards, htmx, looks, profile_charts
from portal.web.forms.datasets import DatasetForm
from portal.wording import sentence

bp = Blueprint("datasets", __name__, url_prefix="/datasets")
bp.add_app_template_test(looks.is_nested, "nested")
bp.add_app_template_filter(encoding_name)
COLUMNS_A_PAGE = 24
Looked: TypeAlias = tuple[dict[str, Any], int, dict[str, str]]


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
    db.session.commit()  # it may take a second: no connection is held
    with _looked(looks.page, dataset) as (context, status, headers):
        context |= {"words": looks.WORDS}
        if htmx.is_htmx():
            answer = htmx.part("datasets/_rows.html", **context)
        else:
            context |= {"task": task, "encodings": _other_encodings(dataset)}
            answer = make_response(render_template("datasets/show.html", **context))
    return answer, status, headers


def _other_encodings(dataset: Dataset) -> tuple[list[str], list[str]]:
    """Those in which a dataset's text was not read: those that fit, likeliest first, and all others."""
    fitting = [name for name in dataset.found.get("encodings", ()) if name != dataset.found["encoding"]]
    return fitting, [name for name in ENCODINGS if name not in (*fitting, dataset.found.get("encoding"))]


@bp.get("/<uuid:uuid>/row")
@guards.member_required
def row(uuid: UUID) -> ResponseReturnValue:
    """One row, whole: what a page of rows has no room for."""
    dataset = datasets.get_for(guards.user(), uuid)
    db.session.commit()
    with _looked(looks.row, dataset) as (context, status, headers):
        return render_template("datasets/row.html", **context), status, headers


@contextmanager
def _looked(look: Callable[[Dataset, Any], looks.LookPage], dataset: Dataset) -> Iterator[Looked]:
    """What a page shows of the rows, its status and headers; a place among the looks is held while it is made."""
    with ExitStack() as held:
        try:
            held.enter_context(datasets.looking_at(dataset))
            shown: dict[str, Any] = {"look": look(dataset, request.args), "away": None}
            status, headers = 200, dict[str, str]()
        except (Unavailable, TooMany) as error:
            shown = {"look": None, "away": sentence({"code": error.code, "params": error.params})}
            status, headers = error.status, {"Retry-After": str(error.retry_after)}
        again = request.full_path.rstrip("?")
        yield {"dataset": dataset, "again": again, **shown}, status, headers


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
    """Make a new one of the same source; read in another encoding, if that is sent."""
    encoding = request.form.get("encoding")
    try:
        task = datasets.fetch_again(guards.user(), uuid, **({"encoding": encoding} if encoding else {}))
    except PortalError as error:
        db.session.rollback()
        if error.status == 404:
            raise
        flash(sentence({"code": error.code, "params": error.params}), "error")
        return redirect(url_for(".show", uuid=uuid), 303)
    db.session.commit()
    return redirect(url_for("tasks.show", uuid=task.uuid), 303)
