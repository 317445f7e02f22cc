"""When password, role or being active change, every other log-in ends: at its next request, with or without Redis."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient

from portal.extensions import db, init_redis
from portal.models import LoginSession, User
from portal.services import admin, credentials, links, runs, sessions
from portal.services.events import Visitor
from tests.cast import bearer, browser, person, tokens

HTMX = {"HX-Request": "true"}
NEW = "a long walk by the sea"
HERE = Visitor("192.0.2.1", "test")


@dataclass
class Doors:
    """Two browsers and two programs of alice's, of which the first of each may stay; and a task that runs."""

    app: APIFlask
    browsers: list[FlaskClient] = field(default_factory=list)
    pairs: list[dict[str, Any]] = field(default_factory=list)
    task: str = ""

    def statuses(self, number: int) -> dict[str, int]:
        """What one browser and one program are answered, at a page, at a poll, and with the refresh token last."""
        client, program, pair = self.browsers[number], self.app.test_client(), self.pairs[number]
        headers = bearer(pair["access_token"])
        refresh = {"refresh_token": pair["refresh_token"]}
        return {
            "page's poll": client.get(f"/tasks/{self.task}/progress", headers=HTMX).status_code,
            "page": client.get("/account/").status_code,
            "program's poll": program.get(f"/api/v1/tasks/{self.task}", headers=headers).status_code,
            "program": program.get("/api/v1/users/me", headers=headers).status_code,
            "refresh": program.post("/api/v1/auth/refresh", json=refresh).status_code,
        }


LIVE = {"page's poll": 200, "page": 200, "program's poll": 200, "program": 200, "refresh": 200}
# A browser whose log-in is gone is sent to log in: 401 tells htmx, 303 everyone else.
DEAD = {"page's poll": 401, "page": 303, "program's poll": 401, "program": 401, "refresh": 401}


@pytest.fixture
def doors(app: APIFlask) -> Doors:
    person(app, "alice")
    person(app, "bob", role="super_admin")
    doors = Doors(app, [browser(app, "alice") for _ in range(2)], [tokens(app, "alice") for _ in range(2)])
    headers = bearer(doors.pairs[0]["access_token"])
    answer = app.test_client().post("/api/v1/tasks", json={"kind": "health_check"}, headers=headers)
    doors.task = answer.get_json()["uuid"]
    with app.app_context():
        assert runs.claim(UUID(doors.task), "w1")
        sessions.hear_ended()  # what the dispatcher does each second, so that polls trust copies
        db.session.commit()
    for number in range(2):  # copies of all log-ins are made now, and the tokens rotate
        program = app.test_client()
        refresh = {"refresh_token": doors.pairs[number]["refresh_token"]}
        assert doors.statuses(number) == LIVE
        doors.pairs[number].update(program.post("/api/v1/auth/refresh", json=refresh).get_json())
    return doors


def _user(name: str) -> User:
    return db.session.query(User).filter_by(username=name).one()


def changes_password(keep: UUID | None) -> None:
    credentials.change_password(db.session.get_one(LoginSession, keep), NEW, visitor=HERE)


def resets_password(keep: UUID | None) -> None:
    credentials.reset_by_mail(links.make(_user("alice"), "reset_password"), NEW, visitor=HERE)


def gets_a_role(keep: UUID | None) -> None:
    admin.change(_user("bob"), _user("alice").uuid, role="admin", visitor=HERE)


def is_switched_off(keep: UUID | None) -> None:
    admin.change(_user("bob"), _user("alice").uuid, active=False, visitor=HERE)


def is_switched_off_and_on(keep: UUID | None) -> None:
    for active in (False, True):
        admin.change(_user("bob"), _user("alice").uuid, active=active, visitor=HERE)


CHANGES = [resets_password, gets_a_role, is_switched_off, is_switched_off_and_on]


@contextmanager
def redis_runs(app: APIFlask, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    yield


@contextmanager
def redis_is_flushed(app: APIFlask, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    yield
    app.extensions["redis"].flushdb()


@contextmanager
def redis_is_stopped(app: APIFlask, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """From before the change on."""
    monkeypatch.setitem(app.extensions, "redis", None)
    init_redis(app, "redis://127.0.0.1:1/0")
    yield


@contextmanager
def redis_stops_and_comes_back(app: APIFlask, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Away for the change, back with all its copies for the next request."""
    with monkeypatch.context() as outage:
        outage.setitem(app.extensions, "redis", None)
        init_redis(app, "redis://127.0.0.1:1/0")
        yield


STATES = [redis_runs, redis_is_flushed, redis_is_stopped, redis_stops_and_comes_back]
Change = Callable[[UUID | None], None]


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("change", CHANGES)
def test_every_log_in_ends(doors: Doors, monkeypatch: pytest.MonkeyPatch, change: Change, state: Any) -> None:
    with state(doors.app, monkeypatch), doors.app.app_context():
        change(None)
        db.session.commit()
    for number in range(2):
        assert doors.statuses(number) == DEAD


@pytest.mark.parametrize("state", STATES)
def test_a_new_password_spares_the_log_in_that_sets_it(
    doors: Doors, monkeypatch: pytest.MonkeyPatch, state: Any
) -> None:
    with doors.browsers[0].session_transaction() as session:
        keep = UUID(session["_user_id"])
    with state(doors.app, monkeypatch), doors.app.app_context():
        changes_password(keep)
        db.session.commit()
    assert doors.statuses(0) == DEAD | {"page's poll": 200, "page": 200}
    assert doors.statuses(1) == DEAD


def test_a_row_changed_behind_our_back_counts_too(doors: Doors) -> None:
    """An operator's UPDATE: without a copy in Redis that says otherwise, the row decides."""
    with doors.app.app_context():
        _user("alice").is_active = False
        db.session.commit()
    doors.app.extensions["redis"].flushdb()
    assert doors.statuses(1) == DEAD


def test_bobs_log_in_is_his_own(doors: Doors) -> None:
    bob = tokens(doors.app, "bob")
    with doors.app.app_context():
        resets_password(None)
        db.session.commit()
    assert doors.app.test_client().get("/api/v1/users/me", headers=bearer(bob["access_token"])).status_code == 200
