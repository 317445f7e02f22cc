"""The ledger of SMS and mail: shares are taken in PostgreSQL before a send, so that no restart refills them."""

import base64
import hmac
import ipaddress
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

from cryptography.fernet import Fernet, InvalidToken
from sqlalchemy import Date, cast, func, select, update
from sqlalchemy.dialects.postgresql import insert

from portal import limits
from portal.errors import Conflict, TooMany, Unavailable
from portal.extensions import db, settings
from portal.gateways.delivery import Delivery
from portal.limits import Window
from portal.models import Message, StoppedPrefix, User
from portal.services import events
from portal.services.events import Visitor

TASK_ENDED, ACCOUNT_CHANGED = "task_ended", "account_changed"
_NOT_WHEN_KEPT_OUT = (TASK_ENDED, "verify_email", "reset_password")
_COUNTS = Message.state != "failed"


@dataclass(frozen=True)
class _Limit:
    """A windowed share: `where` says which rows count; `lock` is taken first, so that parallel takers queue."""

    lock: str
    where: tuple[Any, ...]
    windows: Sequence[Window]
    code: str


def take(
    channel: str,
    purpose: str,
    recipient: str,
    *,
    visitor: Visitor | None,
    user_id: int | None = None,
    task_id: int | None = None,
    state: str = "sending",
    send_to: str = "",
) -> int:
    """Take a share of every limit for one message, and write it down; answers its id. Commit before sending.

    Raises `TooMany("sms_too_many" | "mail_too_many")` with the wait, or `Unavailable` when the budget or the numbers
    that begin so are stopped; `Conflict` when there was a message about the task before. Nothing is taken then.
    Without a visitor, for what no request caused, no network is counted.
    """
    # A mail nobody asked for must not keep back one that somebody does.
    who = recipient_key(recipient if channel == "sms" else f"{purpose}|{recipient}")
    place = network(visitor.address) if visitor else ""
    prefix = _prefix(recipient) if channel == "sms" else ""
    if prefix and _is_stopped(prefix):
        raise Unavailable("sms_prefix_stopped", retry_after=limits.HOUR)
    for limit in _limits(channel, purpose, who, place):
        db.session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(limit.lock, 42))))
        _check(limit)
    taken: int | None = db.session.scalar(
        insert(Message)
        .values(
            channel=channel,
            purpose=purpose,
            recipient=who,
            prefix=prefix,
            network=place,
            user_id=user_id,
            task_id=task_id,
            state=state,
            created_at=func.clock_timestamp(),
            send_to=send_to,
            send_after=func.now() if state == "waiting" else None,
        )
        .on_conflict_do_nothing(constraint="uq_messages_task_id")
        .returning(Message.id)
    )
    if taken is None:
        raise Conflict
    return taken


def _limits(channel: str, purpose: str, who: str, place: str) -> list[_Limit]:
    of = Message.channel == channel
    per_recipient = limits.SMS_PER_NUMBER if channel == "sms" else limits.MAIL_PER_ADDRESS
    per_network = (Window(settings().sms_per_address_day, limits.DAY),)
    minute, day = _budget(channel)
    if purpose == TASK_ENDED:
        per_recipient = limits.TASK_MAIL_PER_ADDRESS
        minute, day = (math.ceil(count * limits.TASK_MAIL_SHARE) for count in (minute, day))
    overall = (Window(minute, limits.MINUTE), Window(day, limits.DAY))
    too_many = f"{channel}_too_many"
    to = _Limit(f"{channel}:to:{who}", (of, Message.recipient == who), per_recipient, too_many)
    by = _Limit(f"{channel}:from:{place}", (of, Message.network == place), per_network, too_many)
    over_all = _Limit(f"{channel}:all", (of,), overall, f"{channel}_budget_spent")
    # In this order everywhere: no two takers wait for each other.
    return [to, by, over_all] if place else [to, over_all]


def _budget(channel: str) -> tuple[int, int]:
    """How many in a minute, and in a day, over all."""
    return getattr(settings(), f"{channel}_per_minute"), getattr(settings(), f"{channel}_per_day")


