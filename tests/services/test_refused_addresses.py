"""Whoever feels for servers of the inside leaves a trace, is soon stopped, and is told nothing by any of it."""

import socket
from typing import Any

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient
from sqlalchemy import select

from portal import jobs
from portal.errors import Blocked
from portal.extensions import db
from portal.limits import HOUR
from portal.models import Event, User
from portal.services import events, refused_addresses, runs, tasks
from portal.services.params import fetch_policy
from portal.worker import tasks as _bodies  # noqa: F401  # they register themselves
from tests.cast import bearer, browser, person, post, tokens
from tests.parallel import at_once

LITERALS = ["http://127.0.0.1/", "http://10.0.0.7/admin?token=s3cret", "http://[::1]/", "http://100.100.100.200/latest"]


@pytest.fixture
def headers(app: APIFlask) -> dict[str, str]:
    person(app, "alice")
    return bearer(tokens(app, "alice")["access_token"])


def submit(client: FlaskClient, headers: dict[str, str], url: str) -> Any:
    return client.post("/api/v1/tasks", json={"kind": "fetch", "params": {"url": url}}, headers=headers)


def kinds(app: APIFlask, kind: str) -> list[Event]:
    with app.app_context():
        return list(db.session.scalars(select(Event).where(Event.kind == kind).order_by(Event.position)))


def alice() -> User:
    return db.session.scalars(select(User).where(User.username == "alice")).one()


def test_ten_refused_addresses_an_hour(app: APIFlask, client: FlaskClient, headers: dict[str, str]) -> None:
    codes = [submit(client, headers, LITERALS[n % 4]).status_code for n in range(93)]
    assert codes == [422] * 10 + [429] * 83
    refused = submit(client, headers, "http://example.com/fine.csv")
    assert (refused.status_code, refused.get_json()["code"]) == (429, "addresses_too_many")
    assert 0 < int(refused.headers["Retry-After"]) <= HOUR
    blocked = kinds(app, "ssrf.blocked")
    assert len(blocked) == 10 and len(kinds(app, "ssrf.limited")) == 1
    assert blocked[1].details == {"reason": "literal", "host": "10.0.0.7", "ip": "10.0.0.7"}  # nothing of its query
    assert all(event.address == "127.0.0.1" for event in blocked)
    # A file that is sent has no address, and others are not limited.
    assert client.post("/api/v1/tasks", json={"kind": "health_check"}, headers=headers).status_code == 202
    person(app, "bob")
    bob = bearer(tokens(app, "bob")["access_token"])
    assert submit(client, bob, "http://example.com/fine.csv").status_code == 202


def test_the_page_says_how_long_to_wait(app: APIFlask, headers: dict[str, str]) -> None:
    page = browser(app, "alice")
    for _ in range(10):
        assert post(page, "/tasks/", page="/tasks/", url="http://127.0.0.1/").status_code == 422
    answer = post(page, "/tasks/", page="/tasks/", url="http://127.0.0.1/")
    assert answer.status_code == 429 and "Retry-After" in answer.headers
    assert "none is fetched for 60 minutes" in answer.text


def test_good_addresses_and_mistakes_of_writing_take_no_place(
    app: APIFlask, client: FlaskClient, headers: dict[str, str]
) -> None:
    for _ in range(12):
        assert submit(client, headers, "http://example.com/a.csv").status_code == 202
        assert submit(client, headers, "ftp://example.com/a.csv").status_code == 422
        assert submit(client, headers, "example").status_code == 422
    assert kinds(app, "ssrf.blocked") == kinds(app, "ssrf.limited") == []


def test_many_at_once_are_no_way_round(app: APIFlask, headers: dict[str, str]) -> None:
    def act() -> None:
        tasks.submit(alice(), "fetch", {"url": LITERALS[0]})

    assert at_once(app, 30, act) == {"url_not_allowed": 10, "addresses_too_many": 20}


@pytest.mark.parametrize("reason", ["inward", "absent", "literal"])
def test_what_a_worker_meets_counts_the_same(
    app: APIFlask, client: FlaskClient, headers: dict[str, str], reason: str
) -> None:
    """Names inside, names that are nowhere, redirects inward: were only some counted, the count would tell."""
    with app.app_context():
        for _ in range(10):
            run = runs.claim(tasks.submit(alice(), "fetch", {"url": "http://name.example/"}).uuid, "w1")
            db.session.commit()
            assert run is not None
            refused_addresses.note(run, Blocked("host_unresolvable", reason, "name.example", "10.0.0.7"))
    assert submit(client, headers, "http://example.com/a.csv").status_code == 429
    told = [event.details["host"] for event in kinds(app, "ssrf.blocked")]
    assert told == ([] if reason == "absent" else ["name.example"] * 10)


def test_a_worker_notes_it_and_the_owner_is_told_nothing(
    app: APIFlask, client: FlaskClient, headers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[Any] = []
    asked = socket.getaddrinfo
    celery = app.extensions["celery"]  # other tests have made Celeries of their own since
    celery.finalize()
    fetch = celery.tasks[jobs.FETCH]
    for ip in ("10.0.0.7", None):

        def getaddrinfo(host: str, port: int, *args: Any, ip: str | None = ip, **options: Any) -> list[Any]:
            if host != "name.example":
                return list(asked(host, port, *args, **options))
            if ip is None:
                raise socket.gaierror(socket.EAI_NONAME, "no")
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, port))]

        uuid = submit(client, headers, "http://name.example/x?token=s3cret").get_json()["uuid"]
        with app.app_context(), monkeypatch.context() as patched:
            patched.setattr(socket, "getaddrinfo", getaddrinfo)
            fetch.apply(args=[uuid])
        task = client.get(f"/api/v1/tasks/{uuid}", headers=headers).get_json()
        said.append([task[name] for name in ("status", "error_code", "error_message", "attempt")])
    assert said[0] == said[1]
    assert said[0][:2] == ["failed", "host_unresolvable"]
    (event,) = kinds(app, "ssrf.blocked")
    seen = {"reason": "inward", "host": "name.example", "ip": "10.0.0.7"}
    assert event.details == {**seen, "task": event.details["task"]}  # nothing of its query
    # Operators see it with the account; its owner, whom it would tell what the answer hides, does not.
    with app.app_context():
        owner = alice()
        assert "ssrf.blocked" in {each.kind for each in events.list_for(owner, limit=50, whole=True).items}
    hers = browser(app, "alice").get("/account/history/")
    for answer in (client.get("/api/v1/users/me/events", headers=headers), hers):
        assert "10.0.0.7" not in answer.text and "ssrf" not in answer.text and "must not be fetched" not in answer.text


def test_names_are_refused_in_bands_of_time(app: APIFlask) -> None:
    with app.app_context():
        assert fetch_policy().band_seconds >= 1
