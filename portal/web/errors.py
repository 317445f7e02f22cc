"""Errors as pages, or as a short note for htmx; without the database or the session."""

from http import HTTPStatus

from flask import make_response, render_template
from werkzeug.wrappers import Response

from portal.errors import PortalError, Unauthorized
from portal.web import guards, htmx
from portal.wording import sentence, status_sentence


def of_portal_error(error: PortalError) -> Response:
    if isinstance(error, Unauthorized):
        answer: Response = make_response(guards.ask_to_log_in())
        return answer
    headers = {"Retry-After": str(error.retry_after)} if error.retry_after else {}
    return _answer(error.status, sentence({"code": error.code, "params": error.params}), headers)


def of_status(status: int, headers: dict[str, str] | None = None) -> Response:
    return _answer(status, status_sentence(status), headers or {})


def _answer(status: int, message: str, headers: dict[str, str]) -> Response:
    template = "errors/_partial.html" if htmx.is_htmx() else "errors/page.html"
    title = HTTPStatus(status).phrase
    answer = make_response(render_template(template, status=status, title=title, message=message), status)
    answer.headers.update({**headers, "Vary": htmx.VARY})
    return answer
