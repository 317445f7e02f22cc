"""Each answer is what /openapi.json says, whoever calls and whatever is sent; `make prove-api` draws many more."""

from typing import Any

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.api.test_errors import HOSTILE
from tests.contract import Contract, problem_breaches
from tests.contract_values import ACTORS
from tests.stage import NOBODYS, Stage, set_up

ROUND = 13  # always the same draws, so that a test that passes once passes again
PEOPLE = (None, "alice", "grace")
HOSTILE_TEXTS = ["%00", "a%00b", "%ff", "%ED%A0%80", "9" * 5000, "-1", "1e400", "NaN", "[]", "{}", "%F0%9F%92%A9", "'"]
CONTENT_TYPES = [
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "application/xml",
    "application/json; charset=utf-16",
    "application/json; charset=nonsense",
    "*/*",
    "",
    "nonsense",
]


@pytest.fixture
def stage(app: APIFlask) -> Stage:
    return set_up(app)


def test_answers_are_as_described(app: APIFlask) -> None:
    contract = Contract(app)
    for number, operation in enumerate(contract.operations):
        contract.try_out(operation, ROUND + number)
    assert contract.broken == {}
    assert contract.asked >= 300
    assert {actor for actor, status in contract.answers if status < 300} == ACTORS.keys()
    assert len(contract.succeeded) > len(contract.operations) / 2


def test_what_is_not_as_described_is_seen(app: APIFlask, monkeypatch: pytest.MonkeyPatch) -> None:
    answers: dict[str, Any] = {
        "users/me/events": None,
        "users/me/sessions": ({"items": [{"id": 7}]}, 200),
        "tasks": ({"items": [], "next_cursor": None}, 418),
        "users/me/quota": ("<p>", 200),
        "users/me": ({"code": "gone"}, 404),
    }
    contract = Contract(app)
    for operation in contract.operations:
        path = operation.path.removeprefix("/api/v1/")
        if operation.method == "get" and path in answers:
            endpoint = app.url_map.bind("").match(operation.path, "GET")[0]
            monkeypatch.setitem(app.view_functions, endpoint, lambda path=path: answers[path])
            contract.try_out(operation, ROUND)
    assert {breach.split()[1].removeprefix("/api/v1/") for breach in contract.broken} == answers.keys()


def described(client: FlaskClient) -> list[tuple[str, str, dict[str, Any]]]:
    """Method, path and description of each operation."""
    paths = client.get("/openapi.json").get_json()["paths"]
    return [(method, path, operation) for path, methods in paths.items() for method, operation in methods.items()]


def breaches(operation: dict[str, Any], answer: TestResponse) -> list[str]:
    """What is wrong with an answer to something hostile: it has to be an error that is described, or a success."""
    found = [] if str(answer.status_code) in operation["responses"] else [f"{answer.status_code} is not described"]
    if answer.status_code >= 400:
        found += problem_breaches(answer.status_code, answer.content_type, answer.data)
    return found + ([str(answer.status_code)] if answer.status_code >= 500 else [])


@pytest.mark.parametrize("name", PEOPLE)
def test_hostile_json_is_refused_everywhere(stage: Stage, name: str | None) -> None:
    client, headers, tried = stage.app.test_client(), stage.token(name), 0
    for method, path, operation in described(client):
        if "application/json" not in operation.get("requestBody", {}).get("content", {}):
            continue
        address, tried = path.replace("{uuid}", str(NOBODYS)), tried + 1
        for body in HOSTILE:
            answer = client.open(
                address, method=method.upper(), data=body, content_type="application/json", headers=headers
            )
            statuses = {400} if name == "grace" or not operation["security"] else {400, 401, 404}
            assert answer.status_code in statuses, (method, path, body[:40], answer.text)
            assert breaches(operation, answer) == [], (method, path, body[:40])
    assert tried > 10


@pytest.mark.parametrize("name", PEOPLE)
def test_hostile_texts_in_addresses_do_no_harm(stage: Stage, name: str | None) -> None:
    client, headers = stage.app.test_client(), stage.token(name)
    for method, path, operation in described(client):
        queries = [each["name"] for each in operation.get("parameters", ()) if each["in"] == "query"]
        for text in HOSTILE_TEXTS:
            address = path.replace("{uuid}", str(stage.things["dataset"])).replace("{session_id}", str(NOBODYS))
            for query in queries:
                answer = client.open(f"{address}?{query}={text}", method=method.upper(), headers=headers)
                assert breaches(operation, answer) == [], (method, path, query, text)
            if "{" in path:
                answer = client.open(path.partition("{")[0] + text, method=method.upper(), headers=headers)
                assert answer.status_code in (401, 404, 405), (method, path, text)
                assert list(problem_breaches(answer.status_code, answer.content_type, answer.data)) == []


def test_a_body_is_read_as_json_whatever_its_type_says(stage: Stage) -> None:
    client, headers = stage.app.test_client(), stage.token("grace")
    for method, path, operation in described(client):
        if "application/json" not in operation.get("requestBody", {}).get("content", {}):
            continue
        call: dict[str, Any] = {
            "path": path.replace("{uuid}", str(NOBODYS)),
            "method": method.upper(),
            "headers": headers,
        }
        as_json = client.open(**call, data=b'{"locale": "en"}', content_type="application/json")
        for content_type in CONTENT_TYPES:
            answer = client.open(**call, data=b'{"locale": "en"}', content_type=content_type)
            assert answer.status_code == as_json.status_code, (method, path, content_type, answer.text)
            assert breaches(operation, answer) == [], (method, path, content_type)


def test_methods_that_are_not_there_are_refused_as_a_problem(stage: Stage) -> None:
    client, headers = stage.app.test_client(), stage.token("grace")
    paths = client.get("/openapi.json").get_json()["paths"]
    for path, operations in paths.items():
        address = path.replace("{uuid}", str(NOBODYS)).replace("{session_id}", str(NOBODYS))
        for method in {"GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "NONSENSE"} - {*map(str.upper, operations)}:
            answer = client.open(address, method=method, headers=headers)
            assert (answer.status_code, answer.headers.get("Allow") is not None) == (405, True), (method, path)
            assert list(problem_breaches(405, answer.content_type, answer.data)) == []
