"""One submit, one task; and how many tasks one may have: both exact, however many ask at once."""

from collections.abc import Callable
from typing import Any

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient
from sqlalchemy import func, select, text, update

from portal.extensions import db
from portal.models import Task, TaskEvent, TaskKey, User
from portal.services import quotas, runs, tasks
from tests.cast import bearer, person, tokens
from tests.parallel import at_once

URL = "http://data.example.com/cities.csv"
BODY = {"kind": "fetch", "params": {"url": URL}}
KEY = {"Idempotency-Key": "abc"}


@pytest.fixture
def alice(app: APIFlask) -> dict[str, str]:
    person(app, "alice")
    return bearer(tokens(app, "alice")["access_token"])


@pytest.fixture
def bob(app: APIFlask) -> dict[str, str]:
    person(app, "bob")
    return bearer(tokens(app, "bob")["access_token"])


def submit(client: FlaskClient, headers: dict[str, str], **body: Any) -> Any:
    return client.post("/api/v1/tasks", json={**BODY, **body}, headers=headers)


def limit(app: APIFlask, monkeypatch: pytest.MonkeyPatch, **settings: int) -> None:
    for name, value in settings.items():
        monkeypatch.setattr(app.extensions["settings"], name, value)


def quota(answer: Any) -> list[str]:
    names = ("Running", "Running-Limit", "Waiting", "Waiting-Limit")
    return [answer.headers[f"X-Quota-Tasks-{name}"] for name in names]


def count(app: APIFlask) -> int:
    with app.app_context():
        return db.session.scalar(select(func.count()).select_from(Task)) or 0


def cancel_one(app: APIFlask, user_id: int) -> None:
    with app.app_context():
        user = db.session.get_one(User, user_id)
        tasks.cancel(user, db.session.scalars(select(Task.uuid).where(Task.status == "pending").limit(1)).one())
        db.session.commit()


def user_id(app: APIFlask) -> int:
    with app.app_context():
        return db.session.scalars(select(User.id).order_by(User.id).limit(1)).one()


def test_the_same_key_is_answered_the_same_whatever_became_of_the_task(
    app: APIFlask, client: FlaskClient, alice: dict[str, str], bob: dict[str, str]
) -> None:
    first = submit(client, {**alice, **KEY}, countdown=0)
    said = first.status_code, first.data, first.headers["Location"]
    with app.app_context():
        run = runs.claim(db.session.scalars(select(Task.uuid)).one(), "w1")
        assert run is not None
        runs.beat(run, 40, {"code": "connecting", "params": {}})
        db.session.commit()
    for step in (lambda: None, lambda: client.post(f"{said[2]}/cancel", headers=alice)):
        step()
        again = submit(client, {**alice, **KEY}, countdown=0)
        assert (again.status_code, again.data, again.headers["Location"]) == said
    assert client.get(said[2], headers=alice).get_json()["cancelling"] is True
    assert submit(client, {**bob, **KEY}).headers["Location"] != said[2]
    assert count(app) == 2


@pytest.mark.parametrize(
    "other", [{"params": {"url": URL, "name": "other"}}, {"countdown": 5}, {"kind": "health_check", "params": {}}]
)
def test_the_same_key_for_something_else_is_refused(
    app: APIFlask, client: FlaskClient, alice: dict[str, str], other: dict[str, Any]
) -> None:
    submit(client, {**alice, **KEY})
    answer = submit(client, {**alice, **KEY}, **other)
    body = answer.get_json()
    assert (answer.status_code, body["code"]) == (422, "idempotency_key_reused")
    assert body["errors"][0]["field"] == "Idempotency-Key" and count(app) == 1


@pytest.mark.parametrize("key", ["", "x" * 61, "é\x7f"])
def test_a_key_that_cannot_be_kept_is_refused(client: FlaskClient, alice: dict[str, str], key: str) -> None:
    answer = submit(client, {**alice, "Idempotency-Key": key.encode().decode("latin-1")})
    assert (answer.status_code, answer.get_json()["code"]) == (422, "idempotency_key_invalid")


def test_after_a_day_a_key_is_free_again(app: APIFlask, client: FlaskClient, alice: dict[str, str]) -> None:
    first = submit(client, {**alice, **KEY}).get_json()["uuid"]
    for hours, same in ((23, True), (25, False)):
        with app.app_context():
            db.session.execute(update(TaskKey).values(created_at=text(f"now() - interval '{hours} hours'")))
            db.session.commit()
        again = submit(client, {**alice, **KEY}).get_json()["uuid"]
        assert (again == first) is same
    assert submit(client, {**alice, **KEY}).get_json()["uuid"] == again  # the key is the new task's now


def test_fifty_equal_submits_at_once_are_one_task_and_one_answer(app: APIFlask, alice: dict[str, str]) -> None:
    answers: list[tuple[int, bytes, str]] = []

    def act() -> None:
        answer = submit(app.test_client(), {**alice, **KEY})
        answers.append((answer.status_code, answer.data, answer.headers["Location"]))

    assert at_once(app, 50, act) == {"done": 50}
    assert len(answers) == 50 and len(set(answers)) == 1 and answers[0][0] == 202
    assert count(app) == 1