def _check(limit: _Limit) -> None:
    now = func.clock_timestamp()
    age = func.extract("epoch", now - Message.created_at)
    for window in limit.windows:
        full = db.session.execute(
            select(age)
            .where(_COUNTS, *limit.where, Message.created_at > now - timedelta(seconds=window.seconds))
            .order_by(Message.created_at.desc())
            .offset(window.count - 1)
            .limit(1)
        ).scalar()
        if full is not None:
            wait = max(1, math.ceil(window.seconds - float(full)))
            refusal = Unavailable if limit.code.endswith("_budget_spent") else TooMany
            raise refusal(limit.code, retry_after=wait, wait=wait)


def settle(message_id: int, delivery: Delivery) -> None:
    """Note what became of a message that was sent, or may have been."""
    state = "sent" if delivery.certain else "unknown"
    db.session.execute(update(Message).where(Message.id == message_id).values(state=state, vendor_id=delivery.id[:80]))


def give_back(message_id: int, vendor_code: str) -> None:
    """The provider says that it did not send: the share is free again."""
    db.session.execute(
        update(Message).where(Message.id == message_id).values(state="failed", vendor_code=vendor_code[:80])
    )


def verified(message_id: int) -> None:
    """Note that the code a message carried was used."""
    db.session.execute(update(Message).where(Message.id == message_id).values(verified_at=func.now()))


def watch_prefix(message_id: int) -> None:
    """Stop the numbers that begin like this message's, when too few of the last codes sent to them were used."""
    prefix = db.session.scalar(select(Message.prefix).where(Message.id == message_id))
    lifted = select(StoppedPrefix.lifted_at).where(StoppedPrefix.prefix == prefix).scalar_subquery()
    last = (
        select(Message.verified_at)
        .where(
            _COUNTS,
            Message.prefix == prefix,
            Message.created_at < func.now() - timedelta(seconds=limits.CODE_SECONDS),
            Message.created_at > func.coalesce(lifted, func.now() - timedelta(days=7)),
        )
        .order_by(Message.created_at.desc())
        .limit(limits.PREFIX_SENDS)
        .subquery()
    )
    sent, used = db.session.execute(select(func.count(), func.count(last.c.verified_at)).select_from(last)).one()
    if sent < limits.PREFIX_SENDS or used >= limits.PREFIX_SHARE * sent:
        return
    values = {"sent": sent, "verified": used, "stopped_at": func.now(), "lifted_at": None}
    stop = insert(StoppedPrefix).values(prefix=prefix, **values)
    again = stop.on_conflict_do_update(
        index_elements=["prefix"], set_=values, where=StoppedPrefix.lifted_at.is_not(None)
    )
    if db.session.execute(again.returning(StoppedPrefix.prefix)).scalar():
        events.record("prefix.stopped", Visitor(), prefix=prefix, sent=sent, verified=used)


def queue_mail(purpose: str, recipient: str, *, user_id: int | None, visitor: Visitor) -> None:
    """Have the postman send a mail; limits count `recipient`. `TooMany` or `Unavailable` when one is met.

    Without a user nothing will be sent, at the same cost.
    """
    take("mail", purpose, recipient, visitor=visitor, user_id=user_id, state="waiting")


def tell(user: User, purpose: str, *, visitor: Visitor, recipient: str | None = None) -> None:
    """A notice nobody asked for, to the verified address or, if named, another; beyond the limits it is left out."""
    if not (to := recipient or user.email):  # no address was ever verified
        return
    try:
        take("mail", purpose, to, visitor=visitor, user_id=user.id, state="waiting", send_to=recipient or "")
    except (TooMany, Unavailable):
        return


def tell_of_task(user: User, task_id: int) -> bool:
    """A mail about a task that has ended, once; whether there will be one: beyond the limits it is left out."""
    if not user.email:
        return False
    try:
        take("mail", TASK_ENDED, user.email, visitor=None, user_id=user.id, task_id=task_id, state="waiting")
    except (TooMany, Unavailable, Conflict):
        return False
    return True


