"""The admins' pages: for admins with two factors only, and what they do there."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient
from redis import Redis
from sqlalchemy import func, select, update

from portal import redis_pool
from portal.errors import Conflict, Forbidden, NotFound, PortalError
from portal.extensions import db
from portal.models import Event, LoginSession, Message, StoppedPrefix, User
from portal.services import admin, captcha, events
from portal.services.events import Visitor
from tests.cast import PASSWORD, Person, bearer, browser, person, post, tokens
from tests.parallel import at_once

PAGES = ["/admin/users", "/admin/tasks", "/admin/messages", "/admin/history", "/admin/system"]
HERE = Visitor("203.0.113.9", "pytest")


def as_admin(app: APIFlask, name: str) -> FlaskClient:
    """A browser of an admin who gave both factors."""
    client = browser(app, name)
    with app.app_context():
        owner = select(User.id).where(User.username == name).scalar_subquery()
        db.session.execute(update(LoginSession).where(LoginSession.user_id == owner).values(two_factor_at=func.now()))
        db.session.commit()
    return client


@pytest.fixture
def alice(app: APIFlask) -> Person:
    return person(app, "alice")


@pytest.fixture
def dana(app: APIFlask) -> FlaskClient:
    """A super admin."""
    person(app, "dana", role="super_admin", locale="en")
    return as_admin(app, "dana")


@pytest.fixture
def bob(app: APIFlask) -> FlaskClient:
    """An admin."""
    person(app, "bob", role="admin", locale="en")
    return as_admin(app, "bob")


def _set(client: FlaskClient, who: Person, **data: Any) -> Any:
    (what,) = data
    return post(client, f"/admin/users/{who.uuid}/{what}", page="/tasks/", **data)


def _role(app: APIFlask, who: Person) -> tuple[str, bool]:
    with app.app_context():
        user = db.session.get(User, who.id)
        assert user is not None
        return user.role, user.is_active


@pytest.mark.parametrize("path", PAGES)
def test_to_others_there_is_nothing(app: APIFlask, client: FlaskClient, alice: Person, path: str) -> None:
    assert client.get(path).status_code == 404
    member = browser(app, "alice")
    assert member.get(path).status_code == 404
    assert "/admin/" not in member.get("/tasks/").text


@pytest.mark.parametrize("path", PAGES)
def test_an_admin_with_one_factor_sets_up_the_other_first(app: APIFlask, path: str) -> None:
    person(app, "dana", role="super_admin", locale="en")
    answer = browser(app, "dana").get(path)
    assert (answer.status_code, answer.location) == (303, "/account/two-factor")


@pytest.mark.parametrize("path", PAGES)
def test_the_pages_show(app: APIFlask, dana: FlaskClient, path: str) -> None:
    answer = dana.get(path)
    assert answer.status_code == 200
    assert f'href="{path}" aria-current="page"' in answer.text
    assert answer.text.count("<h1>") == 1


def test_the_menu_leads_admins_there(dana: FlaskClient) -> None:
    assert 'href="/admin/users"' in dana.get("/tasks/").text


def test_users_are_searched_and_filtered(app: APIFlask, dana: FlaskClient, alice: Person) -> None:
    def names(query: str) -> set[str]:
        return set(re.findall(r'href="/admin/users/[0-9a-f-]{36}">(\w+)<', dana.get(f"/admin/users?{query}").text))

    assert names("") == {"alice", "dana"}
    assert names("q=ALI") == names("q=alice@ex") == names("q=138 0013 8000") == names("role=user") == {"alice"}
    assert names("q=%25") == names("q=_") == names("q=%00") - {"alice", "dana"} == names("active=no") == set()
    assert names("role=nonsense") == set()


def test_users_are_paged_newest_first(app: APIFlask, dana: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    with app.app_context():
        for n in range(45):
            name = f"user{n:02}"
            db.session.add(
                User(
                    username=name, pending_email=f"{name}@x.example", phone_number=f"+86139{n:08}", hashed_password="x"
                )
            )
            db.session.flush()
        db.session.commit()
    seen, where = [], "/admin/users?role=user"
    while where:
        page = dana.get(where).text
        seen += re.findall(r'href="/admin/users/[0-9a-f-]{36}">(\w+)<', page)
        older = re.search(r'href="([^"]+)" rel="next"', page)
        where = older[1].replace("&amp;", "&") if older else ""
    assert seen == [f"user{n:02}" for n in range(44, -1, -1)]


def test_a_deactivated_user_is_out_at_the_next_call_and_may_come_back(
    app: APIFlask, dana: FlaskClient, alice: Person
) -> None:
    hers, token = browser(app, "alice"), tokens(app, "alice")["access_token"]
    post(hers, "/tasks/health-check", page="/tasks/")
    off = _set(dana, alice, active="no")
    assert off.status_code == 303
    assert "Stopped: sessions 2, tasks that waited 1, tasks that run 0" in dana.get(off.location).text
    assert hers.get("/tasks/").status_code == 303
    assert app.test_client().get("/api/v1/users/me", headers=bearer(token)).status_code == 401
    page = dana.get(f"/admin/users/{alice.uuid}").text
    assert "Account deactivated" in page and "All sessions ended" in page
    assert _set(dana, alice, active="yes").status_code == 303
    assert hers.get("/tasks/").status_code == 303  # what was ended stays so
    assert browser(app, "alice").get("/tasks/").status_code == 200
    with app.app_context():
        event = db.session.scalars(select(Event).where(Event.kind == "account.deactivated")).one()
        assert event.user_id == alice.id and event.actor_id not in (None, alice.id)


def test_of_what_was_not_there_nothing_is_told(dana: FlaskClient, alice: Person) -> None:
    off = _set(dana, alice, active="no")
    page = dana.get(off.location).text
    assert "Changed." in page and "Stopped:" not in page


def test_a_changed_role_ends_all_sessions(app: APIFlask, dana: FlaskClient, alice: Person) -> None:
    hers = browser(app, "alice")
    _set(dana, alice, role="admin")
    assert _role(app, alice) == ("admin", True)
    assert hers.get("/tasks/").status_code == 303
    assert "Role changed from User to Admin" in dana.get(f"/admin/users/{alice.uuid}").text
    again = browser(app, "alice")
    _set(dana, alice, role="admin")  # no change, nothing ends
    assert again.get("/tasks/").status_code == 200


def test_an_admin_locks_out_members_and_nobody_else(app: APIFlask, bob: FlaskClient, alice: Person) -> None:
    dana = person(app, "dana", role="super_admin", locale="en")
    _set(bob, alice, role="admin")
    assert _role(app, alice) == ("user", True)
    _set(bob, alice, active="no")
    assert _role(app, alice) == ("user", False)
    for data in ({"active": "no"}, {"role": "user"}):
        page = _set(bob, dana, **data)
        assert "Only a super admin" in bob.get(page.location).text
    assert _role(app, dana) == ("super_admin", True)
    shown = bob.get(f"/admin/users/{dana.uuid}").text
    assert f"/admin/users/{dana.uuid}/" not in shown


def test_a_log_in_of_six_hours_raises_nobody(app: APIFlask, dana: FlaskClient, alice: Person) -> None:
    """The page for a fresh proof is on the way, and leads back to the button."""
    with app.app_context():
        db.session.execute(update(LoginSession).values(fresh_at=LoginSession.fresh_at - timedelta(hours=6)))
        db.session.commit()
    asked = _set(dana, alice, role="super_admin")
    assert _role(app, alice) == ("user", True)
    assert (asked.status_code, asked.location.partition("?")[0]) == (303, "/confirm")
    confirmed = post(dana, asked.location, page="/tasks/", password=PASSWORD)
    back = dana.get(confirmed.location)
    assert back.location == f"/admin/users/{alice.uuid}"
    assert "Press the button once more" in dana.get(back.location).text
    _set(dana, alice, role="super_admin")
    assert _role(app, alice) == ("super_admin", True)


def test_nobody_changes_themself(app: APIFlask, dana: FlaskClient) -> None:
    with app.app_context():
        me = db.session.scalars(select(User).where(User.username == "dana")).one()
        myself = Person(me.id, me.uuid, me.username)
    for data in ({"active": "no"}, {"role": "user"}):
        assert _set(dana, myself, **data).status_code == 303
    assert _role(app, myself) == ("super_admin", True)
    assert dana.get("/admin/users").status_code == 200


def test_a_role_that_does_not_exist_is_refused(app: APIFlask, dana: FlaskClient, alice: Person) -> None:
    for role in ("root", "", "\x00"):
        _set(dana, alice, role=role)
    assert _role(app, alice) == ("user", True)


def test_two_super_admins_who_unmake_each_other_leave_one(app: APIFlask) -> None:
    for _ in range(10):
        with app.app_context():
            db.session.query(User).delete()
            db.session.commit()
        pair = [person(app, name, role="super_admin") for name in ("alice", "bob")]
        turns = iter([(pair[0], pair[1]), (pair[1], pair[0])])

        def unmake(turns: Any = turns) -> None:
            me, other = next(turns)
            actor = db.session.get(User, me.id)
            assert actor is not None
            admin.change(actor, other.uuid, role="user", visitor=HERE)
            db.session.commit()

        assert at_once(app, 2, unmake) == {"done": 1, "not_found": 1}


@pytest.mark.parametrize(
    ("actor", "target", "wanted", "error"),
    [
        ("admin", "user", {"active": False}, None),
        ("admin", "user", {"role": "admin"}, Forbidden),
        ("admin", "admin", {"active": False}, Forbidden),
        ("admin", "super_admin", {"active": False}, Forbidden),
        ("super_admin", "super_admin", {"role": "user"}, None),
        ("super_admin", "user", {"role": "super_admin"}, None),
        ("user", "user", {"active": False}, NotFound),
    ],
)
def test_who_may_change_whom(
    app: APIFlask, actor: str, target: str, wanted: dict[str, Any], error: type[PortalError] | None
) -> None:
    me, other = person(app, "alice", role=actor), person(app, "bob", role=target)
    with app.app_context():
        acting = db.session.get(User, me.id)
        assert acting is not None
        if error:
            with pytest.raises(error):
                admin.change(acting, other.uuid, visitor=HERE, **wanted)
        else:
            admin.change(acting, other.uuid, visitor=HERE, **wanted)
        with pytest.raises((Conflict, NotFound)):
            admin.change(acting, me.uuid, active=True, visitor=HERE)


def test_all_tasks_are_shown_with_their_owners(app: APIFlask, dana: FlaskClient, alice: Person) -> None:
    post(browser(app, "alice"), "/tasks/health-check", page="/tasks/")
    assert ">alice</a>" in dana.get("/admin/tasks?status=pending").text
    assert ">alice</a>" not in dana.get("/admin/tasks?status=failed").text


def _sent(state: str, count: int, channel: str = "sms") -> None:
    now = datetime.now(UTC)
    db.session.add_all(
        Message(channel=channel, purpose="login", recipient="x", state=state, created_at=now) for _ in range(count)
    )


def test_spending_is_drawn_and_tabled(app: APIFlask, dana: FlaskClient) -> None:
    with app.app_context():
        _sent("sent", 6)
        _sent("unknown", 1)
        _sent("failed", 2)
        db.session.commit()
    page = dana.get("/admin/messages").text
    assert 'role="img"' in page and "7 sent and 2 failed from" in page
    for label, count in [("Sent", 6), ("Perhaps sent", 1), ("Failed", 2)]:
        assert f'data-label="{label}">{count}</td>' in page
    assert page.count("<rect") == 2


def test_a_stopped_prefix_is_lifted(app: APIFlask, dana: FlaskClient) -> None:
    with app.app_context():
        db.session.add(StoppedPrefix(prefix="+8617012345", sent=50, verified=3))
        db.session.commit()
    page = dana.get("/admin/messages").text
    (action,) = re.findall(r'action="(/admin/messages/[^"]+/lift)"', page)
    assert post(dana, action, page="/tasks/").status_code == 303
    assert "/lift" not in dana.get("/admin/messages").text
    with app.app_context():
        event = db.session.scalars(select(Event).where(Event.kind == "prefix.lifted")).one()
        assert event.actor_id is not None and event.details == {"prefix": "+8617012345"}


def test_the_history_is_searched(app: APIFlask, dana: FlaskClient, alice: Person) -> None:
    with app.app_context():
        events.record("code.wrong", Visitor("198.51.100.7", "x"), user_id=alice.id)
        events.record("email.verified", Visitor("198.51.100.8", "x"), user_id=alice.id)
        events.record("prefix.stopped", Visitor(), prefix="+861701")
        db.session.commit()

    def found(query: str) -> tuple[bool, bool]:
        body = dana.get(f"/admin/history?{query}").text.partition("<tbody>")[2]
        return "Wrong code" in body, "E-mail address verified" in body

    assert found("") == found("user=alice") == found("user=alice@example.com") == (True, True)
    assert found(f"user={alice.uuid}") == found("user=%2B8613800138000") == (True, True)
    assert found("kind=code.wrong") == found("address=198.51.100.7") == (True, False)
    assert found("user=dana&kind=code.wrong") == found("user=nobody") == found("address=%00&kind=x") == (False, False)


def test_the_system_page_knows_captchas_and_lives_without_redis(
    app: APIFlask, dana: FlaskClient, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with app.app_context():
        for outcome in ("passed", "passed", "passed", "failed"):
            captcha._count(outcome)
    assert "3 of 4 passed" in dana.get("/admin/system").text
    monkeypatch.setitem(app.extensions, "redis", _dead(app))
    page = dana.get("/admin/system")
    assert page.status_code == 200 and "Redis does not answer" in page.text and "Not known" in page.text


def _dead(app: APIFlask) -> Any:
    return Redis(connection_pool=redis_pool.pool("redis://127.0.0.1:1/0", size=2))
