"""How large answers of lists and profiles may be: they end early, and say where to go on."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from apiflask import APIFlask
from sqlalchemy import select

from portal import limits
from portal.extensions import db
from portal.models import Dataset, Task, User
from tests.stage import Stage, dataset, set_up

LONG = "字" * 195
COLUMNS = [{"name": f"{n} {LONG}", "type": "text"} for n in range(1000)]
PROFILE = [column | {"top": [[f"{n}{LONG[:97]}", 1] for n in range(10)]} for column in COLUMNS]
PARAMS = {"url": "http://example.com/", "where": [{"column": "a", "op": "in", "value": [LONG] * 300}]}


@pytest.fixture
def stage(app: APIFlask) -> Stage:
    return set_up(app)


def with_alice(stage: Stage, make: Callable[[User], Any]) -> Any:
    with stage.app.app_context():
        made = make(db.session.get_one(User, stage.ids["alice"]))
        db.session.commit()
        return made


def ask(stage: Stage, path: str, who: str = "alice") -> tuple[Any, int]:
    answer = stage.app.test_client().get(f"/api/v1{path}", headers=stage.token(who))
    assert answer.status_code == 200, answer.text
    return answer.get_json(), len(answer.data)


def whole(stage: Stage, path: str, who: str = "alice") -> list[str]:
    """The ids of all items, from page to page."""
    found: list[str] = []
    pages, cursor = 0, ""
    while True:
        body, size = ask(stage, f"{path}?limit=100{cursor}", who)
        assert size < 2 * limits.PAGE_BYTES and body["items"]
        found += [item["uuid"] for item in body["items"]]
        pages += 1
        if body["next_cursor"] is None:
            assert 1 < pages < len(found)
            return found
        cursor = f"&cursor={body['next_cursor']}"


def test_a_page_of_wide_datasets_ends_early(stage: Stage) -> None:
    def make(alice: User) -> None:
        for n in range(15):
            dataset(stage.app, alice, f"{n}.parquet").columns = COLUMNS

    with_alice(stage, make)
    with stage.app.app_context():
        mine = list(db.session.scalars(select(Dataset.uuid).order_by(Dataset.id.desc())))
    assert whole(stage, "/datasets") == [str(uuid) for uuid in mine]


@pytest.mark.parametrize(("path", "who"), [("/tasks", "alice"), ("/admin/tasks", "frank")])
def test_a_page_of_large_tasks_ends_early(stage: Stage, path: str, who: str) -> None:
    def make(alice: User) -> None:
        soon = datetime.now(UTC) + timedelta(minutes=9)
        db.session.add_all(Task(owner_id=alice.id, kind="export", params=PARAMS, start_before=soon) for _ in range(30))

    with_alice(stage, make)
    with stage.app.app_context():
        every = list(db.session.scalars(select(Task.uuid).order_by(Task.id.desc())))
    assert whole(stage, path, who) == [str(uuid) for uuid in every]


def test_a_profile_goes_on_where_it_ended(stage: Stage) -> None:
    def make(alice: User) -> str:
        made = dataset(stage.app, alice, "wide.parquet")
        made.columns, made.profile = COLUMNS, PROFILE * 3
        return f"/datasets/{made.uuid}/profile"

    path = with_alice(stage, make)
    found: list[Any] = []
    first: int | None = 0
    while first is not None:
        body, size = ask(stage, f"{path}?offset={first}")
        assert size < 2 * limits.PAGE_BYTES and body["columns"]
        found += body["columns"]
        first = body["next_offset"]
        assert first is None or first == len(found)
    assert found == PROFILE * 3 and len(found) > len(ask(stage, path)[0]["columns"])
    assert ask(stage, f"{path}?offset=9000")[0] == {"columns": [], "next_offset": None}
