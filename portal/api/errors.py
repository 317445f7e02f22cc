"""Every error of the JSON door as `application/problem+json` (RFC 9457)."""

from http import HTTPStatus
from typing import Any

from apiflask import HTTPError
from flask import Response, current_app, g, make_response, request

from portal.errors import PortalError, status_code, status_title
from portal.wording import sentence, status_sentence


def problem(
    status: int,
    code: str,
    detail: str,
    *,
    errors: list[dict[str, str]] | None = None,
    headers: dict[str, str] | None = None,
) -> Response:
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": status_title(status),
        "status": status,
        "detail": detail,
        "instance": request.path,
        "code": code,
        "request_id": g.get("request_id", ""),
        "errors": errors or [],
    }
    response = make_response(current_app.json.response(body))
    response.status_code = status
    response.headers.update(headers or {})
    response.headers["Content-Type"] = "application/problem+json"
    response.headers["Cache-Control"] = "no-store"
    if status == HTTPStatus.UNAUTHORIZED:
        response.headers["WWW-Authenticate"] = "Bearer" if code == "token_missing" else 'Bearer error="invalid_token"'
    return response


def of_portal_error(error: PortalError) -> Response:
    detail = sentence({"code": error.code, "params": error.params})
    errors = [{"field": error.field, "message": detail}] if error.field else []
    headers = {"Retry-After": str(error.retry_after)} if error.retry_after else {}
    return problem(error.status, error.code, detail, errors=errors, headers=headers)


def of_status(status: int, headers: dict[str, str] | None = None) -> Response:
    """For what Flask itself refuses: with a 400, the body."""
    is_body = status == HTTPStatus.BAD_REQUEST and request.method in ("POST", "PUT", "PATCH")
    detail = sentence({"code": "json_expected"}) if is_body else status_sentence(status)
    return problem(status, status_code(status), detail, headers=headers)


def of_validation(error: HTTPError) -> Response:
    """A body or query that does not fit its model; what else APIFlask refuses goes by its status."""
    if not isinstance(error.detail, dict):
        return of_status(error.status_code)
    found = [
        {"field": field, "message": text}
        for fields in error.detail.values()
        for field, texts in fields.items()
        for text in (texts if isinstance(texts, list) else [texts])
    ]
    return problem(422, "invalid", sentence({"code": "invalid", "params": {}}), errors=found)
