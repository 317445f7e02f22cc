"""What /openapi.json says beyond what the views' schemas say: errors, headers, names of operations."""

import re
from typing import Any

from portal import error_codes
from portal.api import components
from portal.services import exports
from portal.transfers import OCTETS

_TEXT = """Turn data addresses into data. Log in for a token, submit a task, watch it, read its dataset.

Errors are `application/problem+json` (RFC 9457) with a stable `code`. Lists answer `items` and `next_cursor`.
Bodies are JSON in UTF-8, whatever their `Content-Type` says; an upload's is the file."""
_TAGS = {
    "auth": "Sign up, log in and out, tokens",
    "credentials": "Passwords, links from mails, and proving once more who one is",
    "users": "Your account, its log-ins, its history, its quota",
    "tasks": "Submit, list, watch, cancel, run again; the files of exports",
    "datasets": "List, describe, look at rows, remove",
    "uploads": "Files that are sent in place of an address",
    "admin": "For admins: people, everyone's tasks, how the portal stands",
}
_ERROR_TEXT = """What `code` of a problem and `error_code` of a task may be; more may be added.
{name} stands for a value.

"""

_ERRORS = {
    "400": "The body is no JSON that can be read, or the captcha was not accepted",
    "401": "No token, or one that is not good any more",
    "403": "Known, but something is asked for first; `code` says what",
    "404": "There is no such thing, or it is someone else's",
    "408": "The request did not arrive in time",
    "409": "Not possible as things stand",
    "412": "The file is another one than `If-Match` says",
    "413": "The body is too large",
    "414": "The address is longer than 8 KiB",
    "416": "The file is not so long",
    "422": "A field is wrong; `errors` names it",
    "429": "A limit was met; `Retry-After` says for how many seconds",
    "431": "The headers are too many or too large",
    "503": "Something the portal depends on is away; `Retry-After` says when to try again",
    "default": "Any other error",
}
_KEY = {"minLength": 1, "maxLength": 60}
_HEADERS = {
    ("post", "/api/v1/tasks"): ("Idempotency-Key", "For a day the same key answers the same task", _KEY),
    ("get", "/api/v1/tasks/{uuid}"): ("If-None-Match", "The ETag last seen", {}),
    ("get", "/api/v1/tasks/{uuid}/download"): ("Range", "Which bytes; `If-Range` with the ETag makes it safe", {}),
}
_TEXTUAL = {"type": "string"}
_LOCATION = {"Location": {"description": "Where the task is", "schema": {"type": "string", "format": "uri-reference"}}}
_QUOTA = {
    f"X-Quota-Tasks-{name}": {"description": text, "schema": {"type": "integer", "minimum": 0}}
    for name, text in {
        "Running": "How many of your tasks run",
        "Running-Limit": "How many may, unless workers are idle",
        "Waiting": "How many of your tasks wait",
        "Waiting-Limit": "How many may",
    }.items()
} | {
    f"X-Quota-Bytes-{name}": {"description": text, "schema": {"type": "integer", "minimum": 0}}
    for name, text in {
        "Kept": "Bytes of your datasets, exports and uploads",
        "Kept-Limit": "How many may be",
        "Fetched": "Bytes you took in during the last 24 hours",
        "Fetched-Limit": "How many may be",
    }.items()
}
_FILE = {
    "ETag": {"description": "The file's SHA-256 in hex", "schema": _TEXTUAL},
    "Repr-Digest": {"description": "SHA-256 of the whole file (RFC 9530)", "schema": _TEXTUAL},
    "Content-Disposition": {"description": "Its name", "schema": _TEXTUAL},
    "X-Row-Count": {"description": "Rows in it", "schema": {"type": "integer", "minimum": 0}},
}
_BYTES = {"schema": {"type": "string", "format": "binary"}}
_BINARY = {OCTETS: _BYTES}
_FILES = dict.fromkeys((OCTETS, *exports.MEDIA_TYPES), _BYTES)
_TOLD = {
    ("post", "/api/v1/tasks", "202"): _LOCATION | _QUOTA,
    ("get", "/api/v1/tasks", "200"): _QUOTA,
    ("get", "/api/v1/tasks/{uuid}", "200"): {"ETag": {"schema": _TEXTUAL}},
    ("get", "/api/v1/tasks/{uuid}", "304"): {"ETag": {"schema": _TEXTUAL}},
    ("post", "/api/v1/tasks/{uuid}/cancel", "202"): _QUOTA,
    ("post", "/api/v1/tasks/{uuid}/retry", "202"): _LOCATION | _QUOTA,
}
_TOLD |= {
    ("post", "/api/v1/datasets/{uuid}/fetch", "202"): _LOCATION,
    ("get", "/api/v1/tasks/{uuid}/download", "200"): _FILE,
    ("get", "/api/v1/tasks/{uuid}/download", "206"): _FILE | {"Content-Range": {"schema": _TEXTUAL}},
}
_WAIT = {"Retry-After": {"description": "Seconds", "schema": {"type": "integer", "minimum": 1}}}
_MORE = {
    ("post", "/api/v1/tasks/{uuid}/cancel"): ("409",),
    ("post", "/api/v1/tasks"): ("404", "409"),
    ("post", "/api/v1/tasks/{uuid}/retry"): ("409", "422"),
    ("post", "/api/v1/datasets/{uuid}/fetch"): ("409", "422"),
    ("post", "/api/v1/uploads"): ("400", "409", "413"),
    ("get", "/api/v1/tasks/{uuid}/download"): ("412", "416"),
    ("post", "/api/v1/auth/register"): ("409",),
    ("patch", "/api/v1/admin/users/{uuid}"): ("409",),
    ("post", "/api/v1/auth/login"): ("401",),
    ("post", "/api/v1/auth/login/sms"): ("401",),
    ("patch", "/api/v1/users/me"): ("403", "409"),
    ("put", "/api/v1/users/me/password"): ("403",),
    ("post", "/api/v1/users/me/email/verify"): ("409",),
    ("post", "/api/v1/auth/email/verify"): ("409",),
    ("post", "/api/v1/auth/refresh"): ("401",),
}


