"""Errors as pages, or as a short note for htmx; without the database or the session."""

from flask import g, make_response, render_template
from flask.globals import request_ctx
from flask_babel import lazy_gettext as _
from werkzeug.wrappers import Response

from portal.errors import PortalError, Unauthorized
from portal.web import guards, htmx
from portal.wording import sentence, status_sentence

TITLES = {
    403: _("Not allowed"),
    404: _("Page not found"),
    409: _("Not possible now"),
    413: _("Too large"),
    429: _("Too many requests"),
    500: _("Something went wrong"),
    503: _("Away for a moment"),
}
REFUSED = _("That did not work")


def of_portal_error(error: PortalError) -> Response:
    if isinstance(error, Unauthorized):
        guards.forget()
        answer: Response = make_response(guards.ask_to_log_in())
        return answer
    headers = {"Retry-After": str(error.retry_after)} if error.retry_after else {}
    return _answer(error.status, sentence({"code": error.code, "params": error.params}), headers)


def of_status(status: int, headers: dict[str, str] | None = None) -> Response:
    return _answer(status, status_sentence(status), headers or {})


def _answer(status: int, message: str, headers: dict[str, str]) -> Response:
    if request_ctx.url_adapter is None:  # a Host that is not ours, or is none: no address can be made for a page
        return Response(message, status, headers, mimetype="text/plain")
    template = "errors/_partial.html" if htmx.is_htmx() else "errors/page.html"
    page = render_template(
        template,
        status=status,
        title=TITLES.get(status, REFUSED),
        message=message,
        request_id=g.get("request_id") if status >= 500 else None,
    )
    answer = make_response(page, status)
    answer.headers.update({**headers, "Vary": htmx.VARY})
    return answer
