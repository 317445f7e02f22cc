"""Tasks through the JSON door."""

from typing import Any

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient

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


def test_the_same_key_is_the_same_task(client: FlaskClient, alice: dict[str, str], bob: dict[str, str]) -> None:
    key = {"Idempotency-Key": "abc"}
    one, two = submit(client, {**alice, **key}), submit(client, {**alice, **key})
    assert one.get_json()["uuid"] == two.get_json()["uuid"]
    assert submit(client, {**bob, **key}).get_json()["uuid"] != one.get_json()["uuid"]
    assert len(client.get("/api/v1/tasks", headers=alice).get_json()["items"]) == 1


def test_lists_are_paged_newest_first_and_ones_own(
    client: FlaskClient, alice: dict[str, str], bob: dict[str, str]
) -> None:
    made = [submit(client, alice).get_json()["uuid"] for _ in range(5)]
    submit(client, bob)
    seen, cursor = [], ""
    for size in (2, 2, 1):
        page = client.get(f"/api/v1/tasks?limit=2{cursor}", headers=alice).get_json()
        assert len(page["items"]) == size
        seen += [task["uuid"] for task in page["items"]]
        cursor = f"&cursor={page['next_cursor']}"
    assert seen == made[::-1] and page["next_cursor"] is None


def test_a_waiting_task_is_cancelled_at_once_and_only_once(client: FlaskClient, alice: dict[str, str]) -> None:
    where = submit(client, alice).headers["Location"]
    answer = client.post(f"{where}/cancel", headers=alice)
    assert (answer.status_code, answer.get_json()["status"]) == (202, "cancelled")
    assert client.get(where, headers=alice).get_json()["status"] == "cancelled"
    again = client.post(f"{where}/cancel", headers=alice)
    assert (again.status_code, again.get_json()["code"]) == (409, "task_ended")


@pytest.mark.parametrize(("method", "suffix"), [("get", ""), ("post", "/cancel")])
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
    from portal.extensions import db
    from portal.services import queue

    client.post("/api/v1/tasks", json={"kind": "health_check", "countdown": 3600}, headers=alice)
    with app.app_context():
        assert queue.admit() == []
        db.session.rollback()


def test_the_same_key_for_something_else_is_refused(client: FlaskClient, alice: dict[str, str]) -> None:
    key = {"Idempotency-Key": "abc"}
    submit(client, {**alice, **key})
    answer = submit(client, {**alice, **key}, name="other")
    assert (answer.status_code, answer.get_json()["code"]) == (422, "idempotency_key_reused")