def complete(spec: dict[Any, Any] | str) -> dict[Any, Any] | str:
    """The description APIFlask made, with what it cannot know; YAML, which we do not serve, stays as it is."""
    if isinstance(spec, str):
        return spec
    spec["info"]["description"] = _TEXT
    spec["servers"] = [{"url": "/"}]
    spec["info"]["contact"] = {"name": "Those who run this portal"}
    spec["tags"] = [{"name": name, "description": text} for name, text in _TAGS.items()]
    spec["tags"].append({"name": "errors", "description": _ERROR_TEXT + error_codes.as_markdown()})
    spec["components"]["schemas"] = components.schemas()
    for path, operations in spec["paths"].items():
        for method, operation in operations.items():
            _complete(method, path, operation)
    components.drop_unused(spec)
    return spec


def _complete(method: str, path: str, operation: dict[str, Any]) -> None:
    told = filter(None, (operation.get("summary"), operation.get("description")))
    operation |= {"description": "\n\n".join(told), "summary": _summary(operation["operationId"])}
    operation.setdefault("security", [])  # else a generated client would want a token for the log-in
    for parameter in operation.get("parameters", ()):
        _tidy(parameter)
    responses = operation["responses"]
    for status in [status for status in responses if status[0] in "45"]:
        del responses[status]
    for status in _statuses(method, path, operation):
        content = {"application/problem+json": {"schema": components.reference("Problem")}}
        responses[status] = {"description": _ERRORS[status], "content": content}
        if status in ("408", "429", "503"):
            responses[status]["headers"] = _WAIT
    if (method, path) in _HEADERS:
        name, text, limits = _HEADERS[method, path]
        schema = {"type": "string", **limits}
        header = {"name": name, "in": "header", "required": False, "description": text, "schema": schema}
        operation.setdefault("parameters", []).append(header)
    if (method, path) == ("get", "/api/v1/tasks/{uuid}"):
        responses["304"] = {"description": "Nothing has changed since"}
    if path.endswith("/download"):
        responses |= {"200": {"description": "The file", "content": _FILES}}
        responses |= {"206": {"description": "The part that was asked for", "content": _FILES}}
        responses |= {"304": {"description": "It is the same"}}
    if (method, path) == ("post", "/api/v1/uploads"):
        operation["requestBody"] = {"content": _BINARY}
    if "requestBody" in operation:
        operation["requestBody"]["required"] = True  # else a generated client may leave it out
    for status, response in responses.items():
        if headers := _TOLD.get((method, path, status)):
            response["headers"] = headers


def _tidy(parameter: dict[str, Any]) -> None:
    """What stands in an address is a text: none is null; all that stand in a path are ids."""
    schema = parameter["schema"]
    schema.pop("title", None)
    if parameter["in"] == "path":
        schema["format"] = "uuid"
    if "anyOf" in schema:
        (only,) = [each for each in schema.pop("anyOf") if each != {"type": "null"}]
        schema |= only
        del schema["default"]
    if text := schema.pop("description", None):
        parameter["description"] = text
    if parameter["name"] == "where":
        schema |= {"contentMediaType": "application/json", "contentSchema": components.reference("Conditions")}


def _summary(operation_id: str) -> str:
    """`listAllTasks` as people write it."""
    words = re.sub(r"(?=[A-Z])", " ", operation_id).lower().replace("sms", "SMS")
    return words[0].upper() + words[1:]


def _statuses(method: str, path: str, operation: dict[str, Any]) -> list[str]:
    statuses = {"408", "414", "429", "431", "503", "default", *_MORE.get((method, path), ())}
    if "requestBody" in operation:
        statuses |= {"400", "413", "422"}
    if any(parameter["in"] == "query" for parameter in operation.get("parameters", ())):
        statuses.add("422")
    if operation.get("security"):
        statuses.add("401")
    if path.startswith("/api/v1/admin/"):
        statuses |= {"403", "404"}
    if "{" in path:
        statuses.add("404")
    return sorted(statuses)
