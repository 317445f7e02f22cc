"""What every answer has in common: request id, security headers, errors in the form of the door they leave by."""

import secrets
import time
from urllib.parse import quote

import psycopg2
from flask import Flask, Response, g, request
from loguru import logger
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as BaseResponse

from portal import api, postgres, web
from portal.errors import Denied, PortalError, Unavailable
from portal.extensions import db
from portal.incoming import BodyAwaited
from portal.services import denials
from portal.services.events import Visitor

POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data:",
    "font-src": "'self'",
    "connect-src": "'self'",
    "worker-src": "'self'",
    "form-action": "'self'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
}


def init_app(app: Flask, *, secure: bool) -> None:
    """Register the hooks; with `secure` browsers are told to use HTTPS only."""
    app.before_request(_begin)
    app.teardown_appcontext(_let_go)

    @app.after_request
    def finish(response: Response) -> Response:
        return _finish(response, secure=secure)

    app.register_error_handler(PortalError, _of_portal_error)
    app.register_error_handler(BodyAwaited, lambda _: Response(status=100))  # the front alone sees it
    app.register_error_handler(HTTPException, _of_http)
    app.register_error_handler(SQLAlchemyError, _of_database)
    app.register_error_handler(psycopg2.Error, _of_database)
    app.register_error_handler(Exception, _of_bug)


def _let_go(_: BaseException | None = None) -> None:
    try:
        db.session.remove()
    except (SQLAlchemyError, psycopg2.Error):
        db.session.registry.clear()


def _begin() -> None:
    g.request_id = secrets.token_hex(8)
    g.began = time.perf_counter()


def _finish(response: Response, *, secure: bool) -> Response:
    policy = {**POLICY, **g.get("policy", {})}
    headers = response.headers
    headers["Content-Security-Policy"] = "; ".join(f"{name} {value}" for name, value in policy.items())
    headers["X-Content-Type-Options"] = "nosniff"
    headers["Referrer-Policy"] = "same-origin"
    headers["Cross-Origin-Opener-Policy"] = "same-origin"
    headers["Cross-Origin-Resource-Policy"] = "same-origin"
    headers["Permissions-Policy"] = "camera=(), geolocation=(), microphone=()"
    headers["X-Request-Id"] = g.get("request_id", "")
    if secure:
        headers["Strict-Transport-Security"] = "max-age=31536000; includeSubDomains"
    if request.endpoint != "static":
        headers.setdefault("Cache-Control", "no-store")
        logger.bind(request=g.get("request_id")).info(
            "{} {} {} {:.0f} ms",
            request.method,
            quote(request.path),
            response.status_code,
            (time.perf_counter() - g.get("began", time.perf_counter())) * 1000,
        )
    return response


def _is_api() -> bool:
    return request.path.startswith(("/api/", "/health/"))


def _roll_back() -> None:
    try:
        db.session.rollback()
    except (SQLAlchemyError, psycopg2.Error):  # the server went away: it forgets the transaction by itself
        _let_go()


def _of_portal_error(error: PortalError) -> BaseResponse | tuple[str, int]:
    _roll_back()
    if isinstance(error, Denied):
        visitor = Visitor(request.remote_addr or "", request.user_agent.string)
        denials.note(error, visitor, f"{request.method} {request.url_rule}")
    return api.errors.of_portal_error(error) if _is_api() else web.errors.of_portal_error(error)


def _of_http(error: HTTPException) -> BaseResponse:
    status = error.code or 500
    if status < 400:
        return error.get_response()  # a redirect that the router asks for
    headers = {name: value for name, value in error.get_headers() if name in ("Allow", "Content-Range", "Retry-After")}
    return api.errors.of_status(status, headers) if _is_api() else web.errors.of_status(status, headers)


def _of_database(error: Exception) -> BaseResponse | tuple[str, int]:
    if not (code := postgres.outage(error)):
        return _of_bug(error)
    logger.bind(request=g.get("request_id")).error("database: {}", type(getattr(error, "orig", error)).__name__)
    return _of_portal_error(Unavailable(code, retry_after=60 if code == "storage_full" else 5))


def _of_bug(error: Exception) -> BaseResponse | tuple[str, int]:
    _roll_back()
    logger.bind(request=g.get("request_id")).opt(exception=error).error("unhandled")
    return api.errors.of_status(500) if _is_api() else web.errors.of_status(500)
