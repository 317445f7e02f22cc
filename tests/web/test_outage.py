"""Without PostgreSQL: 503 that says so, from both doors, and the process stays alive."""

import uuid
from collections.abc import Iterator
from typing import Any

import psycopg2
import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient
from psycopg2 import errors
from sqlalchemy import event, exc
from sqlalchemy.engine import make_url

from portal import postgres
from portal.app import create_app
from portal.config import Settings
from portal.extensions import db
from portal.services import tasks
from tests.cast import bearer, csrf, person, tokens
from tests.tcp_proxy import TcpProxy, tcp_proxy

SUBMIT = {"kind": "health_check", "params": {}}


@pytest.fixture
def cut_off(settings: Settings) -> FlaskClient:
    """A portal whose database does not answer."""
    nowhere = settings.model_dump() | {"database_url": "postgresql://u:p@127.0.0.1:1/d"}
    return create_app(Settings.model_validate(nowhere)).test_client()


@pytest.fixture
def wire(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[TcpProxy]:
    for name in ("SILENT_SECONDS", "ASK_SECONDS", "KNOWN_SECONDS"):
        monkeypatch.setattr(postgres, name, 0.2)
    with tcp_proxy(make_url(settings.database_url).port or 0) as proxy:
        yield proxy


@pytest.fixture
def wired(app: APIFlask, settings: Settings, wire: TcpProxy) -> Iterator[APIFlask]:
    """A portal behind a wire to its database."""
    url = make_url(settings.database_url).set(host="127.0.0.1", port=wire.port).render_as_string(hide_password=False)
    made = create_app(Settings.model_validate(settings.model_dump() | {"database_url": url}))
    made.config["PROPAGATE_EXCEPTIONS"] = False
    person(app, "alice")
    yield made
    with made.app_context():
        db.engine.dispose()


def test_pages_say_so(cut_off: FlaskClient) -> None:
    assert cut_off.get("/login").status_code == 200
    answer = cut_off.post("/login", data={"csrf_token": csrf(cut_off, "/login"), "account": "a", "password": "b"})
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert "database is away" in answer.text and "u:p@" not in answer.text


def test_the_api_says_so(cut_off: FlaskClient) -> None:
    answer = cut_off.post("/api/v1/auth/login", json={"account": "a", "password": "b"})
    assert (answer.status_code, answer.content_type) == (503, "application/problem+json")
    assert (answer.get_json()["code"], answer.headers["Retry-After"]) == ("database_unavailable", "5")


def test_health_tells_alive_from_ready(cut_off: FlaskClient) -> None:
    assert cut_off.get("/health/live").status_code == 200
    answer = cut_off.get("/health/ready")
    assert (answer.status_code, answer.get_json()["postgresql"]) == (503, "down")


@pytest.mark.parametrize("mode", ["refuse", "hole"])
def test_everything_goes_on_by_itself(wired: APIFlask, wire: TcpProxy, mode: Any) -> None:
    client, headers = wired.test_client(), bearer(tokens(wired, "alice")["access_token"])
    wire.set(mode)
    answers = [client.get("/api/v1/tasks", headers=headers) for _ in range(3)]
    assert [(answer.status_code, answer.headers.get("Retry-After")) for answer in answers] == [(503, "5")] * 3
    wire.set("pass")
    _until_back(client, headers)
    assert client.post("/api/v1/tasks", json=SUBMIT, headers=headers).status_code == 202


def _until_back(client: FlaskClient, headers: dict[str, str]) -> None:
    for _ in range(100):
        if client.get("/api/v1/tasks", headers=headers).status_code == 200:
            return
        postgres._servers.clear()  # what it knows lasts a moment only
    raise AssertionError("it did not come back")


def test_a_submit_whose_answer_was_lost_is_safe_to_repeat(wired: APIFlask, wire: TcpProxy, app: APIFlask) -> None:
    client, headers = wired.test_client(), bearer(tokens(wired, "alice")["access_token"])
    headers |= {"Idempotency-Key": str(uuid.uuid4())}
    inserted: list[bool] = []

    def note(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("INSERT INTO tasks"):
            inserted.append(True)

    def cut(_: Any) -> None:
        if inserted:
            wire.set("mute")  # the commit arrives, its answer does not

    with wired.app_context():
        event.listen(db.engine, "after_cursor_execute", note)
        event.listen(db.engine, "commit", cut)
        try:
            answer = client.post("/api/v1/tasks", json=SUBMIT, headers=headers)
        finally:
            event.remove(db.engine, "after_cursor_execute", note)
            event.remove(db.engine, "commit", cut)
    assert (answer.status_code, answer.headers["Retry-After"], len(inserted)) == (503, "5", 1)
    wire.set("pass")
    _until_back(client, headers)
    again = [client.post("/api/v1/tasks", json=SUBMIT, headers=headers) for _ in range(2)]
    assert [one.status_code for one in again] == [202, 202]
    with app.app_context():
        made = db.session.execute(db.text("SELECT uuid::text FROM tasks")).scalars().all()
    assert [one.get_json()["uuid"] for one in again] == [*made, *made]


@pytest.mark.parametrize(
    ("cause", "said"),
    [
        (errors.DiskFull, (503, "storage_full", "60")),
        (errors.ReadOnlySqlTransaction, (503, "database_unavailable", "5")),
        (psycopg2.InterfaceError, (503, "database_unavailable", "5")),
        (psycopg2.DatabaseError, (503, "database_unavailable", "5")),
        (errors.UndefinedTable, (500, "internal_server_error", None)),
    ],
)
def test_what_the_database_says_is_told_apart(
    app: APIFlask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch, cause: type[Exception], said: Any
) -> None:
    person(app, "alice")
    headers = bearer(tokens(app, "alice")["access_token"])

    def fail(*_: object, **__: object) -> None:
        raise exc.DBAPIError("INSERT", {}, cause())

    monkeypatch.setattr(tasks, "submit", fail)
    answer = client.post("/api/v1/tasks", json=SUBMIT, headers=headers)
    assert (answer.status_code, answer.get_json()["code"], answer.headers.get("Retry-After")) == said


def test_a_pool_that_is_used_up_is_no_bug(app: APIFlask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise exc.TimeoutError

    monkeypatch.setattr(db.session, "execute", fail)
    monkeypatch.setattr(db.session, "scalar", fail)
    page = client.post("/login", data={"csrf_token": csrf(client, "/login"), "account": "a", "password": "b"})
    assert (page.status_code, page.headers.get("Retry-After")) == (503, "5")


def test_a_refusal_is_still_said_when_the_database_goes_meanwhile(wired: APIFlask, wire: TcpProxy) -> None:
    client, headers = wired.test_client(), bearer(tokens(wired, "alice")["access_token"])

    def cut(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        if "FROM tasks" in statement:
            wire.set("refuse")  # before the rollback

    with wired.app_context():
        event.listen(db.engine, "after_cursor_execute", cut)
        try:
            answer = client.post(f"/api/v1/tasks/{uuid.uuid4()}/cancel", headers=headers)
        finally:
            event.remove(db.engine, "after_cursor_execute", cut)
    assert answer.status_code == 404
    wire.set("pass")
    _until_back(client, headers)
