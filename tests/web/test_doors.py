"""Who may enter the HTML door, and what every answer carries."""

import re
from typing import Any

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient

from portal.app import create_app
from portal.config import Settings
from tests.cast import PASSWORD, browser, csrf, person, post

NOBODYS = "00000000-0000-4000-8000-000000000000"


def routes(app: APIFlask, method: str, guard: str | None = None) -> list[str]:
    """Paths of the HTML door that take a method, filled with ids of nothing."""
    return [
        re.sub(r"<[^>]+>", NOBODYS, rule.rule)
        for rule in app.url_map.iter_rules()
        if method in (rule.methods or ())
        and not rule.rule.startswith(("/api/", "/health/", "/static/"))
        and guard in (None, getattr(app.view_functions[rule.endpoint], "guard", None))
    ]


def test_members_pages_lead_strangers_to_the_log_in(app: APIFlask, client: FlaskClient) -> None:
    paths = routes(app, "GET", "member")
    assert len(paths) >= 6
    for path in paths:
        answer = client.get(path)
        assert (answer.status_code, answer.location.partition("?")[0]) == (303, "/login"), path


def test_every_unsafe_route_wants_the_sessions_own_csrf_token(app: APIFlask) -> None:
    person(app, "alice")
    alice, other = browser(app, "alice"), app.test_client()
    foreign = csrf(other, "/login")
    paths = routes(app, "POST")
    assert len(paths) >= 8
    for path in paths:
        for data in ({}, {"csrf_token": foreign}, {"csrf_token": "x"}):
            answer = alice.post(path, data=data)
            assert answer.status_code == 400, path
    assert alice.get("/tasks/").status_code == 200  # /logout did nothing either


def test_ids_of_nothing_are_not_found(app: APIFlask) -> None:
    person(app, "alice")
    alice = browser(app, "alice")
    token = csrf(alice, "/tasks/")
    for method, path in [(m, p) for m in ("GET", "POST") for p in routes(app, m) if NOBODYS in p]:
        answer = alice.open(path, method=method, data={"csrf_token": token} if method == "POST" else None)
        assert answer.status_code == 404, path


@pytest.mark.parametrize(
    ("target", "goes"),
    [
        ("/datasets/", "/datasets/"),
        ("//evil.example", "/tasks/"),
        ("/\\evil.example", "/tasks/"),
        ("/a\\..\\b", "/tasks/"),
        ("https://evil.example", "/tasks/"),
        ("javascript:alert(1)", "/tasks/"),
        ("/%0d%0aSet-Cookie:x", "/tasks/"),
    ],
)
def test_after_the_log_in_one_goes_on_only_within(app: APIFlask, client: FlaskClient, target: str, goes: str) -> None:
    person(app, "alice")
    data = {"csrf_token": csrf(client, "/login"), "account": "alice", "password": PASSWORD}
    answer = client.post("/login", query_string=f"next={target}", data=data)
    assert (answer.status_code, answer.location) == (303, goes)


def test_a_log_in_starts_a_new_session(app: APIFlask, client: FlaskClient) -> None:
    person(app, "alice")
    with client.session_transaction() as before:
        before["planted"] = "by an attacker"
    post(client, "/login", account="alice", password=PASSWORD)
    with client.session_transaction() as after:
        assert "planted" not in after


def test_an_ended_session_is_out_at_the_next_click_and_its_cookie_is_dead(app: APIFlask) -> None:
    person(app, "alice")
    alice = browser(app, "alice")
    stolen = alice.get_cookie("session")
    assert stolen is not None
    post(alice, "/logout", page="/tasks/")
    thief = app.test_client()
    thief.set_cookie("session", stolen.value)
    assert thief.get("/tasks/").status_code == 303


def test_one_ends_ones_own_sessions_only(app: APIFlask) -> None:
    person(app, "alice")
    person(app, "bob")
    here, there, bob = browser(app, "alice"), browser(app, "alice"), browser(app, "bob")
    (path,) = re.findall(r'action="(/sessions/[^"]+/end)"', here.get("/sessions/").text)
    assert post(bob, path, page="/tasks/").status_code == 404
    assert there.get("/tasks/").status_code == 200
    assert post(here, path, page="/sessions/").status_code == 303
    assert there.get("/tasks/").status_code == 303
    assert here.get("/tasks/").status_code == 200


@pytest.mark.parametrize("path", ["/", "/login", "/nothing", "/api/v1/nothing", "/docs", "/static/css/portal.css"])
def test_every_answer_carries_the_headers(client: FlaskClient, path: str) -> None:
    with client.get(path) as answer:
        headers = answer.headers
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    ("method", "path", "values"),
    [
        ("post", "/login", {"account": "a\x00b", "password": "x\x00"}),
        ("post", "/login", {"account": "\ud800".encode("utf-8", "surrogatepass"), "password": "x"}),
        ("post", "/register", {"phone_number": "\x00" * 40}),
        ("post", "/language", {"locale": "xx\x00", "next": "/\x00"}),
        ("get", "/login?next=%00", {}),
        ("get", "/tasks/?cursor=99999999999999999999999", {}),
        ("get", "/%ff%fe", {}),
    ],
)
def test_hostile_text_is_no_bug(app: APIFlask, method: str, path: str, values: dict[str, Any]) -> None:
    person(app, "alice")
    client = browser(app, "alice") if "/tasks" in path else app.test_client()
    if method == "post":
        values["csrf_token"] = csrf(client, "/login")
    answer = getattr(client, method)(path, data=values, headers={"User-Agent": "x\ud7ff" * 400})
    assert answer.status_code < 500


def test_an_error_is_a_page(client: FlaskClient) -> None:
    answer = client.get("/nothing", headers={"Accept-Language": "en"})
    assert (answer.status_code, "<h1>" in answer.text, '<html lang="en"' in answer.text) == (404, True, True)


@pytest.mark.parametrize("path", ["/", "/login", "/api/v1/tasks"])
def test_a_foreign_host_is_refused_without_a_page(settings: Settings, path: str) -> None:
    named = create_app(Settings.model_validate(settings.model_dump() | {"allowed_hosts": ["station.example"]}))
    client = named.test_client()
    answer = client.get(path, headers={"Host": "evil.example"})
    assert answer.status_code == 400
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "evil" not in answer.text


def test_cancelling_what_has_ended_shows_it_as_it_is(app: APIFlask) -> None:
    person(app, "alice")
    alice = browser(app, "alice")
    where = post(alice, "/tasks/health-check", page="/tasks/").location
    for _ in range(2):
        answer = post(alice, f"{where}/cancel", page="/tasks/", headers={"HX-Request": "true"})
        assert (answer.status_code, 'data-status="cancelled"' in answer.text) == (200, True)


@pytest.mark.parametrize("path", ["/tasks/", "/datasets/", "/account/history/"])
@pytest.mark.parametrize("cursor", ["9" * 30, "-1", "0", "x"])
def test_a_cursor_that_is_none_shows_the_first_page(app: APIFlask, path: str, cursor: str) -> None:
    person(app, "alice")
    assert browser(app, "alice").get(f"{path}?cursor={cursor}").status_code == 200