def test_who_has_as_many_waiting_as_one_may_is_told_to_wait(
    app: APIFlask, client: FlaskClient, alice: dict[str, str], bob: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    limit(app, monkeypatch, tasks_waiting_per_user=2)
    first = submit(client, {**alice, **KEY})
    assert quota(first) == ["0", "5", "1", "2"]
    submit(client, alice)
    refused = submit(client, {**alice, "Idempotency-Key": "new"})
    assert (refused.status_code, refused.get_json()["code"]) == (429, "tasks_too_many")
    assert int(refused.headers["Retry-After"]) > 0
    assert submit(client, {**alice, **KEY}).data == first.data  # what was accepted stays accepted
    assert submit(client, bob).status_code == 202
    cancel_one(app, user_id(app))
    assert submit(client, {**alice, "Idempotency-Key": "new"}).status_code == 202  # a refusal keeps no key


def test_a_full_queue_is_nobodys_fault(
    app: APIFlask, client: FlaskClient, alice: dict[str, str], bob: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    limit(app, monkeypatch, tasks_waiting=1)
    monkeypatch.setattr(quotas, "_FEW", 1)
    submit(client, alice)
    assert submit(client, bob).status_code == 202  # who has none is not refused for the many of others
    refused = submit(client, bob)
    assert (refused.status_code, refused.get_json()["code"]) == (503, "queue_full")
    assert int(refused.headers["Retry-After"]) > 0 and count(app) == 2


def test_what_is_to_start_later_fills_no_queue(
    app: APIFlask, client: FlaskClient, alice: dict[str, str], bob: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    limit(app, monkeypatch, tasks_waiting=2)
    monkeypatch.setattr(quotas, "_FEW", 0)
    for _ in range(3):
        later = {"kind": "health_check", "countdown": 3600}
        assert client.post("/api/v1/tasks", json=later, headers=alice).status_code == 202
    assert submit(client, bob).status_code == 202


def test_quota_and_use_are_told_with_every_change(app: APIFlask, client: FlaskClient, alice: dict[str, str]) -> None:
    where = [submit(client, alice).headers["Location"] for _ in range(3)]
    with app.app_context():
        assert runs.claim(db.session.scalars(select(Task.uuid).order_by(Task.id).limit(1)).one(), "w1")
        db.session.commit()
    assert quota(client.get("/api/v1/tasks", headers=alice)) == ["1", "5", "2", "1000"]
    assert quota(client.post(f"{where[2]}/cancel", headers=alice)) == ["1", "5", "1", "1000"]
    assert quota(client.post(f"{where[2]}/retry", headers=alice)) == ["1", "5", "2", "1000"]


@pytest.mark.parametrize(
    ("caps", "code"),
    [({"tasks_waiting_per_user": 7}, "tasks_too_many"), ({"tasks_per_user_day": 7}, "tasks_too_many_today")],
)
def test_caps_are_exact_under_thirty_submits_at_once(
    app: APIFlask, alice: dict[str, str], monkeypatch: pytest.MonkeyPatch, caps: dict[str, int], code: str
) -> None:
    limit(app, monkeypatch, **caps)
    owner = user_id(app)

    def act() -> None:
        tasks.submit(db.session.get_one(User, owner), "health_check", {})
        db.session.commit()

    assert at_once(app, 30, act) == {"done": 7, code: 23}
    assert count(app) == 7


def test_of_many_retries_at_once_one_makes_a_task(app: APIFlask, client: FlaskClient, alice: dict[str, str]) -> None:
    where = submit(client, alice).headers["Location"]
    client.post(f"{where}/cancel", headers=alice)
    answers: list[str] = []

    def act() -> None:
        answers.append(app.test_client().post(f"{where}/retry", headers=alice).headers["Location"])

    assert at_once(app, 20, act) == {"done": 20}
    assert len(answers) == 20 and len(set(answers)) == 1 and where not in answers
    assert count(app) == 2


@pytest.mark.parametrize("_", range(5))
def test_of_ten_writers_at_once_one_ends_the_task(app: APIFlask, alice: dict[str, str], _: int) -> None:
    owner = user_id(app)
    with app.app_context():
        task = tasks.submit(db.session.get_one(User, owner), "health_check", {})
        db.session.commit()
        run = runs.claim(task.uuid, "w1")
        db.session.commit()
    assert run is not None
    writers: list[Callable[[], object]] = [
        lambda: runs.complete(run, {"rows": 1}),
        lambda: runs.fail(run, {"code": "internal", "params": {}}, passing=False),
        lambda: runs.cancelled(run),
        lambda: tasks.cancel(db.session.get_one(User, owner), run.uuid),
        lambda: runs.beat(run, 50, None),
    ] * 2

    def act() -> None:
        writers.pop()()
        db.session.commit()

    outcomes = at_once(app, 10, act)
    assert outcomes.keys() <= {"done", "task_ended"} and sum(outcomes.values()) == 10
    with app.app_context():
        runs.cancelled(run)  # what a worker whose last word was refused does: it was asked to stop in between
        db.session.commit()
        kinds = db.session.scalars(select(TaskEvent.kind).order_by(TaskEvent.id)).all()
        status = db.session.scalars(select(Task.status)).one()
    assert [kind for kind in kinds if kind in ("completed", "failed", "cancelled")] == [status]
