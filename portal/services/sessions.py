"""Log-ins: start, find, rotate, end. One row serves cookie and tokens, so ending it stops both at the next call."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import func, select, update

from portal import access, limits
from portal.errors import NotFound, Unauthorized
from portal.extensions import RedisError, db
from portal.models import LoginSession, User
from portal.services import after_commit, live

_USED_EVERY = timedelta(minutes=1)
_LIFE = {"browser": limits.BROWSER_SESSION_SECONDS, "api": limits.REFRESH_SECONDS}


def start(user: User, *, kind: str, user_agent: str, address: str) -> LoginSession:
    """A new log-in; an API log-in gets its first refresh token's id."""
    login = LoginSession(
        id=uuid4(),
        user=user,
        kind=kind,
        user_agent=user_agent[:300].replace("\x00", ""),
        address=address[:45],
        expires_at=datetime.now(UTC) + timedelta(seconds=_LIFE[kind]),
        refresh_jti=str(uuid4()) if kind == "api" else None,
    )
    db.session.add(login)
    db.session.flush()
    return login


def find_live(session_id: UUID, *, kind: str) -> LoginSession | None:
    """The log-in with its user, if neither has ended; notes once a minute that it was used."""
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


def rotate(session_id: UUID, jti: str) -> LoginSession:
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
    elif not _within_grace(login, jti, now):
        _end([login], "token_reuse")
        raise Unauthorized("token_reuse")
    login.last_used_at = now
    login.expires_at = now + timedelta(seconds=limits.REFRESH_SECONDS)
    db.session.flush()
    return login


def _within_grace(login: LoginSession, jti: str, now: datetime) -> bool:
    grace = timedelta(seconds=limits.REFRESH_GRACE_SECONDS)
    return jti == login.refresh_jti_before and login.rotated_at is not None and now - login.rotated_at <= grace


def end(user: User, session_id: UUID, reason: str = "ended") -> None:
    """End one log-in of the user's; `NotFound` for anyone else's."""
    login = db.session.get(LoginSession, session_id)
    if login is None or login.ended_at or not access.may_end_session(user, login):
        raise NotFound
    _end([login], reason)


def end_all(user: User, reason: str = "ended") -> None:
    """End every log-in of the user's."""
    _end(list_live(user), reason)


def _end(logins: Sequence[LoginSession], reason: str) -> None:
    ids = [login.id for login in logins]
    db.session.execute(
        update(LoginSession)
        .where(LoginSession.id.in_(ids), LoginSession.ended_at.is_(None))
        .values(ended_at=func.now(), end_reason=reason)
    )
    after_commit.do(lambda: live.bury_or_outwait(ids))


def hear_ended() -> None:
    """Tell Redis of every log-in that ended lately, so that polls may trust its copies. Never raises for Redis."""
    try:
        since = live.clock()
        recent = func.now() - timedelta(seconds=2 * live.SESSION_SECONDS)
        ids = db.session.scalars(select(LoginSession.id).where(LoginSession.ended_at > recent)).all()
        live.hear(ids, since)
    except RedisError:
        return  # without it polls ask PostgreSQL
