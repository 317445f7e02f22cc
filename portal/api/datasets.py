"""Datasets: list, describe, look at rows."""

from typing import Any
from uuid import UUID

from apiflask import APIBlueprint

from portal.api import guards
from portal.api.schemas import PageQuery
from portal.api.schemas.datasets import (
    DatasetAnswer,
    DatasetsAnswer,
    RowsAnswer,
    RowsQuery,
)
from portal.services import datasets

bp = APIBlueprint("api_datasets", __name__, url_prefix="/api/v1/datasets", tag="datasets")


@bp.get("")
@guards.bearer_required
@bp.doc(security="bearer")
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
@bp.doc(security="bearer")
@bp.output(DatasetAnswer)
def show(uuid: UUID) -> Any:
    """One dataset: where it came from, how large it is, its columns."""
    return DatasetAnswer.model_validate(datasets.get_for(guards.user(), uuid))


@bp.get("/<uuid:uuid>/rows")
@guards.bearer_required
@bp.doc(security="bearer")
@bp.input(RowsQuery, location="query", arg_name="query")
@bp.output(RowsAnswer)
def rows(uuid: UUID, query: RowsQuery) -> Any:
    """Rows, from `offset` on."""
    dataset = datasets.get_for(guards.user(), uuid)
    return {
        "columns": dataset.columns,
        "items": datasets.rows(dataset, offset=query.offset, limit=query.limit),
        "offset": query.offset,
        "rows": dataset.rows,
    }
