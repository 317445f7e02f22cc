"""Who may enter: each view of the HTML door carries one of these marks."""

import functools
import hmac
import ipaddress
from collections.abc import Callable
from hashlib import sha256
from typing import Any, TypeVar, cast
from uuid import UUID

from flask import abort, g, redirect, request, session, url_for
from flask_login import UserMixin, current_user, login_user

from portal.errors import Denied, NotFound
from portal.extensions import db, settings
from portal.models import LoginSession, User
from portal.services import sessions
from portal.services.events import Visitor
from portal.web import htmx

PROXIED = (
    "Forwarded",
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "X-Forwarded-Proto",
    "X-Real-Ip",
    "CF-Connecting-IP",
    "Via",
)
SAFE = ("GET", "HEAD", "OPTIONS", "TRACE")
View = TypeVar("View", bound=Callable[..., Any])


class Member(UserMixin):  # type: ignore[misc]  # Flask-Login has no types
    """Whoever is logged in, for Flask-Login: the cookie carries the log-in's id, not the person's."""

    def __init__(self, login: LoginSession) -> None:
        self.login = login
        self.user = login.user

    def get_id(self) -> str:
        return str(self.login.id)


def load_member(session_id: str) -> Member | None:
    try:
        login = sessions.find_live(UUID(session_id), kind="browser", address=request.remote_addr or "")
    except ValueError:
        return None
    db.session.commit()  # that it was used
    if login is None:
        forget()
        return None
    return Member(login)


def forget() -> None:
    """Make this browser a stranger's; its language stays."""
    locale = session.get("locale")
    session.clear()
    session["locale"] = locale


def log_in(login: LoginSession) -> None:
    """Give this browser a new session that carries the log-in; what was in the old one is gone."""
    kept = session.get("locale")
    session.clear()
    session.permanent = True
    session["locale"] = kept or login.user.locale
    session["username"] = login.user.username
    session["is_admin"] = login.user.is_admin  # for the menu only; a change of role ends the log-in
    login_user(Member(login))


def user() -> User:
    """Whoever is logged in; only behind `member_required`."""
    return cast(Member, current_user).user


def login_session() -> LoginSession:
    return cast(Member, current_user).login


def visitor() -> Visitor:
    """Who asks, as far as the connection tells."""
    return Visitor(request.remote_addr or "", request.user_agent.string)


def public(view: View) -> View:
    """Anyone may enter."""
    view.guard = "public"  # type: ignore[attr-defined]
    return view


def member_required(view: View) -> View:
    """Anyone logged in may enter; others are shown the log-in page, and come back."""

    @functools.wraps(view)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        if not current_user.is_authenticated:
            return ask_to_log_in()
        return view(*args, **kwargs)

    guarded.guard = "member"  # type: ignore[attr-defined]
    return cast(View, guarded)


def fresh_required(view: View) -> View:
    """Behind `member_required`: whoever has not proved lately that it is them is asked to, and comes back."""

    @functools.wraps(view)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        return view(*args, **kwargs) if sessions.is_fresh(login_session()) else _ask_to_confirm()

    return cast(View, guarded)


def _ask_to_confirm() -> Any:
    """To the page that asks for the password and the second factor, and back to this address, which must take a GET."""
    target = url_for("credentials.confirm", next=request.path)
    return htmx.go(target) if htmx.is_htmx() else redirect(target, 303)


def admin_required(view: View) -> View:
    """Admins whose log-in has a second factor; an admin without one sets it up, to others there is nothing here.

    Whatever changes something wants a fresh proof of who it is, too.
    """

    @functools.wraps(view)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        if not current_user.is_authenticated or not user().is_admin:
            raise Denied(user().id if current_user.is_authenticated else None)
        if login_session().two_factor_at is None:
            return redirect(url_for("factors.show"), 303)
        if request.method not in SAFE and not sessions.is_fresh(login_session()):
            return _ask_to_confirm()
        return view(*args, **kwargs)

    guarded.guard = "admin"  # type: ignore[attr-defined]
    return cast(View, guarded)


def member_polls(view: View) -> View:
    """A log-in that the view's service checks itself, without SQL; `g.session_id` names it."""

    @functools.wraps(view)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        try:
            g.session_id = UUID(session.get("_user_id", ""))
        except ValueError:
            return ask_to_log_in()
        return view(*args, **kwargs)

    guarded.guard = "member"  # type: ignore[attr-defined]
    return cast(View, guarded)


def outbox_reader(view: View) -> View:
    """Local mode, from this machine, asked for by a name of this machine, through no proxy, with the outbox's key.

    `make run` prints the key in an address; its page keeps it in a cookie, so that the address stays free of it.
    """

    @functools.wraps(view)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        host = (request.host.rpartition(":")[0] or request.host).strip("[]").lower()
        forwarded = any(name in request.headers for name in PROXIED)
        if (
            not settings().is_local
            or forwarded
            or not _is_loopback(request.remote_addr or "")
            or not (host == "localhost" or _is_loopback(host))
        ):
            abort(404)
        if not _has_outbox_key():
            raise NotFound("outbox_closed")
        return view(*args, **kwargs)

    guarded.guard = "outbox"  # type: ignore[attr-defined]
    return cast(View, guarded)


def _has_outbox_key() -> bool:
    """Whether whoever asks has the key of this instance's outbox: in a cookie, the address or a header."""
    key = settings().outbox_key.encode()
    shown = (
        request.cookies.get(outbox_cookie(), ""),
        request.args.get("key", ""),
        request.headers.get("X-Outbox-Key", ""),
    )
    return any(hmac.compare_digest(each.encode(errors="replace"), key) for each in shown)


def outbox_cookie() -> str:
    """Its name: of one instance, for a browser sends cookies to every port of a machine."""
    return f"outbox-{sha256(settings().outbox_key.encode()).hexdigest()[:8]}"


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def ask_to_log_in() -> Any:
    """To the log-in page, and back afterwards; a poll tells the browser to go there."""
    if htmx.is_htmx():
        return htmx.go(url_for("accounts.login", next=htmx.current_path()), status=401)
    target = request.full_path.rstrip("?") if request.method == "GET" else None
    return redirect(url_for("accounts.login", next=target), 303)


def is_foreign() -> bool:
    """Whether another site's page makes this browser send something; programs and old browsers do not say."""
    if request.method in SAFE:
        return False
    # Behind a proxy that nobody told us of, the browser's https is our http.
    ours = (f"{request.scheme}://{request.host}", settings().public_url.rstrip("/"))
    site = request.headers.get("Sec-Fetch-Site", "none")
    return request.headers.get("Origin", ours[0]) not in ours or site not in ("same-origin", "none")


def safe_next(target: str | None) -> str | None:
    """The path to go on to after logging in, if it is one of ours."""
    if not target or not target.startswith("/") or target.startswith(("//", "/\\")):
        return None
    return target if target.isprintable() and "\\" not in target else None
