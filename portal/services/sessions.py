"""Log-ins: start, find, rotate, end. One row serves cookie and tokens, so ending it stops both at the next call."""

import secrets
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import delete, func, or_, select, update

from portal import access, limits
from portal.errors import Denied, Forbidden, Invalid, NotFound, PortalError, Unauthorized
from portal.extensions import RedisError, db
from portal.models import LoginSession, User
from portal.services import after_commit, events, live, messages, passwords, security_notices, windows
from portal.services.events import Visitor

_USED_EVERY = timedelta(minutes=1)
_DISTRUSTED = "password"  # why a log-in ended, and why it makes no device known: it may be whoever the change kept out
_LIFE = {"browser": limits.BROWSER_SESSION_SECONDS, "api": limits.REFRESH_SECONDS}


def start(user: User, *, kind: str, visitor: Visitor, two_factor: bool = False, is_known: bool = False) -> LoginSession:
    """A new log-in; an API log-in gets its first refresh token's id.

    The owner is told of a device that is new: neither `is_known`, nor like one that logged in lately.
    `Unauthorized` when the password was changed or the account switched off since `user` was read.
    """
    # Held until the commit: whoever ends all log-ins waits for this one, and ends it too.
    now = db.session.execute(
        select(User.hashed_password, User.is_active).where(User.id == user.id).with_for_update(read=True)
    ).one_or_none()
    if now is None or tuple(now) != (user.hashed_password, True):
        raise Unauthorized("credentials_wrong")
    is_known = is_known or _has_logged_in_so(user, visitor)
    login = LoginSession(
        id=uuid4(),
        user=user,
        kind=kind,
        user_agent=_said(visitor),
        address=visitor.address[:45],
        expires_at=datetime.now(UTC) + timedelta(seconds=_LIFE[kind]),
        refresh_jti=str(uuid4()) if kind == "api" else None,
        two_factor_at=func.now() if two_factor else None,
    )
    db.session.add(login)
    db.session.flush()
    events.record("login.succeeded", visitor, user_id=user.id, session=str(login.id), by=kind)
    if not is_known:
        security_notices.tell(user, "login.new_device", visitor=visitor, session=str(login.id))
    return login


def _has_logged_in_so(user: User, visitor: Visitor) -> bool:
    """Whether this browser or program logged in from this network before, or the account was made a moment ago."""
    # Not before the password was changed: that may have been whoever it was changed for.
    if datetime.now(UTC) - user.created_at < timedelta(seconds=limits.SIGN_UP_SECONDS):
        return True
    alike = LoginSession.user_id == user.id, LoginSession.user_agent == _said(visitor)
    trusted = LoginSession.end_reason.is_distinct_from(_DISTRUSTED)
    places = db.session.scalars(select(LoginSession.address).where(*alike, trusted).distinct().limit(1000))
    here = messages.network(visitor.address)
    return any(messages.network(place) == here for place in places)


def _said(visitor: Visitor) -> str:
    return visitor.user_agent[:300].replace("\x00", "")


def is_fresh(login: LoginSession) -> bool:
    """Whether the person proved lately that it is them: before they change what protects the account."""
    return datetime.now(UTC) - login.fresh_at < timedelta(seconds=limits.FRESH_SECONDS)


def require_fresh(login: LoginSession) -> None:
    """Raises `Forbidden("fresh_login_required")` unless `is_fresh`."""
    if not is_fresh(login):
        raise Forbidden("fresh_login_required")


def confirm(login: LoginSession, password: str, *, visitor: Visitor) -> None:
    """Make a log-in fresh by the password; `Invalid`, or `TooMany` after ten tries in five minutes."""
    user, key, share = login.user, f"confirm:{login.user_id}", secrets.token_hex(8)
    stored = user.hashed_password
    windows.take({key: limits.CONFIRM_PER_USER}, share=share, code="login_too_many")
    db.session.rollback()  # hold no connection while bcrypt works
    try:
        with passwords.place(visitor):
            right = passwords.matches(password, stored)
    except PortalError:  # not compared, so not counted
        windows.give_back([key], share)
        raise
    if not right:
        events.record_now("login.failed", visitor, user_id=user.id, at="confirm")
        raise Invalid("password_wrong", field="password")
    windows.give_back([key], share)
    db.session.execute(update(LoginSession).where(LoginSession.id == login.id).values(fresh_at=func.now()))
    events.record("session.confirmed", visitor, user_id=user.id, session=str(login.id))


def find_live(session_id: UUID, *, kind: str, address: str = "") -> LoginSession | None:
    """The log-in with its user, if neither has ended; notes once a minute that it was used, and from where."""
    login = db.session.scalar(
        select(LoginSession)
        .join(LoginSession.user)
        .where(
            LoginSession.id == session_id,
            LoginSession.kind == kind,
            LoginSession.ended_at.is_(None),
            LoginSession.expires_at > func.now(),
            User.is_active,
        )
    )
    if login and datetime.now(UTC) - login.last_used_at > _USED_EVERY:
        login.last_used_at = datetime.now(UTC)
        login.address = address[:45] or login.address
    return login


