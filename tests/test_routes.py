"""Every route and everyone who may come: what each is answered stands in `routes_table`, and nothing else happens."""

import re
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.routes_table import ACTORS, ANY, BODIES, LACKING, PAGES, PROGRAMS, TABLE, THINGS, USUAL, Way, body_of
from tests.stage import NOBODYS, Stage, set_up

OURS = "http://localhost"
UUIDS = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
CHANGING = [route for route in PAGES if not route.startswith("GET ")]
WITH_IDS = [route for route in TABLE if "<uuid:" in route]
FOR_MEMBERS = [route for route in PROGRAMS if TABLE[route].answers[0] == 401]


@pytest.fixture
def stage(app: APIFlask) -> Stage:
    return set_up(app)


def filled(route: str, thing: UUID) -> str:
    """The route's path, with an id."""
    path = route.partition(" ")[2].replace("<prefix>", "+861380013").replace("<path:filename>", "css/portal.css")
    return re.sub(r"<uuid:[^>]+>", str(thing), path)


def thing_of(stage: Stage, route: str) -> UUID:
    path = route.partition(" ")[2]
    return next((stage.things[name] for start, name in THINGS.items() if path.startswith(start)), NOBODYS)


def ask(stage: Stage, name: str | None, route: str, thing: UUID, way: Way = USUAL) -> TestResponse:
    """What somebody is answered who does everything right, logged in this way."""
    method, path = route.partition(" ")[0], filled(route, thing)
    if route in PROGRAMS:
        sent: dict[str, Any] = {} if method == "GET" else {"json": body_of(route, name, stage.things)}
        return stage.app.test_client().open(path, method=method, headers=stage.token(name, way), **sent)
    if method == "GET":
        return stage.browser(name, way).get(path)
    form = {"csrf_token": stage.csrf_token(), **body_of(route, name, stage.things)}
    return stage.browser(name, way).open(path, method=method, data=form, headers={"Origin": OURS})


def told(answer: TestResponse) -> int | str:
    """The status, and for redirects where they lead."""
    if not answer.location or answer.status_code < 300:
        return answer.status_code
    return f"{answer.status_code} {UUIDS.sub('<uuid>', answer.location.partition('?')[0])}"


