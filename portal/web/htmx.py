"""The only place that knows htmx's headers (htmx 4; docs/htmx.md)."""

import json
from typing import Any
from urllib.parse import urlsplit

from flask import Response, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

VARY = "HX-Request, Cookie, Accept-Language"


def is_htmx() -> bool:
    return request.headers.get("HX-Request") == "true"


def current_path() -> str | None:
    """The path of the page that htmx asks from."""
    try:
        parts = urlsplit(request.headers.get("HX-Current-URL", ""))
    except ValueError:
        return None
    return parts.path + (f"?{parts.query}" if parts.query else "") or None


def go(target: str, *, status: int = 200) -> Response:
    """Have the browser load another page."""
    response = Response(status=status)
    response.headers["HX-Redirect"] = target
    response.headers["Vary"] = VARY
    return response


def swap(
    fragment: str,
    *,
    otherwise: str,
    values: dict[str, Any] | None = None,
    **context: Any,
) -> ResponseReturnValue:
    """The changed fragment for htmx; without JavaScript, a redirect to the endpoint that shows it."""
    if not is_htmx():
        return redirect(url_for(otherwise, **(values or {})), 303)
    return part(fragment, **context)


def part(fragment: str, **context: Any) -> Response:
    """A fragment alone, with no blanks around it: a morph would leave them in the page, each time."""
    response = make_response(render_template(fragment, **context).strip())
    response.headers["Vary"] = VARY
    return response


def tell(response: Response, event: str, **detail: Any) -> Response:
    """Let the page know of an event: a `CustomEvent` of this name, once the answer is in the page."""
    response.headers["HX-Trigger"] = json.dumps({event: detail})
    return response