def identity(login: LoginSession) -> dict[str, Any]:
    """What a poll must know of the person behind a log-in."""
    return {"user_id": login.user_id, "kind": login.kind}


def list_live(user: User) -> Sequence[LoginSession]:
    """The user's live log-ins, last used first."""
    return db.session.scalars(
        select(LoginSession)
        .where(
            LoginSession.user_id == user.id,
            LoginSession.ended_at.is_(None),
            LoginSession.expires_at > func.now(),
        )
        .order_by(LoginSession.last_used_at.desc(), LoginSession.id)
    ).all()


def rotate(session_id: UUID, jti: str, *, visitor: Visitor) -> LoginSession:
    """Use a refresh token once: the log-in then carries the id of the next one.

    The token before it is good for 10 s more (a lost answer, two tabs). An older one ends the log-in; the caller must
    commit also when `Unauthorized` is raised.
    """
    login = db.session.scalar(
        select(LoginSession)
        .where(LoginSession.id == session_id, LoginSession.kind == "api")
        .with_for_update(of=LoginSession)
        .execution_options(populate_existing=True)
    )
    now = datetime.now(UTC)
    if login is None or login.ended_at or login.expires_at <= now or not login.user.is_active:
        raise Unauthorized("token_invalid")
    if jti == login.refresh_jti:
        login.refresh_jti_before, login.refresh_jti, login.rotated_at = (
            jti,
            str(uuid4()),
            now,
        )
        events.record("token.refreshed", visitor, user_id=login.user_id, session=str(login.id))
    elif not _within_grace(login, jti, now):
        _end([login], "token_reuse")
        security_notices.tell(login.user, "token.reused", visitor=visitor, session=str(login.id))
        raise Unauthorized("token_reuse")
    login.last_used_at = now
    login.expires_at = now + timedelta(seconds=limits.REFRESH_SECONDS)
    db.session.flush()
    return login


def _within_grace(login: LoginSession, jti: str, now: datetime) -> bool:
    grace = timedelta(seconds=limits.REFRESH_GRACE_SECONDS)
    return jti == login.refresh_jti_before and login.rotated_at is not None and now - login.rotated_at <= grace


def end(user: User, session_id: UUID, reason: str = "ended", *, visitor: Visitor) -> None:
    """End one log-in of the user's; `NotFound` for anyone else's."""
    login = db.session.get(LoginSession, session_id)
    if login is None or login.ended_at:
        raise NotFound
    if not access.may_end_session(user, login):
        raise Denied(user.id)
    _end([login], reason)
    events.record("session.ended", visitor, user_id=user.id, session=str(login.id), reason=reason)


def end_all(
    user: User,
    reason: str = "ended",
    *,
    visitor: Visitor,
    but: LoginSession | None = None,
    actor_id: int | None = None,
) -> int:
    """End every log-in of the user's, but one if it is named; how many."""
    # A log-in that is being made at this moment waits for the row, or is seen here.
    db.session.execute(select(User.id).where(User.id == user.id).with_for_update(key_share=True))
    logins = [login for login in list_live(user) if login is not but]
    _end(logins, reason)
    events.record("session.ended_all", visitor, user_id=user.id, actor_id=actor_id, reason=reason)
    return len(logins)


def end_for_password(user: User, *, visitor: Visitor, but: LoginSession | None = None) -> None:
    """End every log-in but one after the password was changed; none that ended before makes a device known now."""
    end_all(user, _DISTRUSTED, visitor=visitor, but=but)
    over = or_(LoginSession.ended_at.is_not(None), LoginSession.expires_at <= func.now())
    db.session.execute(update(LoginSession).where(LoginSession.user_id == user.id, over).values(end_reason=_DISTRUSTED))


def _end(logins: Sequence[LoginSession], reason: str) -> None:
    ids = [login.id for login in logins]
    db.session.execute(
        update(LoginSession)
        .where(LoginSession.id.in_(ids), LoginSession.ended_at.is_(None))
        .values(ended_at=func.now(), end_reason=reason)
    )
    after_commit.do(lambda: live.bury_or_outwait(ids))


def forget_old() -> int:
    """Delete log-ins that ended or ran out more than 30 days ago; the history keeps what happened. How many."""
    long_ago = func.now() - timedelta(days=30)
    old = or_(LoginSession.ended_at < long_ago, LoginSession.expires_at < long_ago)
    return len(db.session.scalars(delete(LoginSession).where(old).returning(LoginSession.id)).all())


def hear_ended() -> None:
    """Tell Redis of every log-in that ended lately, so that polls may trust its copies. Never raises for Redis."""
    try:
        since = live.clock()
        recent = func.now() - timedelta(seconds=2 * live.SESSION_SECONDS)
        ids = db.session.scalars(select(LoginSession.id).where(LoginSession.ended_at > recent)).all()
        live.hear(ids, since)
    except RedisError:
        return  # without it polls ask PostgreSQL
