"""One problem+json shape for every error of the JSON door; hostile bodies are refused, never a 500."""

from typing import Any

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient
from openapi_spec_validator import validate

HOSTILE = [
    b"",
    b"{",
    b"nul",
    b"\xff\xfe{}",
    b"[" * 100_000,
    b"{" + b",".join(b'"k%d":0' % n for n in range(20_000)) + b"}",
    b'{"a":' * 990 + b"1" + b"}" * 990,
    b'{"account":"a\\u0000b","password":"x"}',
    b'{"account":"\\ud800","password":"x"}',
    b'{"account":[["\\u0000"]],"password":"x"}',
    b'{"account":"a","password":NaN}',
    b'{"account":"a","password":1e999}',
    b'{"account":' + b"9" * 5000 + b"}",
    b'{"account":"a","account":"b","password":"x"}',
    b'{"' + b'\\"' * 60_000,
]


@pytest.mark.parametrize("body", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_json_is_refused_with_400(client: FlaskClient, body: bytes) -> None:
    answer = client.post("/api/v1/auth/login", data=body, content_type="application/json")
    assert (answer.status_code, answer.content_type) == (400, "application/problem+json")
    assert "Content-Type: application/json" in answer.get_json()["detail"]  # what to send instead


@pytest.mark.parametrize("body", [b"null", b"[]", b"7", b'"x"', b"{}"])
def test_json_of_another_shape_is_refused_with_422(client: FlaskClient, body: bytes) -> None:
    answer = client.post("/api/v1/auth/login", data=body, content_type="application/json")
    assert (answer.status_code, answer.content_type) == (422, "application/problem+json")


def test_a_body_too_large_is_refused(client: FlaskClient) -> None:
    answer = client.post("/api/v1/auth/login", data=b"x" * 300_000, content_type="application/json")
    assert (answer.status_code, answer.content_type) == (413, "application/problem+json")
    assert "256 KiB" in answer.get_json()["detail"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("get", "/api/v1/nothing", 404),
        ("delete", "/api/v1/auth/login", 405),
        ("get", "/api/v1/tasks", 401),
        ("get", "/api/v1/tasks/no-uuid", 404),
    ],
)
def test_problems_have_one_shape(client: FlaskClient, method: str, path: str, status: int) -> None:
    answer = getattr(client, method)(path)
    body = answer.get_json()
    assert (answer.status_code, answer.content_type) == (status, "application/problem+json")
    assert {"type", "title", "status", "detail", "instance", "code", "request_id", "errors"} == body.keys()
    assert body["request_id"] == answer.headers["X-Request-Id"]


def test_every_wrong_field_is_named(client: FlaskClient) -> None:
    answer = client.post("/api/v1/auth/login", json={"account": 7, "extra": 1})
    assert {error["field"] for error in answer.get_json()["errors"]} == {"account", "password", "extra"}


def test_problems_speak_the_callers_language(client: FlaskClient) -> None:
    answers = [
        client.get("/api/v1/tasks", headers={"Accept-Language": language}).get_json()["detail"]
        for language in ("en", "zh-CN,zh;q=0.9")
    ]
    assert answers[0].startswith("Send an access token") and "令牌" in answers[1]


def test_a_bug_shows_nothing_of_itself(app: APIFlask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("the secret word")

    monkeypatch.setattr("portal.services.accounts.authenticate", broken)
    answer = client.post("/api/v1/auth/login", json={"account": "a", "password": "b"})
    assert answer.status_code == 500
    assert "secret" not in answer.text


def test_the_description_is_valid_openapi(client: FlaskClient) -> None:
    spec = client.get("/openapi.json").get_json()
    validate(spec)
    assert spec["openapi"].startswith("3.1")
    assert all(path.startswith("/api/v1/") for path in spec["paths"])


def test_the_description_names_errors_and_operations(client: FlaskClient) -> None:
    paths = client.get("/openapi.json").get_json()["paths"]
    operations = [operation for methods in paths.values() for operation in methods.values()]
    names = [operation["operationId"] for operation in operations]
    assert len(set(names)) == len(names)
    for operation in operations:
        for status, response in operation["responses"].items():
            if status[0] in "45":
                assert list(response["content"]) == ["application/problem+json"]
    assert {"400", "401", "413", "422"} <= paths["/api/v1/tasks"]["post"]["responses"].keys()
    for verb in ("cancel", "retry"):
        assert {"202", "401", "404", "409", "429", "503"} <= paths[f"/api/v1/tasks/{{uuid}}/{verb}"]["post"][
            "responses"
        ].keys()


def test_the_description_tells_what_headers_say_of_tasks(client: FlaskClient) -> None:
    paths = client.get("/openapi.json").get_json()["paths"]
    quota = {f"X-Quota-Tasks-{name}" for name in ("Running", "Running-Limit", "Waiting", "Waiting-Limit")}
    quota |= {f"X-Quota-Bytes-{name}" for name in ("Kept", "Kept-Limit", "Fetched", "Fetched-Limit")}
    submit, task = paths["/api/v1/tasks"]["post"], paths["/api/v1/tasks/{uuid}"]
    assert submit["responses"]["202"]["headers"].keys() == quota | {"Location"}
    assert paths["/api/v1/tasks/{uuid}/retry"]["post"]["responses"]["202"]["headers"].keys() == quota | {"Location"}
    assert paths["/api/v1/tasks/{uuid}/cancel"]["post"]["responses"]["202"]["headers"].keys() == quota
    assert paths["/api/v1/tasks"]["get"]["responses"]["200"]["headers"].keys() == quota
    assert [task["get"]["responses"][status]["headers"].keys() for status in ("200", "304")] == [{"ETag"}] * 2
    assert all("Retry-After" in submit["responses"][status]["headers"] for status in ("429", "503"))
    assert "Idempotency-Key" in [parameter["name"] for parameter in submit["parameters"]]
    asked = {parameter["name"] for parameter in paths["/api/v1/tasks"]["get"]["parameters"]}
    assert asked == {"status", "kind", "since", "until", "text", "cursor", "limit"}


def test_a_dataset_is_described_as_it_is_answered(client: FlaskClient) -> None:
    schema = client.get("/openapi.json").get_json()["components"]["schemas"]["DatasetAnswer"]
    assert {"bytes", "sha256"} <= set(schema["properties"])
    assert "source_bytes" not in schema["properties"]
