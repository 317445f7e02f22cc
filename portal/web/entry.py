"""From a proof of who one is to a log-in: the second step, if there is one, and the browser that is known again."""

import hmac
import secrets
from hashlib import sha256
from uuid import UUID

from flask import Response, make_response, redirect, request, session, url_for
from flask_login import current_user
from itsdangerous import BadSignature, URLSafeSerializer, URLSafeTimedSerializer

from portal.extensions import db, settings
from portal.models import User
from portal.services import accounts, sessions
from portal.web import guards

HALF_SECONDS = 300
DEVICE_SECONDS = 180 * 86400


def enter(user: User) -> Response:
    """Log in, or ask for the second factor first; until that is given there is no log-in at all."""
    if not user.has_second_factor:
        return _start(user)
    db.session.commit()
    session["half_login"] = _halves().dumps([str(user.uuid), _print_of(user)])
    return make_response(redirect(url_for("factors.ask", next=request.args.get("next")), 303))


def half_entered() -> User | None:
    """Whoever gave the first proof in this browser within the last five minutes."""
    try:
        uuid, printed = _halves().loads(session.get("half_login", ""), max_age=HALF_SECONDS)
    except BadSignature:
        return None
    user = accounts.find_active(UUID(uuid))
    # A password that was changed in between undoes the first proof.
    return user if user and user.has_second_factor and hmac.compare_digest(printed, _print_of(user)) else None


def enter_with_factor(user: User) -> Response:
    return _start(user, two_factor=True)


def _start(user: User, *, two_factor: bool = False) -> Response:
    if current_user.is_authenticated:  # this browser's log-in before this one
        sessions.end(guards.user(), guards.login_session().id, "logout", visitor=guards.visitor())
    is_known = accounts.is_device_of(user, known_device() or "")
    visitor = guards.visitor()
    login = sessions.start(user, kind="browser", visitor=visitor, two_factor=two_factor, is_known=is_known)
    db.session.commit()
    guards.log_in(login)
    answer = make_response(redirect(guards.safe_next(request.args.get("next")) or url_for("tasks.index"), 303))
    remember(answer, user)
    return answer


def known_device() -> str | None:
    """What this browser was given when somebody logged in here (`accounts.device_of`). None for a strange one."""
    try:
        (device,) = _devices().loads(request.cookies.get(_cookie(), ""))
    except (BadSignature, ValueError, TypeError):
        return None
    return str(device)


def remember(answer: Response, user: User) -> None:
    """Let this browser be a known one, until the password changes: then those who remain are remembered anew."""
    device = known_device() or ""
    kept = device if accounts.is_device_of(user, device) else accounts.device_of(user, secrets.token_urlsafe(16))
    value, secure = _devices().dumps([kept]), not settings().is_local
    answer.set_cookie(_cookie(), value, max_age=DEVICE_SECONDS, secure=secure, httponly=True, samesite="Lax")


def _cookie() -> str:
    return "device" if settings().is_local else "__Host-device"


def _devices() -> URLSafeSerializer:
    return URLSafeSerializer(settings().derived("device"), salt="device")


def _halves() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(settings().derived("half-login"), salt="half-login")


def _print_of(user: User) -> str:
    return hmac.new(settings().derived("half-login"), user.hashed_password.encode(), sha256).hexdigest()[:32]