def keep_back(user_id: int) -> int:
    """Mails to this user that wait and are of no use to somebody who is kept out will not be sent; how many."""
    waiting = Message.user_id == user_id, Message.state == "waiting", Message.purpose.in_(_NOT_WHEN_KEPT_OUT)
    kept_back = update(Message).where(*waiting).values(state="suppressed", send_to="").returning(Message.id)
    return len(db.session.scalars(kept_back).all())


def spending(days: int = 30) -> Sequence[Any]:
    """Per day and channel: day, channel, sent, unknown, failed, verified; days with nothing are missing."""
    day = cast(func.timezone(settings().time_zone, Message.created_at), Date).label("day")
    return db.session.execute(
        select(
            day,
            Message.channel,
            *(func.count().filter(Message.state == state).label(state) for state in ("sent", "unknown", "failed")),
            func.count(Message.verified_at).label("verified"),
        )
        .where(Message.created_at > func.now() - timedelta(days=days))
        .group_by(day, Message.channel)
        .order_by(day.desc(), Message.channel)
    ).all()


def budget_left() -> dict[str, dict[str, int]]:
    """`{channel: {minute, day}}`: how many may still be sent."""
    left = {}
    for channel in ("sms", "mail"):
        minute, day = db.session.execute(
            select(func.count().filter(Message.created_at > func.now() - timedelta(minutes=1)), func.count()).where(
                _COUNTS, Message.channel == channel, Message.created_at > func.now() - timedelta(days=1)
            )
        ).one()
        per_minute, per_day = _budget(channel)
        left[channel] = {"minute": max(0, per_minute - minute), "day": max(0, per_day - day)}
    return left


def stopped() -> Sequence[StoppedPrefix]:
    """Prefixes that get no codes now, newest first."""
    query = select(StoppedPrefix).where(StoppedPrefix.lifted_at.is_(None))
    return db.session.scalars(query.order_by(StoppedPrefix.stopped_at.desc(), StoppedPrefix.prefix)).all()


def lift(actor: User, prefix: str, *, visitor: Visitor) -> None:
    """Allow codes to these numbers again; what was sent before does not count against them."""
    done = db.session.execute(
        update(StoppedPrefix)
        .where(StoppedPrefix.prefix == prefix, StoppedPrefix.lifted_at.is_(None))
        .values(lifted_at=datetime.now(UTC))
        .returning(StoppedPrefix.prefix)
    ).scalar()
    if done:
        events.record("prefix.lifted", visitor, actor_id=actor.id, prefix=prefix)


def _is_stopped(prefix: str) -> bool:
    query = select(StoppedPrefix.prefix).where(StoppedPrefix.prefix == prefix, StoppedPrefix.lifted_at.is_(None))
    return db.session.scalar(query) is not None


def recipient_key(recipient: str) -> str:
    """A keyed hash of a number or address, so that the ledger holds neither."""
    return hmac.new(settings().derived("recipients"), recipient.encode(), sha256).hexdigest()[:32]


def sealed(phone_number: str) -> str:
    """A number that waits in the ledger for the postman, who gets it back with `unsealed`."""
    return _seal().encrypt(phone_number.encode()).decode()


def unsealed(phone_number: str) -> str | None:
    """None when it cannot be read with this SECRET_KEY."""
    try:
        return _seal().decrypt(phone_number.encode()).decode()
    except InvalidToken:
        return None


def _seal() -> Fernet:
    return Fernet(base64.urlsafe_b64encode(settings().derived("send-to")))


def network(address: str) -> str:
    """One name for an IPv4 address, and one for the whole /64 that an IPv6 client can choose from."""
    try:
        return str(ipaddress.ip_network((address, 64 if ":" in address else 32), strict=False))
    except ValueError:
        return "unknown"


def _prefix(number: str) -> str:
    """The calling code and seven digits for a mainland number, the first eight characters for others."""
    return number[: 3 + limits.PREFIX_DIGITS] if number.startswith("+86") else number[:8]