def test_every_route_is_in_the_table(app: APIFlask) -> None:
    routes = {
        f"{method} {rule.rule}"
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert routes == TABLE.keys()
    assert BODIES.keys() <= TABLE.keys()


@pytest.mark.parametrize("route", TABLE)
def test_everyone_is_answered_as_the_table_says(stage: Stage, route: str) -> None:
    for (actor, name), expected in zip(ACTORS.items(), TABLE[route].answers, strict=True):
        answer = ask(stage, name, route, thing_of(stage, route))
        assert told(answer) == expected, (actor, answer.text[:300])
        answer.close()


@pytest.mark.parametrize("route", TABLE)
def test_a_log_in_that_lacks_something_is_asked_for_it(stage: Stage, route: str) -> None:
    row = TABLE[route]
    for lacking, way in list(LACKING.items())[: 1 if row.needs == ANY else None]:  # who needs nothing may lack all
        for actor, name in ACTORS.items():
            answer = ask(stage, name, route, thing_of(stage, route), way)
            assert told(answer) == row.answer(actor, way, program=route in PROGRAMS), (lacking, actor)
            answer.close()


@pytest.mark.parametrize("route", [route for route in TABLE if TABLE[route].needs != ANY])
def test_what_is_asked_for_first_changes_nothing_and_leads_back(stage: Stage, route: str) -> None:
    name = "grace" if "/admin/" in route else "alice"
    lacking = LACKING["one factor" if TABLE[route].needs == "factor" else "stale"]
    stage.login("erin")  # something to end
    headers, client = stage.token(name, lacking), stage.browser(name, lacking)
    before, path = stage.checksum(), filled(route, thing_of(stage, route))
    method, body = route.partition(" ")[0], body_of(route, name, stage.things)
    if route in PROGRAMS:
        sent: dict[str, Any] = {} if method == "GET" else {"json": body}
        refused = stage.app.test_client().open(path, method=method, headers=headers, **sent)
        assert refused.get_json()["code"] in ("fresh_login_required", "two_factor_required")
    else:
        data = None if method == "GET" else {"csrf_token": stage.csrf_token(), **body}
        refused = client.open(path, method=method, data=data, headers={"Origin": OURS})
    assert stage.checksum() == before
    if next_path := parse_qs(urlsplit(refused.location or "").query).get("next"):
        assert stage.browser(name).get(next_path[0]).status_code in (200, 302, 303)


def whole(answer: TestResponse, path: str) -> tuple[int, str, list[tuple[str, str]]]:
    """All of an answer but the request's id, the path that was asked for, and what tells of the pace."""
    text = re.sub(r'"request_id": ?"\w+"', "", answer.text.replace(path, "PATH"))
    text = re.sub(r"I[\w-]{40,}\.[\w-]{6}\.[\w-]{27}", "CSRF", text)
    varying = ("X-Request-Id", "Set-Cookie", "RateLimit-Remaining", "RateLimit-Reset")
    return answer.status_code, text, sorted(header for header in answer.headers if header[0] not in varying)


@pytest.mark.parametrize("route", WITH_IDS)
def test_anothers_thing_is_like_one_that_is_not_there(stage: Stage, route: str) -> None:
    for name in ("bob",) if "/admin/" in route else ("bob", "frank", "grace"):
        for_thing, for_nothing = (
            whole(ask(stage, name, route, thing), filled(route, thing)) for thing in (thing_of(stage, route), NOBODYS)
        )
        assert for_thing == for_nothing
        assert for_thing[0] == 404


@pytest.mark.parametrize(("action", "thing"), [("cancel", "task"), ("retry", "ended")])
def test_others_tasks_among_many_are_left_alone(stage: Stage, action: str, thing: str) -> None:
    form = {"csrf_token": stage.csrf_token(), "action": action, "task": str(stage.things[thing])}
    for name, changes in (("bob", False), ("grace", False), ("alice", True)):
        client, before = stage.browser(name), stage.checksum()["tasks"]
        assert client.post("/tasks/bulk", data=form, headers={"Origin": OURS}).status_code == 303
        assert (stage.checksum()["tasks"] != before) is changes


@pytest.mark.parametrize("route", FOR_MEMBERS)
def test_programs_bring_tokens_and_never_cookies(stage: Stage, route: str) -> None:
    client = stage.browser("grace" if "/admin/" in route else "alice")
    before, path = stage.checksum(), filled(route, thing_of(stage, route))
    headers = {"X-CSRFToken": stage.csrf_token()}
    answer = client.open(
        path, method=route.partition(" ")[0], json=body_of(route, "alice", stage.things), headers=headers
    )
    assert (answer.status_code, answer.content_type) == (401, "application/problem+json")
    assert stage.checksum() == before


def refused_ways(stage: Stage) -> dict[str, dict[str, Any]]:
    """What a page of another site could make a browser send."""
    good, others = stage.csrf_token(), stage.csrf_token("f" * 40)
    return {
        "no token": {"token": None},
        "another session's token": {"token": others},
        "another session's token in a header": {"token": None, "headers": {"X-CSRFToken": others}},
        "no token, as text": {"token": None, "content_type": "text/plain"},
        "a good token, as text": {"token": good, "content_type": "text/plain"},
        "foreign origin": {"token": good, "headers": {"Origin": "https://evil.example"}},
        "same name, another port": {"token": good, "headers": {"Origin": "http://localhost:8080"}},
        "no origin that it would name": {"token": good, "headers": {"Origin": "null"}},
        "cross-site": {"token": good, "headers": {"Sec-Fetch-Site": "cross-site"}},
        "a neighbour's": {"token": good, "headers": {"Sec-Fetch-Site": "same-site", "Origin": OURS}},
    }


def forge(stage: Stage, client: FlaskClient, route: str, way: dict[str, Any]) -> TestResponse:
    body = body_of(route, "alice", stage.things) | ({"csrf_token": way["token"]} if way["token"] else {})
    sent = {name: value for name, value in way.items() if name != "token"}
    if "content_type" in sent:
        return client.post(filled(route, thing_of(stage, route)), data="&".join(map("=".join, body.items())), **sent)
    return client.post(filled(route, thing_of(stage, route)), data=body, **sent)


@pytest.mark.parametrize("route", CHANGING)
def test_a_page_of_another_site_changes_nothing(stage: Stage, route: str) -> None:
    client = stage.browser("grace" if "/admin/" in route else "alice")
    before = stage.checksum()
    for way, sent in refused_ways(stage).items():
        answer = forge(stage, client, route, sent)
        assert answer.status_code in (400, 403), way
        assert stage.checksum() == before, way
    # With its own page's token it is not refused, so what was refused was the forgery.
    own = {"token": stage.csrf_token(), "headers": {"Origin": OURS, "Sec-Fetch-Site": "same-origin"}}
    assert forge(stage, client, route, own).status_code not in (400, 403)
    if route in BODIES:
        assert stage.checksum() != before


def test_our_address_as_the_world_knows_it_is_ours(stage: Stage) -> None:
    """Behind a proxy that speaks https, when nobody said how many proxies there are."""
    settings = stage.app.extensions["settings"]
    address, settings.public_url = settings.public_url, "https://station.example/"
    try:
        for origin, status in (("https://station.example", 303), ("http://station.example", 403)):
            data = {"csrf_token": stage.csrf_token(), "locale": "en"}
            answer = stage.browser(None).post("/language", data=data, headers={"Origin": origin})
            assert answer.status_code == status
    finally:
        settings.public_url = address
