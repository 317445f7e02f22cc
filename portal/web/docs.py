"""The JSON API's description, and two ways to read it."""

import secrets
from typing import Any, cast

from apiflask import APIFlask
from flask import Blueprint, Response, current_app, g, render_template, url_for

from portal.web import guards

bp = Blueprint("docs", __name__)


@bp.get("/openapi.json")
@guards.public
def openapi() -> Any:
    """OpenAPI 3.1."""
    app = cast(APIFlask, current_app)
    if "openapi" not in app.extensions:  # a large text, the same for all
        app.extensions["openapi"] = app.json.dumps(app.spec)
    answer = Response(app.extensions["openapi"], mimetype="application/json")
    answer.headers["Cache-Control"] = "public, max-age=300"
    return answer


@bp.get("/docs")
@guards.public
def swagger() -> str:
    """Swagger UI."""
    return render_template("docs/swagger.html", spec_url=url_for(".openapi"))


@bp.get("/redoc")
@guards.public
def redoc() -> str:
    """ReDoc; it makes its own style sheet, which the nonce allows, and searches in a worker of its own."""
    nonce = secrets.token_urlsafe(16)
    g.policy = {"style-src": f"'self' 'nonce-{nonce}'", "worker-src": "'self' blob:"}
    return render_template("docs/redoc.html", spec_url=url_for(".openapi"), csp_nonce=nonce)
