"""The poll of a running task costs one Redis round trip and no SQL, from both doors."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import pytest
from apiflask import APIFlask
from redis.connection import AbstractConnection
from sqlalchemy import event

from portal.extensions import db, init_redis
from portal.limits import Window
from portal.models import Task
from portal.services import live, polls, runs, sessions
from portal.services.copies import copy_of
from tests.cast import bearer, browser, person, tokens

HTMX = {"HX-Request": "true"}


class Counts:
    sql = 0
    round_trips = 0


@contextmanager
def counted(app: APIFlask, monkeypatch: pytest.MonkeyPatch) -> Iterator[Counts]:
    """Count statements sent to PostgreSQL and packets sent to Redis."""
    counts = Counts()
    send = AbstractConnection.send_packed_command

    def sends(self: Any, *args: Any, **kwargs: Any) -> Any:
        counts.round_trips += 1
        return send(self, *args, **kwargs)  # type: ignore[no-untyped-call]

    def executes(*_: Any) -> None:
        counts.sql += 1

    with app.app_context():
        sessions.hear_ended()  # on a busy machine the fixture's word may have run out
        db.session.rollback()
        engine = db.engine
    event.listen(engine, "before_cursor_execute", executes)
    monkeypatch.setattr(AbstractConnection, "send_packed_command", sends)
    try:
        yield counts
    finally:
        event.remove(engine, "before_cursor_execute", executes)
        monkeypatch.undo()


@pytest.fixture(autouse=True)
def heard(app: APIFlask) -> None:
    """What the dispatcher does each second, so that copies of log-ins are trusted."""
    with app.app_context():
        sessions.hear_ended()
        db.session.rollback()


@pytest.fixture
def running(app: APIFlask) -> str:
    """Alice's task, claimed by a worker and at 40 %."""
    person(app, "alice")
    headers = bearer(tokens(app, "alice")["access_token"])
    task = app.test_client().post("/api/v1/tasks", json={"kind": "health_check"}, headers=headers).get_json()
    with app.app_context():
        run = runs.claim(UUID(task["uuid"]), "w1")
        assert run is not None
        runs.beat(run, 40, {"code": "downloading", "params": {"bytes": 4, "total": 10, "rate": 4}})
        db.session.commit()
    uuid: str = task["uuid"]
    return uuid


def test_the_pages_poll(app: APIFlask, running: str, monkeypatch: pytest.MonkeyPatch) -> None:
    client = browser(app, "alice")
    path = f"/tasks/{running}/progress"
    assert client.get(path, headers=HTMX).status_code == 200
    with counted(app, monkeypatch) as counts:
        answer = client.get(path, headers=HTMX)
    assert 'value="40"' in answer.text and 'hx-trigger="every 1s"' in answer.text
    assert (counts.round_trips, counts.sql) == (1, 0)


def test_the_apis_poll(app: APIFlask, running: str, monkeypatch: pytest.MonkeyPatch) -> None:
    client, headers = app.test_client(), bearer(tokens(app, "alice")["access_token"])
    path = f"/api/v1/tasks/{running}"
    assert client.get(path, headers=headers).status_code == 200
    with counted(app, monkeypatch) as counts:
        answer = client.get(path, headers=headers)
    assert (answer.get_json()["status"], answer.get_json()["progress"]) == ("processing", 40)
    assert (counts.round_trips, counts.sql) == (1, 0)


