"""Datasets: list, describe, look at rows, remove."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

from apiflask import APIBlueprint
from flask import Response, current_app, url_for

from portal.api import guards
from portal.api.schemas import PageQuery
from portal.api.schemas.datasets import (
    AgainQuery,
    DatasetAnswer,
    DatasetBody,
    DatasetsAnswer,
    ProfileAnswer,
    ProfileQuery,
    RowsAnswer,
    RowsQuery,
)
from portal.api.schemas.tasks import TaskAnswer, dump
from portal.extensions import db
from portal.services import datasets

bp = APIBlueprint("api_datasets", __name__, url_prefix="/api/v1/datasets", tag="datasets")


@bp.get("")
@guards.bearer_required
@bp.doc(operation_id="listDatasets", security="bearer")
@bp.input(PageQuery, location="query", arg_name="query")
@bp.output(DatasetsAnswer)
def index(query: PageQuery) -> Any:
    """Your datasets, newest first."""
    found = datasets.list_for(guards.user(), cursor=query.cursor, limit=query.limit)
    return {
        "items": [DatasetAnswer.model_validate(dataset) for dataset in found.items],
        "next_cursor": found.next_cursor,
    }


@bp.get("/<uuid:uuid>")
@guards.bearer_required
@bp.doc(operation_id="getDataset", security="bearer")
@bp.output(DatasetAnswer)
def show(uuid: UUID) -> Any:
    """One dataset: where it came from, how large it is, its columns."""
    return DatasetAnswer.model_validate(datasets.get_for(guards.user(), uuid))


@bp.patch("/<uuid:uuid>")
@guards.bearer_required
@bp.doc(operation_id="changeDataset", security="bearer")
@bp.input(DatasetBody, arg_name="body")
@bp.output(DatasetAnswer)
def change(uuid: UUID, body: DatasetBody) -> Any:
    """Call it otherwise, describe it."""
    dataset = datasets.change(guards.user(), uuid, name=body.name, description=body.description)
    db.session.commit()
    return DatasetAnswer.model_validate(dataset)


@bp.delete("/<uuid:uuid>")
@guards.bearer_required
@bp.doc(operation_id="deleteDataset", security="bearer")
@bp.output({}, status_code=204)
def delete(uuid: UUID) -> Any:
    """Remove it. Files that were exported of it stay."""
    datasets.delete(guards.user(), uuid)
    db.session.commit()
    return "", 204


@bp.post("/<uuid:uuid>/fetch")
@guards.bearer_required
@bp.doc(operation_id="fetchDatasetAgain", security="bearer")
@bp.input(AgainQuery, location="query", arg_name="query")
@bp.output(TaskAnswer, status_code=202)
def fetch_again(uuid: UUID, query: AgainQuery) -> Any:
    """Fetch what it was made of once more, for a new dataset."""
    task = datasets.fetch_again(guards.user(), uuid, **query.model_dump(exclude_none=True))
    db.session.commit()
    return dump(task), 202, {"Location": url_for("api_tasks.show", uuid=task.uuid)}


@bp.get("/<uuid:uuid>/rows")
@guards.bearer_required
@bp.doc(operation_id="listRows", security="bearer")
@bp.input(RowsQuery, location="query", arg_name="query")
@bp.output(RowsAnswer)
def rows(uuid: UUID, query: RowsQuery) -> Any:
    """Rows from `offset` on; of those that fit, if there are conditions; sorted, if that is asked for."""
    dataset = datasets.get_for(guards.user(), uuid)
    db.session.commit()  # it may take a second: no connection is held
    with datasets.looking_at(dataset):
        page = {"offset": query.offset, "limit": query.limit, "as_json": True}
        found = datasets.asked(dataset, query.conditions(), query.sort, **page)
        matching = dataset.rows if found.matching is None else found.matching
        following = query.offset + len(found.rows)
        told = {
            "columns": dataset.columns,
            "items": found.rows,
            "offset": query.offset,
            "next_offset": following if found.rows and following < matching else None,
            "matching": matching,
            "rows": dataset.rows,
            "truncated": bool(found.cut) or found.short,
            "truncated_columns": found.cut,
        }
        pieces = list(_written(told))
        answer = Response(pieces, mimetype="application/json")
        answer.content_length = sum(map(len, pieces))
        return answer


def _written(told: dict[str, Any]) -> Iterator[bytes]:
    """An object as JSON, its lists item by item: one large piece would hold everybody else up, and be copied whole."""
    before = b"{"
    for name, value in told.items():
        yield before + _json(name) + b":"
        before = b","
        if isinstance(value, list):
            for n, item in enumerate(value):
                yield (b"," if n else b"[") + (item if isinstance(item, bytes) else _json(item))
            yield b"]" if value else b"[]"
        else:
            yield _json(value)
    yield b"}\n"


def _json(value: Any) -> bytes:
    return current_app.json.dumps(value).encode()


@bp.get("/<uuid:uuid>/profile")
@guards.bearer_required
@bp.doc(operation_id="getProfile", security="bearer")
@bp.input(ProfileQuery, location="query", arg_name="query")
@bp.output(ProfileAnswer)
def profile(uuid: UUID, query: ProfileQuery) -> Any:
    """What is in each column: counts, least and greatest, quantiles, frequent values, a histogram."""
    dataset = datasets.get_for(guards.user(), uuid, with_profile=True)
    columns, following = datasets.profile_from(dataset, query.offset)
    return {"columns": columns, "next_offset": following}
