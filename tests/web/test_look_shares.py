"""Looks through both doors when a share is used up, and answers that would be too large."""

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from apiflask import APIFlask
from sqlalchemy import select

from portal import limits
from portal.extensions import db
from portal.models import Dataset
from portal.services import datasets
from portal.shares import Places
from tests.stage import Stage, set_up


@pytest.fixture
def stage(app: APIFlask) -> Stage:
    return set_up(app)


def holding(stage: Stage, query: str, columns: list[dict[str, str]]) -> None:
    """Make alice's dataset hold the rows of a query."""
    path: Path = stage.app.extensions["settings"].store_folder / "held.parquet"
    duckdb.connect().execute(f"COPY ({query}) TO '{path}' (FORMAT parquet)")
    with stage.app.app_context():
        dataset = db.session.scalars(select(Dataset).where(Dataset.uuid == stage.things["dataset"])).one()
        dataset.store_key, dataset.rows, dataset.columns = path.name, 500, columns
        db.session.commit()


@pytest.fixture
def large(stage: Stage) -> str:
    columns = [{"name": "n", "type": "integer"}, {"name": "text", "type": "text"}]
    holding(stage, "SELECT i AS n, repeat('x', 1000000) AS text FROM range(500) t(i)", columns)
    return str(stage.things["dataset"])


@pytest.fixture
def used_up(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """One look of alice's is at work, and she has waited long enough for it."""
    share = limits.Share(places=2, own=1, queue=1, own_queue=1, seconds=0.05)
    monkeypatch.setattr(datasets, "_looks", Places("look_busy", share, retry_after=5))
    with stage.app.app_context():
        owner = db.session.scalars(select(Dataset.owner_id).where(Dataset.uuid == stage.things["dataset"])).one()
    with datasets._looks.place(owner):
        yield


def test_a_share_that_is_used_up_is_said_and_can_be_tried_again(stage: Stage, large: str, used_up: None) -> None:
    api = stage.app.test_client().get(f"/api/v1/datasets/{large}/rows", headers=stage.token("alice"))
    assert (api.status_code, api.get_json()["code"], api.headers["Retry-After"]) == (429, "look_busy", "5")
    for path in ("?sort=n", "/row?offset=3"):
        page = stage.browser("alice").get(f"/datasets/{large}{path}")
        assert (page.status_code, page.headers["Retry-After"]) == (429, "5")
        assert "Several of your pages are looking at data already" in page.text
        assert f'href="/datasets/{large}{path}"' in page.text


def test_a_large_answer_says_what_it_left_out_and_where_to_go_on(stage: Stage, large: str) -> None:
    client, read = stage.app.test_client(), list[int]()
    offset: int | None = 0
    while offset is not None:
        answer = client.get(f"/api/v1/datasets/{large}/rows?limit=500&offset={offset}", headers=stage.token("alice"))
        body = answer.get_json()
        assert len(answer.data) < 4.2 * 1024**2
        assert (body["truncated"], body["truncated_columns"]) == (True, ["text"])
        assert {len(row[1]) for row in body["items"]} == {20_001}
        read += [row[0] for row in body["items"]]
        offset = body["next_offset"]
    assert read == list(range(500))


def test_what_is_whole_is_not_said_to_be_cut(stage: Stage) -> None:
    holding(stage, "SELECT i AS n FROM range(500) t(i)", [{"name": "n", "type": "integer"}])
    path = f"/api/v1/datasets/{stage.things['dataset']}/rows?limit=500"
    body = stage.app.test_client().get(path, headers=stage.token("alice")).get_json()
    assert (body["truncated"], body["truncated_columns"], body["next_offset"]) == (False, [], None)
    assert body["items"] == [[n] for n in range(500)]
