"""Lists of tasks and what may be asked of them; timelines; running again."""

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient
from sqlalchemy import select

from portal.extensions import db
from portal.models import Task, User
from portal.services import processes, queue, runs
from tests.cast import bearer, person, tokens

NOW = datetime.now(UTC).replace(microsecond=0)


@pytest.fixture
def alice(app: APIFlask) -> dict[str, str]:
    person(app, "alice")
    return bearer(tokens(app, "alice")["access_token"])


def submit(client: FlaskClient, headers: dict[str, str], **body: Any) -> str:
    answer = client.post("/api/v1/tasks", json={"kind": "health_check", **body}, headers=headers)
    uuid: str = answer.get_json()["uuid"]
    return uuid


@pytest.fixture
def listed(app: APIFlask, alice: dict[str, str]) -> dict[str, str]:
    """Alice's four tasks, an hour apart, by uuid: what to call them. And one of bob's."""
    bob = person(app, "bob").id
    rows: list[dict[str, Any]] = [
        {"kind": "health_check", "status": "completed"},
        {"kind": "fetch", "status": "failed", "params": {"url": "http://a.example/100%25_tea.csv"}},
        {"kind": "fetch", "status": "cancelled", "params": {"url": "http://a.example/b.csv", "name": "Green Tea"}},
        {"kind": "fetch", "status": "pending", "params": {"url": "http://a.example/茶.csv"}},
    ]
    with app.app_context():
        owner = db.session.scalars(select(User.id).where(User.username == "alice")).one()
        made = [
            Task(
                **{"params": {}, **row},
                owner_id=owner,
                created_at=NOW - timedelta(hours=len(rows) - number),
                start_before=NOW,
                finished_at=None if row["status"] == "pending" else NOW,
            )
            for number, row in enumerate(rows)
        ]
        db.session.add_all([*made, Task(owner_id=bob, kind="fetch", params=rows[2]["params"], start_before=NOW)])
        db.session.commit()
        return {str(task.uuid): name for task, name in zip(made, ("check", "hundred", "green", "cha"), strict=True)}


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        ({}, ["cha", "green", "hundred", "check"]),
        ({"status": "failed"}, ["hundred"]),
        ({"status": "queued"}, []),
        ({"status": "live"}, ["cha"]),
        ({"status": "ended"}, ["green", "hundred", "check"]),
        ({"kind": "health_check"}, ["check"]),
        ({"since": (NOW - timedelta(hours=2)).isoformat()}, ["cha", "green"]),
        ({"until": (NOW - timedelta(hours=2)).isoformat().replace("+00:00", "Z")}, ["hundred", "check"]),
        (
            {"since": "0001-01-02T00:00:00+23:59", "until": "9999-12-30T23:59:59-23:59"},
            ["cha", "green", "hundred", "check"],
        ),
        ({"text": "tea"}, ["green", "hundred"]),
        ({"text": " gREEN "}, ["green"]),
        ({"text": "茶"}, ["cha"]),
        ({"text": "%"}, ["hundred"]),
        ({"text": "_"}, ["hundred"]),
        ({"text": "\\"}, []),
        ({"text": "te\x00a"}, ["green", "hundred"]),
        (
            {"text": "tea", "status": "ended", "kind": "fetch", "since": (NOW - timedelta(hours=2)).isoformat()},
            ["green"],
        ),
    ],
)
def test_tasks_are_found(
    client: FlaskClient, alice: dict[str, str], listed: dict[str, str], asked: dict[str, str], names: list[str]
) -> None:
    answer = client.get(f"/api/v1/tasks?{urlencode(asked)}", headers=alice)
    assert [listed[task["uuid"]] for task in answer.get_json()["items"]] == names


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("status", "done"),
        ("status", ""),
        ("kind", "bake"),
        ("since", "yesterday"),
        ("since", "2026"),
        ("since", "2026-01-31"),
        ("until", "2026-01-31T08:00:00"),
        ("until", "2026-13-31T08:00:00Z"),
        ("since", "0001-01-01T00:00:00+23:59"),
        ("until", "9999-12-31T23:59:59-23:59"),
        ("text", "x" * 201),
        ("cursor", "0"),
        ("cursor", str(2**63)),
        ("limit", "101"),
    ],
)
def test_what_cannot_be_asked_for_is_refused_by_field(
    client: FlaskClient, alice: dict[str, str], field: str, value: str
) -> None:
    answer = client.get(f"/api/v1/tasks?{urlencode({field: value})}", headers=alice)
    assert (answer.status_code, answer.content_type) == (422, "application/problem+json")
    assert {error["field"] for error in answer.get_json()["errors"]} == {field}


