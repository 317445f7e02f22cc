"""The admins' part of the JSON door."""

from datetime import timedelta
from typing import Any

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient
from redis import Redis
from sqlalchemy import func, update

from portal import redis_pool
from portal.extensions import db
from portal.models import LoginSession, StoppedPrefix, User
from portal.services import processes
from tests.cast import PASSWORD, Person, bearer, person, solved, tokens

NOBODY = "00000000-0000-4000-8000-000000000000"
CALLS = [
    ("get", "/api/v1/admin/users"),
    ("patch", f"/api/v1/admin/users/{NOBODY}"),
    ("get", "/api/v1/admin/tasks"),
    ("get", "/api/v1/admin/system"),
]


def headers_of(app: APIFlask, who: Person, *, two_factors: bool = True) -> dict[str, str]:
    token = tokens(app, who.username)["access_token"]
    if two_factors:
        with app.app_context():
            mine = update(LoginSession).where(LoginSession.user_id == who.id)
            db.session.execute(mine.values(two_factor_at=func.now()))
            db.session.commit()
    return bearer(token)


@pytest.fixture
def alice(app: APIFlask) -> Person:
    return person(app, "alice")


@pytest.fixture
def boss(app: APIFlask) -> dict[str, str]:
    """A super admin's token."""
    return headers_of(app, person(app, "dana", role="super_admin"))


def _call(client: FlaskClient, method: str, path: str, headers: dict[str, str]) -> Any:
    body = {"is_active": False} if method == "patch" else None
    return client.open(path, method=method, headers=headers, json=body)


@pytest.mark.parametrize(("method", "path"), CALLS)
def test_to_others_there_is_nothing(app: APIFlask, client: FlaskClient, alice: Person, method: str, path: str) -> None:
    assert _call(client, method, path, {}).status_code == 401
    member = _call(client, method, path, headers_of(app, alice))
    assert (member.status_code, member.get_json()["code"]) == (404, "not_found")
    one_factor = headers_of(app, person(app, "dana", role="super_admin"), two_factors=False)
    refused = _call(client, method, path, one_factor)
    assert (refused.status_code, refused.get_json()["code"]) == (403, "two_factor_required")


def test_users_are_listed_newest_first_in_pages(client: FlaskClient, alice: Person, boss: dict[str, str]) -> None:
    page = client.get("/api/v1/admin/users?limit=1", headers=boss).get_json()
    assert [user["username"] for user in page["items"]] == ["dana"]
    last = client.get(f"/api/v1/admin/users?limit=1&cursor={page['next_cursor']}", headers=boss).get_json()
    (user,) = last["items"]
    assert (user["username"], user["is_active"], user["has_second_factor"]) == ("alice", True, False)
    assert last["next_cursor"] is None and not any("password" in name or "totp" in name for name in user)


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("q=ALICE", ["alice"]),
        ("q=8000", ["alice"]),
        ("role=super_admin", ["dana"]),
        ("is_active=false", []),
        ("q=%25", []),
    ],
)
def test_users_are_narrowed(
    client: FlaskClient, alice: Person, boss: dict[str, str], query: str, names: list[str]
) -> None:
    found = client.get(f"/api/v1/admin/users?{query}", headers=boss).get_json()
    assert [user["username"] for user in found["items"]] == names


def test_a_change_ends_every_token(app: APIFlask, client: FlaskClient, alice: Person, boss: dict[str, str]) -> None:
    hers = bearer(tokens(app, "alice")["access_token"])
    path = f"/api/v1/admin/users/{alice.uuid}"
    changed = client.patch(path, json={"role": "admin", "is_active": False}, headers=boss)
    assert changed.status_code == 200
    assert (changed.get_json()["role"], changed.get_json()["is_active"]) == ("admin", False)
    assert client.get("/api/v1/users/me", headers=hers).status_code == 401
    # The role was changed first, which ended the log-ins.
    names = ("sessions", "tasks_cancelled", "tasks_stopping", "secrets", "uploads", "mails")
    assert changed.get_json()["stopped"] == dict.fromkeys(names, 0)
    on = client.patch(path, json={"is_active": True}, headers=boss).get_json()
    assert (on["is_active"], on["stopped"]) == (True, None)
    assert client.get("/api/v1/users/me", headers=hers).status_code == 401
    assert headers_of(app, alice)


@pytest.mark.parametrize("body", [{}, {"role": "root"}, {"role": None}, {"is_active": "perhaps"}, {"username": "x"}])
def test_a_body_that_says_nothing_good_is_refused(
    client: FlaskClient, alice: Person, boss: dict[str, str], body: dict[str, Any]
) -> None:
    answer = client.patch(f"/api/v1/admin/users/{alice.uuid}", json=body, headers=boss)
    assert (answer.status_code, answer.content_type) == (422, "application/problem+json")


