"""Datasets as programs see them."""

import json
from typing import Any
from urllib.parse import urlencode

import duckdb
import pytest
from apiflask import APIFlask
from sqlalchemy import select

from portal.extensions import db
from portal.models import Dataset
from tests.stage import Stage, set_up

PEOPLE = [("Oslo", 7), ("上海", 24), ("Rome", 24), ("-minus", None)]
PROFILE = [{"name": "city", "type": "text", "count": 4}, {"name": "people", "type": "integer", "count": 3}]


@pytest.fixture
def stage(app: APIFlask) -> Stage:
    return set_up(app)


@pytest.fixture
def dataset(app: APIFlask, stage: Stage) -> str:
    """The address of alice's dataset: four cities."""
    path = app.extensions["settings"].store_folder / "cities.parquet"
    rows = ", ".join("({!r}, {})".format(city, "NULL" if count is None else count) for city, count in PEOPLE)
    with duckdb.connect() as connection:
        connection.execute(f"COPY (FROM (VALUES {rows}) t(city, people)) TO '{path}' (FORMAT parquet)")
    with app.app_context():
        found = db.session.scalars(select(Dataset).where(Dataset.uuid == stage.things["dataset"])).one()
        found.store_key, found.rows, found.profile = path.name, len(PEOPLE), PROFILE
        found.columns = [{"name": each["name"], "type": each["type"]} for each in PROFILE]
        db.session.commit()
    return f"/api/v1/datasets/{stage.things['dataset']}"


def cities(stage: Stage, dataset: str, *asked: tuple[str, str]) -> tuple[list[str], int]:
    answer = stage.app.test_client().get(f"{dataset}/rows?{urlencode(asked)}", headers=stage.token("alice"))
    assert answer.status_code == 200, answer.text
    body = answer.get_json()
    assert body["rows"] == len(PEOPLE)
    return [city for city, _ in body["items"]], body["matching"]


def test_rows_are_sorted(stage: Stage, dataset: str) -> None:
    assert cities(stage, dataset) == cities(stage, dataset, ("sort", "")) == (["Oslo", "上海", "Rome", "-minus"], 4)
    assert cities(stage, dataset, ("sort", "city"))[0] == ["-minus", "Oslo", "Rome", "上海"]
    assert cities(stage, dataset, ("sort", "-people"), ("sort", "city"))[0] == ["Rome", "上海", "Oslo", "-minus"]
    assert cities(stage, dataset, ("sort", "-people"), ("sort", "-city"))[0] == ["上海", "Rome", "Oslo", "-minus"]
    assert cities(stage, dataset, ("sort", "city"), ("offset", "1"), ("limit", "2")) == (["Oslo", "Rome"], 4)


def test_rows_are_filtered(stage: Stage, dataset: str) -> None:
    where = [{"column": "people", "op": "ge", "value": 10}, {"column": "city", "op": "ne", "value": "Rome"}]
    assert cities(stage, dataset, ("where", json.dumps(where))) == (["上海"], 1)


@pytest.mark.parametrize(
    ("asked", "code", "field"),
    [
        ([("sort", "nothing")], "column_unknown", "sort"),
        ([("where", '[{"column": "nothing", "op": "eq", "value": 1}]')], "column_unknown", "where"),
        ([("where", '[{"column": "people", "op": "eq", "value": "x"}]')], "condition_invalid", "where"),
        ([("sort", name) for name in ("city", "people", "city", "people")], "invalid", "sort"),
        ([("where", "{")], "condition_invalid", "where"),
        ([("limit", "0")], "invalid", "limit"),
        ([("offset", "x")], "invalid", "offset"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_cannot_be_asked_is_named(
    stage: Stage, dataset: str, asked: list[tuple[str, str]], code: str, field: str
) -> None:
    answer = stage.app.test_client().get(f"{dataset}/rows?{urlencode(asked)}", headers=stage.token("alice"))
    assert answer.status_code == 422, answer.text
    body = answer.get_json()
    assert body["code"] == code
    assert [error["field"] for error in body["errors"]] == [field]


@pytest.mark.parametrize(
    ("asked", "code", "field"),
    [
        ({"where": [{"column": "nothing", "op": "eq", "value": 1}]}, "column_unknown", "params.where"),
        ({"where": [{"column": "", "op": "eq", "value": 1}]}, "column_missing", "params.where"),
        ({"where": [{"column": "people", "op": "eq", "value": "x"}]}, "condition_invalid", "params.where"),
        ({"where": [{"column": "people", "op": "like", "value": 1}]}, "condition_invalid", "params.where"),
        ({"where": {"column": "people"}}, "condition_invalid", "params.where"),
        ({"where": [{"column": "people", "op": "is_null"}] * 21}, "conditions_too_many", "params.where"),
        ({"columns": ["nothing"]}, "column_unknown", "params.columns"),
        ({"columns": ["city", "city"]}, "export_choice_invalid", "params.columns"),
        ({"columns": "city"}, "columns_invalid", "params.columns"),
        (
            {"columns": ["city"], "where": [{"column": "nothing", "op": "not_null"}]},
            "column_unknown",
            "params.where",
        ),
        ({"format": "xlsx", "encoding": "gb18030"}, "export_choice_invalid", "params.encoding"),
        ({"format": "parquet", "packing": "gzip"}, "export_choice_invalid", "params.packing"),
        ({"format": "sav"}, "export_format_unknown", "params.format"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_cannot_be_exported_is_named(
    stage: Stage, dataset: str, asked: dict[str, Any], code: str, field: str
) -> None:
    params = {"dataset": dataset.rpartition("/")[2], "format": "csv", **asked}
    body = {"kind": "export", "params": params}
    answer = stage.app.test_client().post("/api/v1/tasks", json=body, headers=stage.token("alice"))
    assert answer.status_code == 422, answer.text
    problem = answer.get_json()
    assert (problem["code"], [error["field"] for error in problem["errors"]]) == (code, [field])


def test_it_is_described_listed_profiled_and_removed(stage: Stage, dataset: str) -> None:
    client, headers = stage.app.test_client(), stage.token("alice")

    def call(method: str, path: str = "", body: Any = None) -> Any:
        answer = client.open(dataset + path, method=method, json=body, headers=headers)
        assert answer.status_code < 300, answer.text
        return answer.get_json(silent=True)

    changed = call("PATCH", body={"name": "Cities", "description": "Two\nlines"})
    assert (changed["name"], changed["description"]) == ("Cities", "Two\nlines")
    assert call("PATCH", body={"description": ""})["name"] == "Cities"
    assert [each["name"] for each in client.get("/api/v1/datasets", headers=headers).get_json()["items"]] == ["Cities"]
    assert call("GET", "/profile") == {"columns": PROFILE, "next_offset": None}
    assert call("POST", "/fetch")["status"] == "pending"
    call("DELETE")
    assert client.get(dataset, headers=headers).status_code == 404
