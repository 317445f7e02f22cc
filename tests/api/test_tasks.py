"""Tasks through the JSON door: submit, watch, cancel."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient
from sqlalchemy import select

from portal import limits
from portal.extensions import db
from portal.models import Task, User
from portal.services import live, processes, queue, tasks
from tests.cast import bearer, person, tokens

URL = "http://data.example.com/cities.csv"


@pytest.fixture
def alice(app: APIFlask) -> dict[str, str]:
    person(app, "alice")
    return bearer(tokens(app, "alice")["access_token"])


@pytest.fixture
def bob(app: APIFlask) -> dict[str, str]:
    person(app, "bob")
    return bearer(tokens(app, "bob")["access_token"])


def submit(client: FlaskClient, headers: dict[str, str], **params: Any) -> Any:
    return client.post("/api/v1/tasks", json={"kind": "fetch", "params": {"url": URL, **params}}, headers=headers)


def test_a_submitted_task_waits_and_says_where_it_is(client: FlaskClient, alice: dict[str, str]) -> None:
    answer = submit(client, alice, name=" My  cities ")
    task = answer.get_json()
    assert answer.status_code == 202
    assert answer.headers["Location"] == f"/api/v1/tasks/{task['uuid']}"
    assert (task["status"], task["progress"], task["attempt"]) == ("pending", 0, 0)
    assert (task["place"], task["expected_start"], task["retry_of"], task["poll_after"]) == (None, None, None, 1)
    assert task["starts_at"] == task["created_at"]
    assert task["params"] == {"url": URL, "name": "My cities"}
    shown = client.get(answer.headers["Location"], headers=alice)
    assert shown.get_json() == task
    again = client.get(answer.headers["Location"], headers={**alice, "If-None-Match": shown.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")


@pytest.mark.parametrize(
    ("params", "field", "code"),
    [
        ({}, "params.url", "required"),
        ({"url": 7}, "params.url", "required"),
        ({"url": "not an address"}, "params.url", "url_malformed"),
        ({"url": "ftp://example.com/x"}, "params.url", None),
        ({"url": "http://127.0.0.1/x"}, "params.url", "url_not_allowed"),
        ({"url": "http://0x7f.1/x"}, "params.url", "url_not_allowed"),
        ({"url": "http://[::ffff:10.0.0.1]/x"}, "params.url", "url_not_allowed"),
        ({"url": "http://100.100.100.200/latest/meta-data"}, "params.url", "url_not_allowed"),
        ({"url": "http://example.com:22/"}, "params.url", "url_port"),
        ({"url": URL, "name": "x" * 201}, "params.name", "name_invalid"),
        ({"url": URL, "format": "exe"}, "params.format", "format_unknown"),
        ({"url": URL, "colour": "red"}, "params.colour", "params_unknown"),
        ({"url": URL, "skip_rows": -1}, "params.skip_rows", "count_invalid"),
        ({"url": URL, "skip_rows": True}, "params.skip_rows", "count_invalid"),
        ({"url": URL, "header_row": 0}, "params.header_row", "count_invalid"),
        ({"url": URL, "footer_rows": 1001}, "params.footer_rows", "count_invalid"),
        ({"url": URL, "header_row": 2, "header": False}, "params.header_row", "header_row_denied"),
        ({"url": URL, "header_row": 2, "skip_rows": 2}, "params.header_row", "header_row_skipped"),
    ],
)
def test_bad_params_are_refused_by_field(
    client: FlaskClient, alice: dict[str, str], params: dict[str, Any], field: str, code: str | None
) -> None:
    answer = client.post("/api/v1/tasks", json={"kind": "fetch", "params": params}, headers=alice)
    body = answer.get_json()
    assert (answer.status_code, body["errors"][0]["field"]) == (422, field)
    assert code in (None, body["code"])
    assert client.get("/api/v1/tasks", headers=alice).get_json()["items"] == []


def test_lines_to_leave_out_are_kept_as_they_were_said(client: FlaskClient, alice: dict[str, str]) -> None:
    said = {"url": URL, "skip_rows": 0, "header_row": 3, "footer_rows": 2}
    task = client.post("/api/v1/tasks", json={"kind": "fetch", "params": said}, headers=alice).get_json()
    assert {name: task["params"][name] for name in said} == said


def test_a_waiting_task_is_cancelled_at_once_and_only_once(client: FlaskClient, alice: dict[str, str]) -> None:
    where = submit(client, alice).headers["Location"]
    answer = client.post(f"{where}/cancel", headers=alice)
    assert (answer.status_code, answer.get_json()["status"]) == (202, "cancelled")
    assert client.get(where, headers=alice).get_json()["status"] == "cancelled"
    again = client.post(f"{where}/cancel", headers=alice)
    assert (again.status_code, again.get_json()["code"]) == (409, "task_ended")


def test_what_changes_without_a_new_version_is_a_new_answer(
    app: APIFlask, client: FlaskClient, alice: dict[str, str]
) -> None:
    task = submit(client, alice).get_json()
    where, seen = f"/api/v1/tasks/{task['uuid']}", set()
    for headers, places in (
        ({}, {}),
        ({"Accept-Language": "zh"}, {}),
        ({}, {UUID(task["uuid"]): 0}),
        ({}, {UUID(int=1): 0, UUID(task["uuid"]): 1_900_000_000}),
    ):
        with app.app_context():
            live.tell_places(places)
        asked = client.get(where, headers={**alice, **headers})
        again = client.get(where, headers={**alice, **headers, "If-None-Match": asked.headers["ETag"]})
        assert (asked.status_code, again.status_code) == (200, 304)
        seen.add(asked.headers["ETag"])
        told = asked.get_json()
    assert (told["place"], told["expected_start"]) == (2, "2030-03-17T17:46:40Z")
    # Pending, it says nothing in words: the two languages have one answer, of which the ETag need not tell.
    assert len(seen) == 3


@pytest.mark.parametrize(("age", "seconds"), [(0, 1), (29, 1), (31, 2), (121, 5), (601, 10), (86400, 10)])
def test_the_older_a_task_the_less_often_it_need_be_asked_for(
    app: APIFlask, client: FlaskClient, alice: dict[str, str], age: int, seconds: int
) -> None:
    now = datetime.now(UTC)
    with app.app_context():
        owner = db.session.scalars(select(User)).one()
        task = Task(owner_id=owner.id, kind="health_check", created_at=now - timedelta(seconds=age), start_before=now)
        db.session.add(task)
        db.session.commit()
        where = f"/api/v1/tasks/{task.uuid}"
    assert client.get(where, headers=alice).get_json()["poll_after"] == seconds
    client.post(f"{where}/cancel", headers=alice)
    assert client.get(where, headers=alice).get_json()["poll_after"] == 0


def test_a_storm_of_polls_is_told_when_to_come_back(
    client: FlaskClient, alice: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    where = submit(client, alice).headers["Location"]
    monkeypatch.setattr(limits, "POLLS_PER_MINUTE", 3)
    answers = [client.get(where, headers=alice) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert answers[3].headers["Retry-After"] == "5" and answers[3].get_json()["code"] == "polls_too_many"


@pytest.mark.parametrize(
    ("method", "suffix"), [("get", ""), ("get", "/events"), ("post", "/cancel"), ("post", "/retry")]
)
def test_someone_elses_task_is_as_if_absent(
    client: FlaskClient, alice: dict[str, str], bob: dict[str, str], method: str, suffix: str
) -> None:
    where = submit(client, alice).headers["Location"]
    absent = "/api/v1/tasks/00000000-0000-4000-8000-000000000000"
    answers = []
    for path in (where, absent):
        answer = getattr(client, method)(path + suffix, headers=bob)
        body = answer.get_json()
        del body["instance"], body["request_id"]
        answers.append((answer.status_code, body))
    assert answers[0] == answers[1]
    assert answers[0][0] == 404


def test_without_a_token_the_body_is_not_even_looked_at(client: FlaskClient) -> None:
    answer = client.post("/api/v1/tasks", json={"nonsense": True})
    assert (answer.status_code, answer.content_type) == (401, "application/problem+json")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_countdown_sets_the_start_back(client: FlaskClient, alice: dict[str, str], app: APIFlask) -> None:
    asked = {"kind": "health_check", "countdown": 3600}
    later = client.post("/api/v1/tasks", json=asked, headers=alice).get_json()
    moments = [datetime.fromisoformat(later[name]) for name in ("created_at", "starts_at")]
    assert moments[1] - moments[0] == timedelta(hours=1)
    with app.app_context():
        processes.seen("w1", "worker", 2)
        assert queue.admit() == []
        now = tasks.submit(db.session.scalars(select(User)).one(), "health_check", {})
        assert [admitted.uuid for admitted in queue.admit()] == [now.uuid]
        db.session.rollback()