def test_lists_are_paged_within_what_is_asked_for(client: FlaskClient, alice: dict[str, str]) -> None:
    made = [submit(client, alice) for _ in range(5)]
    client.post(f"/api/v1/tasks/{made[3]}/cancel", headers=alice)
    seen, cursor = [], ""
    for size in (2, 2):
        page = client.get(f"/api/v1/tasks?status=live&limit=2{cursor}", headers=alice).get_json()
        assert len(page["items"]) == size
        seen += [task["uuid"] for task in page["items"]]
        cursor = f"&cursor={page['next_cursor']}"
    assert seen == [made[n] for n in (4, 2, 1, 0)] and page["next_cursor"] is None


def test_a_timeline_tells_each_step_and_no_machine(app: APIFlask, client: FlaskClient, alice: dict[str, str]) -> None:
    uuid = submit(client, alice)
    with app.app_context():
        processes.seen("host-7", "worker", 1)
        assert len(queue.admit()) == 1
        run = runs.claim(UUID(uuid), "host-7")
        assert run is not None
        runs.fail(run, {"code": "no_answer", "params": {}}, passing=True)
        db.session.commit()
    client.post(f"/api/v1/tasks/{uuid}/cancel", headers=alice)
    answer = client.get(f"/api/v1/tasks/{uuid}/events", headers=alice)
    body = answer.get_json()
    steps = [(step["kind"], step["attempt"], sorted(step["details"])) for step in body["items"]]
    assert steps == [
        ("accepted", 0, []),
        ("queued", 0, []),
        ("started", 1, []),
        ("retrying", 1, ["error", "next_run_at"]),
        ("cancelled", 1, []),
    ]
    assert "host-7" not in answer.text and body["next_cursor"] is None
    assert all(step["text"] for step in body["items"])
    assert body["items"][3]["details"]["error"] == {"code": "no_answer", "params": {}}
    moments = [datetime.fromisoformat(step["at"]) for step in body["items"]]
    assert moments == sorted(moments) and all(moment.tzinfo for moment in moments)


def test_a_task_that_waits_for_its_time_says_so_in_its_timeline(client: FlaskClient, alice: dict[str, str]) -> None:
    uuid = submit(client, alice, countdown=60)
    step = client.get(f"/api/v1/tasks/{uuid}/events", headers=alice).get_json()["items"][0]
    shown = client.get(f"/api/v1/tasks/{uuid}", headers=alice).get_json()
    assert datetime.fromisoformat(step["details"]["next_run_at"]) == datetime.fromisoformat(shown["starts_at"])


def test_running_again_makes_one_new_task(client: FlaskClient, alice: dict[str, str]) -> None:
    params = {"url": "http://a.example/b.csv", "name": "Tea"}
    uuid = submit(client, alice, kind="fetch", params=params)
    too_early = client.post(f"/api/v1/tasks/{uuid}/retry", headers=alice)
    assert (too_early.status_code, too_early.get_json()["code"]) == (409, "task_not_retryable")
    client.post(f"/api/v1/tasks/{uuid}/cancel", headers=alice)
    first, second = (client.post(f"/api/v1/tasks/{uuid}/retry", headers=alice) for _ in range(2))
    new = first.get_json()
    assert (first.status_code, first.headers["Location"]) == (202, f"/api/v1/tasks/{new['uuid']}")
    assert (new["retry_of"], new["status"], new["params"], new["attempt"]) == (uuid, "pending", params, 0)
    assert second.status_code == 202 and second.get_json() == new
    assert client.get(f"/api/v1/tasks/{uuid}", headers=alice).get_json()["status"] == "cancelled"
    assert len(client.get("/api/v1/tasks", headers=alice).get_json()["items"]) == 2


def test_what_has_completed_is_not_run_again(app: APIFlask, client: FlaskClient, alice: dict[str, str]) -> None:
    uuid = submit(client, alice)
    with app.app_context():
        run = runs.claim(UUID(uuid), "w1")
        assert run is not None and runs.complete(run, {"rows": 1}) is not None
        db.session.commit()
    assert client.post(f"/api/v1/tasks/{uuid}/retry", headers=alice).status_code == 409
