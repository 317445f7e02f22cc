"""Who may call: each view of the JSON door carries one of these marks."""

import functools
from collections.abc import Callable
from typing import Any, TypeVar
from uuid import UUID

import jwt
from flask import g, request
from flask_jwt_extended import create_access_token, create_refresh_token, decode_token
from flask_jwt_extended.exceptions import JWTExtendedException

from portal import limits
from portal.errors import Denied, Forbidden, Unauthorized
from portal.extensions import db
from portal.models import LoginSession, User
from portal.services import sessions
from portal.services.events import Visitor

View = TypeVar("View", bound=Callable[..., Any])
SAFE = ("GET", "HEAD", "OPTIONS")
REQUIRED = {"exp", "iat", "jti", "type", "sid", "iss", "aud"}


def public(view: View) -> View:
    """Anyone may call."""
    view.guard = "public"  # type: ignore[attr-defined]
    return view


def bearer_required(view: View) -> View:
    """A live log-in's access token; `login()` and `user()` are there."""

    @functools.wraps(view)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        found = sessions.find_live(header_session(), kind="api", address=request.remote_addr or "")
        if found is None:
            raise Unauthorized("token_invalid")
        db.session.commit()  # that it was used
        g.login = found
        return view(*args, **kwargs)

    guarded.guard = "bearer"  # type: ignore[attr-defined]
    return guarded  # type: ignore[return-value]


def admin_bearer(view: View) -> View:
    """An admin's access token, from a log-in with a second factor; to all others there is nothing here.

    Whatever changes something wants a log-in, or an `/auth/confirm`, of the last ten minutes, too.
    """

    @functools.wraps(view)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        if not user().is_admin:
            raise Denied(user().id)
        if login().two_factor_at is None:
            raise Forbidden("two_factor_required")
        if request.method not in SAFE:
            sessions.require_fresh(login())
        return view(*args, **kwargs)

    marked = bearer_required(guarded)
    marked.guard = "admin"  # type: ignore[attr-defined]
    return marked  # type: ignore[return-value]


def bearer_polls(view: View) -> View:
    """An access token whose log-in the view itself checks, without SQL, in the service it calls."""

    @functools.wraps(view)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        g.session_id = header_session()
        return view(*args, **kwargs)

    guarded.polls = True  # type: ignore[attr-defined]
    guarded.guard = "bearer"  # type: ignore[attr-defined]
    return guarded  # type: ignore[return-value]


def login() -> LoginSession:
    found: LoginSession = g.login
    return found


def user() -> User:
    return login().user


def visitor() -> Visitor:
    """Who calls, as far as the connection tells."""
    return Visitor(request.remote_addr or "", request.user_agent.string)


def header_session() -> UUID:
    """The log-in that the request's access token names; `Unauthorized` unless all of the token is right."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise Unauthorized("token_missing")
    return opened(token.strip(), "access")[0]


def opened(token: str, kind: str) -> tuple[UUID, str]:
    """The log-in's id and the token's own, of an access or refresh token; else `Unauthorized`."""
    try:
        claims = decode_token(token)
        # The library fills in a type and an id where a token has none: look at what was really sent.
        sent = jwt.decode(token, options={"verify_signature": False})
        if not sent.keys() >= REQUIRED or claims["type"] != kind:
            raise Unauthorized("token_invalid")
        if claims["exp"] - claims["iat"] > limits.REFRESH_SECONDS:  # none of ours lives so long
            raise Unauthorized("token_invalid")
        return UUID(claims["sid"]), str(claims["jti"])
    except (
        jwt.PyJWTError,
        JWTExtendedException,
        ValueError,
        TypeError,
        AttributeError,
        OverflowError,
    ):
        raise Unauthorized("token_invalid") from None


def token_pair(found: LoginSession) -> dict[str, Any]:
    """A new access token, and the refresh token that the log-in carries now."""
    who, claims = str(found.user.uuid), {"sid": str(found.id)}
    return {
        "access_token": create_access_token(who, additional_claims=claims),
        "refresh_token": create_refresh_token(who, additional_claims={**claims, "jti": found.refresh_jti}),
        "token_type": "Bearer",
        "expires_in": limits.ACCESS_SECONDS,
    }
