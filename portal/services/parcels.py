"""The postman's round: what waits in the ledger, rendered and handed to its provider; each mail once.

A notice to an owner is tried for longer, and sent again where it may have gone: twice is better than not at all.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from random import uniform
from typing import Any

from flask import render_template
from flask_babel import force_locale
from jinja2 import TemplateError
from loguru import logger
from sqlalchemy import func, select, update

from portal import notice_words
from portal.errors import Fault
from portal.extensions import db, gateways, settings
from portal.gateways.delivery import Delivery
from portal.gateways.mail import Mail
from portal.models import Message, Task, User
from portal.services import links, messages
from portal.services.messages import ACCOUNT_CHANGED, TASK_ENDED
from portal.wording import sentence, task_name

AGAIN_MINUTES = (1, 5, 25)  # after a fault that can pass
NOTICE_AGAIN_MINUTES = (*AGAIN_MINUTES, 120, 600)
LOST_SECONDS = 120


@dataclass(frozen=True)
class Parcel:
    """What is claimed: nobody else sends it. A `mail`, or an SMS to a `number`; neither, when there is nobody."""

    message_id: int
    attempt: int
    purpose: str
    mail: Mail | None = None
    number: str = ""


def claim() -> Parcel | None:
    """The next that waits, marked as being sent; None when none does. Commit, then `deliver`."""
    due = Message.state == "waiting", Message.send_after <= func.now()
    query = select(Message).where(*due).order_by(Message.send_after, Message.id).limit(1)
    message = db.session.scalar(query.with_for_update(skip_locked=True).execution_options(populate_existing=True))
    if message is None:
        return None
    user = db.session.get(User, message.user_id, populate_existing=True) if message.user_id else None
    message.state, message.attempt, message.send_after = "suppressed", message.attempt + 1, datetime.now(UTC)
    parcel = Parcel(message.id, message.attempt, message.purpose)
    to = _recipient(message, user) if user else None
    if user and to:
        try:
            parcel = _packed(parcel, message, user, to)
            message.state = "sending"
        except TemplateError as error:
            # Left waiting, it would be the first in the queue for ever, and all others behind it.
            logger.error("mail {} cannot be written: {}", message.purpose, type(error).__name__)
            message.state, message.vendor_code = "failed", "unwritable"
    if message.state != "sending":
        message.send_to = ""
    db.session.flush()
    return parcel


def _recipient(message: Message, user: User) -> str | None:
    """Whom it is for, as things are now: they may have changed since it was queued. None: nobody any more."""
    if message.purpose == ACCOUNT_CHANGED:  # told to whoever was reached before the change, in or locked out
        return messages.unsealed(message.send_to) if message.channel == "sms" else message.send_to
    if not user.is_active:
        return None
    if message.purpose == "verify_email":  # its link is made for the address that waits now
        return user.pending_email
    if message.purpose == TASK_ENDED and db.session.get(Task, message.task_id) is None:
        return None
    return message.send_to or user.email


def _packed(parcel: Parcel, message: Message, user: User, to: str) -> Parcel:
    if message.channel == "sms":
        return replace(parcel, number=to)
    return replace(parcel, mail=_written(message, user, to))


def _written(message: Message, user: User, to: str) -> Mail:
    purpose = message.purpose
    link = links.address(user, purpose) if purpose in links.PATHS else ""
    # A name with a dot would be made a link of by mail programs: to whatever site somebody took for a name.
    greeted = "" if "." in user.username else user.username
    about: dict[str, Any] = {"link": link, "username": greeted, "public_url": settings().public_url}
    with force_locale(user.locale):
        if purpose == ACCOUNT_CHANGED:
            about |= _about_changes(message)
        if message.task_id is not None:
            about |= _about_task(db.session.get_one(Task, message.task_id, populate_existing=True))
        subject, text, html = (
            render_template(f"mail/{purpose}.{form}", **about) for form in ("subject.txt", "txt", "html")
        )
    return Mail(to, purpose, " ".join(subject.split()), html, text, about["link"])


def _about_task(task: Task) -> dict[str, Any]:
    link = f"{settings().public_url.rstrip('/')}/tasks/{task.uuid}"
    reason = sentence(task.error) if task.error else ""
    return {"link": link, "task": task_name(task), "status": task.status, "reason": reason}


def _about_changes(message: Message) -> dict[str, Any]:
    """Each change, the last one first, with when and from where; and what to do if it was not the owner."""
    last_first = sorted(message.changes.items(), key=lambda change: str(change[1]["at"]), reverse=True)
    told = [notice_words.change(kind, about) for kind, about in last_first]
    return {"changes": told, "advice": notice_words.advice(message.changes, settings().public_url)}


def deliver(parcel: Parcel) -> None:
    """Hand it over, and note what became of it; hold no transaction when calling this, commit afterwards."""
    try:
        if parcel.mail:
            delivery: Delivery = gateways().mail.send(parcel.mail)
        elif parcel.number:
            delivery = gateways().sms.send(parcel.number, parcel.purpose, None)
        else:
            return
    except Fault as fault:
        _note_fault(parcel, fault)
        return
    state = "sent" if delivery.certain else "unknown"
    _note(parcel, state=state, vendor_id=delivery.id[:80], vendor_code="", send_to="")


def _note_fault(parcel: Parcel, fault: Fault) -> None:
    vendor = str(fault.params.get("vendor", fault.code))[:80]
    again: tuple[int, ...] = AGAIN_MINUTES
    passing = fault.passing
    if parcel.purpose == ACCOUNT_CHANGED:  # a setting of ours that is wrong can be repaired meanwhile, too
        again, passing = NOTICE_AGAIN_MINUTES, not fault.code.endswith("_refused")
    if not passing or parcel.attempt > len(again):
        _note(parcel, state="failed", vendor_code=vendor, send_to="")
        return
    wait = timedelta(minutes=again[parcel.attempt - 1] * uniform(0.9, 1.1))
    _note(parcel, state="waiting", vendor_code=vendor, send_after=datetime.now(UTC) + wait)


def _note(parcel: Parcel, **values: object) -> None:
    mine = Message.id == parcel.message_id, Message.state == "sending", Message.attempt == parcel.attempt
    db.session.execute(update(Message).where(*mine).values(**values))


def give_up_lost() -> int:
    """What its postman died over may have gone: mails are not sent again, notices to owners are. How many mails."""
    late = func.now() - timedelta(seconds=LOST_SECONDS)
    lost = Message.state == "sending", func.coalesce(Message.send_after, Message.created_at) < late
    is_notice = (Message.purpose == ACCOUNT_CHANGED) & (Message.attempt <= len(NOTICE_AGAIN_MINUTES))
    db.session.execute(update(Message).where(*lost, is_notice).values(state="waiting", send_after=func.now()))
    given_up = update(Message).where(*lost).values(state="unknown", send_to="").returning(Message.id)
    return len(db.session.scalars(given_up).all())
