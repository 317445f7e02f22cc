"""Notices to owners: each change of what protects an account is told, whatever strangers have used up before.

They wait in the ledger for the postman, and take no share of a limit that anybody could have spent. Instead, each kind
of change goes to each recipient at once, and again only after a while: what happens meanwhile is gathered in one
message. So whoever holds an account can neither send floods from it nor hide the last of their changes behind others.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, event, func, insert, select, update
from sqlalchemy.orm import Session

from portal import limits
from portal.extensions import db
from portal.models import Message, User
from portal.notice_words import CHANGES, MAIL_ONLY, SMS_ONLY
from portal.services import events, messages
from portal.services.events import Visitor
from portal.services.messages import ACCOUNT_CHANGED

_KEY = "security_notices"
_GONE = ("sending", "sent", "unknown")


@dataclass(frozen=True)
class _Notice:
    """A change, and whom it is told: pairs of a channel and an address or number."""

    kind: str
    user_id: int | None
    recipients: Sequence[tuple[str, str]]
    about: Mapping[str, Any]
    at: datetime = field(default_factory=lambda: datetime.now(UTC))


def tell(
    user: User,
    kind: str,
    *,
    visitor: Visitor,
    actor_id: int | None = None,
    old_email: str | None = None,
    old_number: str | None = None,
    **details: Any,
) -> None:
    """Record an event that changes what protects the account, and have its owner told; both with the commit.

    By mail to the verified address, and to the one before; by SMS to the number before, or where no address was ever
    verified. `details` as in `events.record`.
    """
    events.record(kind, visitor, user_id=user.id, actor_id=actor_id, **details)
    recipients = _recipients(user, kind, old_email, old_number)
    by_admin = actor_id is not None and actor_id != user.id
    notice = _Notice(kind, user.id, recipients, _about(visitor, details, by_admin=by_admin))
    db.session.info.setdefault(_KEY, []).append(notice)


def tell_of_number(phone_number: str, kind: str, *, visitor: Visitor) -> None:
    """Record what happened to a number, and tell its owner, if there is one: at once, at the same cost.

    Ends the current transaction, and is not undone with any.
    """
    user = db.session.scalar(select(User).where(User.phone_number == phone_number))
    db.session.rollback()
    user_id = user.id if user else None
    events.record_now(kind, visitor, user_id=user_id)
    recipients = _recipients(user, kind, None, None) if user else [("mail", phone_number)]
    with db.engine.begin() as connection:
        _add(connection, _Notice(kind, user_id, recipients, _about(visitor, {}, by_admin=False)))


def _recipients(user: User, kind: str, old_email: str | None, old_number: str | None) -> list[tuple[str, str]]:
    if kind not in CHANGES:
        raise ValueError(f"owners are not told of {kind}")
    addresses = {} if kind in SMS_ONLY else dict.fromkeys((old_email, user.email))
    mails = [("mail", address) for address in addresses if address]
    number = old_number or ("" if mails or kind in MAIL_ONLY else user.phone_number)
    return [*mails, *([("sms", number)] if number else [])]


def _about(visitor: Visitor, details: Mapping[str, Any], *, by_admin: bool) -> dict[str, Any]:
    if by_admin:  # whose address and device are none of the owner's business
        return {"by_admin": True, "details": dict(details)}
    where = {"address": visitor.address[:45], "user_agent": visitor.user_agent[:300].replace("\x00", "")}
    return {**where, "details": dict(details)}


def register() -> None:
    """Listen to the session's commits; safe to call again."""
    for name, handler in (("before_commit", _write), ("after_rollback", _forget)):
        if not event.contains(db.session, name, handler):
            event.listen(db.session, name, handler)


def _write(session: Session) -> None:
    # As late as possible: nothing else is waited for while the recipients' lock is held.
    if not session.in_nested_transaction() and (noted := session.info.pop(_KEY, [])):
        session.flush()
        for notice in noted:
            _add(session.connection(), notice)


def _forget(session: Session) -> None:
    if not session.in_nested_transaction():
        session.info.pop(_KEY, None)


def _add(connection: Connection, notice: _Notice) -> None:
    lock = func.hashtextextended(f"notice:{notice.user_id or notice.recipients}", 42)
    connection.execute(select(func.pg_advisory_xact_lock(lock)))
    for channel, recipient in notice.recipients:
        _gather(connection, notice, channel, recipient)


def _gather(connection: Connection, notice: _Notice, channel: str, recipient: str) -> None:
    """Add the change to the message that waits for this recipient, or make one."""
    who = messages.recipient_key(f"{ACCOUNT_CHANGED}|{recipient}")
    mine = Message.channel == channel, Message.recipient == who, Message.purpose == ACCOUNT_CHANGED
    due = _due(connection, notice, channel, mine)
    waiting = connection.execute(
        select(Message.id, Message.changes, Message.attempt, Message.send_after)
        .where(*mine, Message.state == "waiting")
        .order_by(Message.id.desc())
        .limit(1)
        .with_for_update()
    ).one_or_none()
    if waiting is None:
        message = insert(Message).values(
            channel=channel,
            purpose=ACCOUNT_CHANGED,
            recipient=who,
            prefix="",
            network="",
            user_id=notice.user_id,
            send_to=messages.sealed(recipient) if channel == "sms" else recipient if notice.user_id else "",
            state="waiting",
            send_after=due,
            changes=_merged({}, notice),
        )
        connection.execute(message)
        return
    # One that is tried again waits for the provider, not for us.
    soon = waiting.send_after if waiting.attempt else min(waiting.send_after, due)
    changes = _merged(waiting.changes, notice)
    connection.execute(update(Message).where(Message.id == waiting.id).values(changes=changes, send_after=soon))


def _due(connection: Connection, notice: _Notice, channel: str, mine: Sequence[ColumnElement[bool]]) -> datetime:
    # An SMS does not say what was changed, so one is as good as another.
    alike = [Message.changes.has_key(notice.kind)] if channel == "mail" else []
    told = connection.scalar(select(func.max(Message.send_after)).where(*mine, *alike, Message.state.in_(_GONE)))
    again = timedelta(seconds=limits.NOTICE_AGAIN_SECONDS[channel])
    return max(notice.at, told + again) if told else notice.at


def _merged(changes: Mapping[str, Any], notice: _Notice) -> dict[str, Any]:
    """By kind: how often, and the last time with all that is known of it."""
    before = changes.get(notice.kind, {"count": 0})
    last = {**notice.about, "count": before["count"] + 1, "at": notice.at.isoformat()}
    return {**{kind: each for kind, each in changes.items() if kind != notice.kind}, notice.kind: last}
