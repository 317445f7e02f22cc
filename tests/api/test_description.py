"""What generated clients stand on in /openapi.json: names that stay, each schema once, types for tasks, all errors."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient
from pydantic import TypeAdapter

import portal
from portal import error_codes
from portal.api.schemas.task_kinds import Conditions, ExportParams, FetchParams, GivenExport, GivenFetch
from portal.engine import export, query, reading
from portal.errors import status_code
from portal.front import refusals
from portal.services import params
from portal.wording import SENTENCES

ROOT = Path(portal.__file__).parent
DOCS = ROOT.parent / "docs" / "errors.md"
RAISED = {
    "BadRequest",
    "Conflict",
    "Fault",
    "Forbidden",
    "Invalid",
    "NotFound",
    "TooMany",
    "Unauthorized",
    "Unavailable",
}
# Programs call them by these names: they never change.
OPERATIONS = {
    "GET /auth/captcha": "getCaptcha",
    "POST /auth/sms-code": "sendSmsCode",
    "POST /auth/register": "register",
    "POST /auth/login": "logIn",
    "POST /auth/login/sms": "logInBySms",
    "POST /auth/refresh": "refreshTokens",
    "POST /auth/logout": "logOut",
    "POST /auth/logout-all": "logOutEverywhere",
    "POST /auth/confirm": "confirmIdentity",
    "POST /auth/email/verify": "verifyEmail",
    "POST /auth/password/forgot": "requestPasswordReset",
    "POST /auth/password/reset": "resetPassword",
    "GET /users/me": "getAccount",
    "PATCH /users/me": "changeAccount",
    "PUT /users/me/password": "changePassword",
    "POST /users/me/email/verify": "resendEmailVerification",
    "GET /users/me/events": "listAccountEvents",
    "GET /users/me/sessions": "listSessions",
    "DELETE /users/me/sessions/{session_id}": "endSession",
    "GET /users/me/quota": "getQuota",
    "POST /uploads": "uploadFile",
    "GET /tasks": "listTasks",
    "POST /tasks": "submitTask",
    "GET /tasks/{uuid}": "getTask",
    "GET /tasks/{uuid}/events": "listTaskEvents",
    "POST /tasks/{uuid}/cancel": "cancelTask",
    "POST /tasks/{uuid}/retry": "retryTask",
    "GET /tasks/{uuid}/download": "downloadExport",
    "GET /datasets": "listDatasets",
    "GET /datasets/{uuid}": "getDataset",
    "PATCH /datasets/{uuid}": "changeDataset",
    "DELETE /datasets/{uuid}": "deleteDataset",
    "POST /datasets/{uuid}/fetch": "fetchDatasetAgain",
    "GET /datasets/{uuid}/rows": "listRows",
    "GET /datasets/{uuid}/profile": "getProfile",
    "GET /admin/users": "listUsers",
    "PATCH /admin/users/{uuid}": "changeUser",
    "GET /admin/tasks": "listAllTasks",
    "GET /admin/system": "getSystemState",
}


@pytest.fixture
def spec(client: FlaskClient) -> dict[str, Any]:
    described: dict[str, Any] = client.get("/openapi.json").get_json()
    return described


def operations(spec: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in spec["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path.removeprefix('/api/v1')}", operation


def parts(value: Any) -> Iterator[dict[str, Any]]:
    """Every object in a description, itself included."""
    if isinstance(value, dict):
        yield value
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from parts(each)


def test_operations_are_called_what_programs_know(spec: dict[str, Any]) -> None:
    assert {call: operation["operationId"] for call, operation in operations(spec)} == OPERATIONS
    tags = {tag["name"] for tag in spec["tags"] if tag["description"]}
    for call, operation in operations(spec):
        assert operation["summary"] and operation["description"], call
        assert set(operation["tags"]) <= tags, call


def test_who_may_call_is_said_as_the_views_have_it(app: APIFlask, spec: dict[str, Any]) -> None:
    for call, operation in operations(spec):
        method, path = call.split(" ")
        path = re.sub(r"\{\w+\}", str(UUID(int=0)), path)
        endpoint = app.url_map.bind("").match(f"/api/v1{path}", method)[0]
        view: Any = app.view_functions[endpoint]
        needed = [] if view.guard == "public" else [{"bearer": list[str]()}]
        assert operation["security"] == needed, call


def test_each_schema_stands_once_under_a_plain_name(spec: dict[str, Any]) -> None:
    schemas = spec["components"]["schemas"]
    assert [name for name in schemas if not re.fullmatch(r"[A-Z][A-Za-z]+", name)] == []
    assert "$defs" not in str(spec)
    titles = Counter(schema.get("title", name) for name, schema in schemas.items())
    assert [title for title, times in titles.items() if times > 1] == []
    used = {part["$ref"].rpartition("/")[2] for part in parts(spec) if isinstance(part.get("$ref"), str)}
    assert used == schemas.keys()


def test_bounds_are_in_the_words_of_json_schema(spec: dict[str, Any]) -> None:
    """pydantic writes its own words, which nobody reads, where a bound stands on a union in place of its member."""
    pydantics = {"ge", "gt", "le", "lt", "multiple_of", "min_length", "max_length"}
    assert [part for part in parts(spec) if part.keys() & pydantics and "type" in part] == []


def test_no_answer_and_no_body_is_left_untyped(spec: dict[str, Any]) -> None:
    for call, operation in operations(spec):
        bodies = [operation["requestBody"]] if "requestBody" in operation else []
        assert all(body["required"] for body in bodies), call
        for each in [*bodies, *operation["responses"].values()]:
            for media, content in each.get("content", {}).items():
                schema = content["schema"]
                assert "$ref" in schema or schema.get("format") == "binary", (call, media)
    for name, schema in spec["components"]["schemas"].items():
        assert schema.keys() & {"properties", "oneOf", "items"} or name in ("HealthCheckParams", "GivenHealthCheck")


def test_every_query_is_described(app: APIFlask, spec: dict[str, Any]) -> None:
    """APIFlask leaves all parameters out, and says nothing, where it cannot describe one."""
    told = dict(operations(spec))
    checked = 0
    for rule in app.url_map.iter_rules():
        view = app.view_functions[rule.endpoint]
        for schema, location in getattr(view, "_spec", {}).get("args", ()):
            (method,) = (rule.methods or set()) - {"HEAD", "OPTIONS"}
            path = re.sub(r"<uuid:(\w+)>", r"{\1}", rule.rule.removeprefix("/api/v1"))
            names = {each["name"] for each in told[f"{method} {path}"]["parameters"] if each["in"] == location}
            assert names == schema.model_fields.keys(), rule
            checked += 1
    assert checked >= 8


def test_tasks_are_told_apart_by_their_kind(spec: dict[str, Any]) -> None:
    schemas = spec["components"]["schemas"]
    for name in ("TaskBody", "TaskAnswer", "AdminTaskAnswer"):
        kinds = schemas[name]["discriminator"]["mapping"]
        assert kinds.keys() == {"fetch", "export", "health_check"}
        for kind, reference in kinds.items():
            found = schemas[reference.rpartition("/")[2]]
            assert found["properties"]["kind"]["const"] == kind
            assert found["properties"]["params"]["$ref"]
            assert {"kind", "params"} <= set(found["required"]) or kind == "health_check"


def test_what_is_described_is_what_is_taken() -> None:
    assert FetchParams.model_fields.keys() == params._FETCH == GivenFetch.model_fields.keys()
    assert ExportParams.model_fields.keys() == params._EXPORT == GivenExport.model_fields.keys()
    described = TypeAdapter(Conditions).json_schema()
    ops = [part["properties"]["op"] for part in described["$defs"].values()]
    assert sorted(op for each in ops for op in each.get("enum", [each.get("const")])) == sorted(query.OPS)
    assert described["maxItems"] == query.CONDITIONS_MAX
    for model, field, choices in (
        (FetchParams, "format", reading.FORMATS),
        (FetchParams, "encoding", reading.ENCODINGS),
        (ExportParams, "format", export.FORMATS),
        (ExportParams, "encoding", export.ENCODINGS),
        (ExportParams, "packing", tuple(filter(None, export.PACKINGS))),
    ):
        schema = model.model_json_schema()["properties"][field]
        assert sorted(schema["enum"]) == sorted(choices), (model, field)


def raised_codes() -> set[str]:
    """Codes written where an error is made."""
    found = set()
    for path in ROOT.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in RAISED and node.args:
                first = node.args[0]
                found |= {str(first.value)} if isinstance(first, ast.Constant) else set()
    return found


def test_every_error_code_is_listed_with_its_meaning(app: APIFlask, spec: dict[str, Any]) -> None:
    with app.test_request_context(headers={"Accept-Language": "zh"}):
        listed = {code: text for codes in error_codes.meanings().values() for code, text in codes.items()}
        page = error_codes.page()
    assert raised_codes() - listed.keys() - error_codes.NO_ERRORS == set()
    assert SENTENCES.keys() >= error_codes.NO_ERRORS
    assert [code for code, text in listed.items() if not text or "%(" in text or re.search("[一-鿿]", text)] == []
    front = {refusals._CODES.get(status) or status_code(status) for status in refusals._WORDS}
    assert front <= listed.keys()
    (told,) = [tag["description"] for tag in spec["tags"] if tag["name"] == "errors"]
    assert re.findall(r"^\| `(\w+)` \|", told, re.MULTILINE) == re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)
    assert DOCS.read_text(encoding="utf-8") == page, "run `make messages`"