def test_refusals_say_why(app: APIFlask, client: FlaskClient, alice: Person, boss: dict[str, str]) -> None:
    (dana,) = client.get("/api/v1/admin/users?role=super_admin", headers=boss).get_json()["items"]
    own = client.patch(f"/api/v1/admin/users/{dana['uuid']}", json={"role": "user"}, headers=boss)
    assert (own.status_code, own.get_json()["code"]) == (409, "admin_oneself")
    bob = headers_of(app, person(app, "bob", role="admin"))
    for uuid, body in [(dana["uuid"], {"is_active": False}), (alice.uuid, {"role": "admin"})]:
        answer = client.patch(f"/api/v1/admin/users/{uuid}", json=body, headers=bob)
        assert (answer.status_code, answer.get_json()["code"]) == (403, "super_admin_needed")
    assert client.patch(f"/api/v1/admin/users/{NOBODY}", json={"role": "user"}, headers=boss).status_code == 404
    with app.app_context():
        user = db.session.get(User, alice.id)
        assert user is not None and (user.role, user.is_active) == ("user", True)


def test_a_log_in_of_six_hours_raises_nobody(
    app: APIFlask, client: FlaskClient, alice: Person, boss: dict[str, str]
) -> None:
    with app.app_context():
        db.session.execute(update(LoginSession).values(fresh_at=LoginSession.fresh_at - timedelta(hours=6)))
        db.session.commit()
    path, body = f"/api/v1/admin/users/{alice.uuid}", {"role": "super_admin"}
    refused = client.patch(path, json=body, headers=boss)
    assert (refused.status_code, refused.get_json()["code"]) == (403, "fresh_login_required")
    assert "/api/v1/auth/confirm" in refused.get_json()["detail"]
    assert client.get("/api/v1/admin/users", headers=boss).status_code == 200
    assert client.post("/api/v1/auth/confirm", json={"password": PASSWORD}, headers=boss).status_code == 200
    assert client.patch(path, json=body, headers=boss).get_json()["role"] == "super_admin"


def test_all_tasks_are_listed_with_their_owners(
    app: APIFlask, client: FlaskClient, alice: Person, boss: dict[str, str]
) -> None:
    hers = bearer(tokens(app, "alice")["access_token"])
    made = client.post("/api/v1/tasks", json={"kind": "health_check"}, headers=hers).get_json()
    (task,) = client.get("/api/v1/admin/tasks?status=pending", headers=boss).get_json()["items"]
    assert task == {**made, "owner": {"uuid": str(alice.uuid), "username": "alice"}}
    assert client.get("/api/v1/admin/tasks?status=failed", headers=boss).get_json()["items"] == []
    assert client.get("/api/v1/admin/tasks?status=x", headers=boss).status_code == 422


def test_the_system_is_described(app: APIFlask, client: FlaskClient, boss: dict[str, str]) -> None:
    with app.app_context():
        db.session.add(StoppedPrefix(prefix="+8617012345", sent=50, verified=3))
        processes.seen("w1", "worker", 2)
        processes.seen("d1", "dispatcher")
        db.session.commit()
    body = {"phone_number": "+8613600136000", "purpose": "register"}
    for ticket in (solved(client), "nonsense"):
        client.post("/api/v1/auth/sms-code", json={**body, "captcha": {"ticket": ticket}})
    told = client.get("/api/v1/admin/system", headers=boss).get_json()
    assert told["queue"] == {"waiting": 0, "running": 0, "oldest_seconds": 0}
    worker = {"name": "w1", "answers": True, "slots": 2, "running": 0}
    assert (told["workers"], told["dispatchers"]) == ([worker], 1)
    assert 0 < told["redis"]["pool_open"] <= told["redis"]["pool_max"]
    assert told["captcha"] == {"passed": 1, "failed": 1}
    assert told["budget_left"]["sms"]["day"] == app.extensions["settings"].sms_per_day - 1
    assert [(each["prefix"], each["sent"], each["verified"]) for each in told["stopped"]] == [("+8617012345", 50, 3)]


def test_without_redis_it_says_what_it_knows(
    app: APIFlask, client: FlaskClient, boss: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    dead = Redis(connection_pool=redis_pool.pool("redis://127.0.0.1:1/0", size=2))
    monkeypatch.setitem(app.extensions, "redis", dead)
    told = client.get("/api/v1/admin/system", headers=boss).get_json()
    assert (told["redis"], told["workers"], told["captcha"]) == (None, [], None)
    assert told["queue"]["waiting"] == 0