def test_the_lists_poll_asks_once_for_all_its_rows(
    app: APIFlask, running: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, headers = browser(app, "alice"), bearer(tokens(app, "alice")["access_token"])
    more = [
        app.test_client().post("/api/v1/tasks", json={"kind": "health_check"}, headers=headers).get_json()["uuid"]
        for _ in range(3)
    ]
    path = "/tasks/progress?" + "&".join(f"task={uuid}" for uuid in (running, *more))
    assert client.get(path, headers=HTMX).status_code == 200
    with counted(app, monkeypatch) as counts:
        answer = client.get(path, headers=HTMX)
    assert all(f"row-{uuid}" in answer.text for uuid in (running, *more))
    assert (counts.round_trips, counts.sql) == (1, 0)


@pytest.mark.parametrize("away", [False, True])
def test_a_storm_of_polls_is_told_to_slow_down(
    app: APIFlask, running: str, monkeypatch: pytest.MonkeyPatch, *, away: bool
) -> None:
    monkeypatch.setattr("portal.limits.POLLS_PER_MINUTE", 5)
    monkeypatch.setattr(polls, "_WINDOW", (Window(5, 60),))
    client, stormy = app.test_client(), bearer(tokens(app, "alice")["access_token"])
    calm = bearer(tokens(app, "alice")["access_token"])
    if away:
        monkeypatch.setitem(app.extensions, "redis", None)  # put back afterwards
        init_redis(app, "redis://127.0.0.1:1/0")
    path = f"/api/v1/tasks/{running}"
    assert [client.get(path, headers=stormy).status_code for _ in range(5)] == [200] * 5
    refused = client.get(path, headers=stormy)
    assert (refused.status_code, refused.get_json()["code"]) == (429, "polls_too_many")
    assert int(refused.headers["Retry-After"]) > 0
    assert client.get(path, headers=calm).status_code == 200


def test_a_cached_poll_still_refuses_strangers(app: APIFlask, running: str) -> None:
    person(app, "bob")
    client, headers = app.test_client(), bearer(tokens(app, "bob")["access_token"])
    for _ in range(2):
        assert client.get(f"/api/v1/tasks/{running}", headers=headers).status_code == 404
        assert browser(app, "bob").get(f"/tasks/{running}/progress", headers=HTMX).status_code == 404


def test_a_log_out_stops_the_very_next_poll(app: APIFlask, running: str) -> None:
    client, headers = app.test_client(), bearer(tokens(app, "alice")["access_token"])
    path = f"/api/v1/tasks/{running}"
    assert client.get(path, headers=headers).status_code == 200
    client.post("/api/v1/auth/logout", headers=headers)
    assert client.get(path, headers=headers).status_code == 401


def test_a_log_out_while_redis_was_away_holds_when_it_is_back(
    app: APIFlask, running: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, headers = app.test_client(), bearer(tokens(app, "alice")["access_token"])
    path = f"/api/v1/tasks/{running}"
    assert client.get(path, headers=headers).status_code == 200
    with monkeypatch.context() as outage:
        outage.setitem(app.extensions, "redis", None)
        init_redis(app, "redis://127.0.0.1:1/0")
        assert client.post("/api/v1/auth/logout", headers=headers).status_code == 200
    with app.app_context():
        assert [key for key in app.extensions["redis"].keys("session:*") if "user_id" in _body(app, key)]
    assert client.get(path, headers=headers).status_code == 401


def _body(app: APIFlask, key: str) -> str:
    return str(app.extensions["redis"].get(key))


def test_burials_are_told_with_an_end_of_their_own(app: APIFlask, redis: Any) -> None:
    with app.app_context():
        live.hear([], live.clock() - 5000)  # held up for five seconds on its way
    assert redis.get(live.HEARD) is None


def test_an_expired_log_in_in_the_middle_of_a_poll_sends_the_browser_to_log_in(app: APIFlask, running: str) -> None:
    client = browser(app, "alice")
    path = f"/tasks/{running}/progress"
    assert client.get(path, headers=HTMX).status_code == 200
    headers = bearer(tokens(app, "alice")["access_token"])
    app.test_client().post("/api/v1/auth/logout-all", headers=headers)
    where = {"HX-Current-URL": f"http://localhost/tasks/{running}"}
    answer = client.get(path, headers={**HTMX, **where})
    assert answer.status_code == 401
    assert answer.headers["HX-Redirect"] == f"/login?next=/tasks/{running}"


def test_without_redis_polls_go_to_postgresql(app: APIFlask, running: str, monkeypatch: pytest.MonkeyPatch) -> None:
    client, headers = app.test_client(), bearer(tokens(app, "alice")["access_token"])
    monkeypatch.setitem(app.extensions, "redis", None)  # put back afterwards
    init_redis(app, "redis://127.0.0.1:1/0")
    answer = client.get(f"/api/v1/tasks/{running}", headers=headers)
    assert answer.get_json()["progress"] == 40
    client.post("/api/v1/auth/logout", headers=headers)
    assert client.get(f"/api/v1/tasks/{running}", headers=headers).status_code == 401


def test_a_task_that_ended_stops_the_polling(app: APIFlask, running: str) -> None:
    client = browser(app, "alice")
    client.get(f"/tasks/{running}/progress", headers=HTMX)
    with app.app_context():
        task = db.session.scalars(db.select(Task)).one()
        runs.complete(copy_of(task), {"rows": 3})
        db.session.commit()
    answer = client.get(f"/tasks/{running}/progress", headers=HTMX)
    assert 'hx-trigger="every' not in answer.text and 'data-status="completed"' in answer.text
