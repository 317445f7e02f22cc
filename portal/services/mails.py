"""The postman's round: mails that wait in the ledger, rendered and handed to the provider, each once."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import uniform
from typing import Any

from flask import render_template
from flask_babel import force_locale
from jinja2 import TemplateError
from loguru import logger
from sqlalchemy import func, select, update

from portal.errors import Fault
from portal.extensions import db, gateways, settings
from portal.gateways.delivery import Delivery
from portal.gateways.mail import Mail
from portal.models import Message, Task, User
from portal.services import links
from portal.services.messages import TASK_ENDED
from portal.wording import sentence, task_name

AGAIN_MINUTES = (1, 5, 25)  # after a fault that can pass
LOST_SECONDS = 120


@dataclass(frozen=True)
class Parcel:
    """A mail that is claimed: nobody else sends it. `mail` is None when there is nobody to send to."""

    message_id: int
    attempt: int
    mail: Mail | None


def claim() -> Parcel | None:
    """The next waiting mail, marked as being sent; None when none waits. Commit, then `deliver`."""
    due = Message.state == "waiting", Message.channel == "mail", Message.send_after <= func.now()
    query = select(Message).where(*due).order_by(Message.send_after, Message.id).limit(1)
    message = db.session.scalar(query.with_for_update(skip_locked=True).execution_options(populate_existing=True))
    if message is None:
        return None
    user = db.session.get(User, message.user_id, populate_existing=True) if message.user_id else None
    mail = None
    message.state, message.attempt, message.send_after = "suppressed", message.attempt + 1, datetime.now(UTC)
    to = _recipient(message, user) if user and user.is_active else None
    if user and to:
        try:
            mail, message.state = _written(message, user, to), "sending"
        except TemplateError as error:
            # Left waiting, it would be the first in the queue for ever, and all others behind it.
            logger.error("mail {} cannot be written: {}", message.purpose, type(error).__name__)
            message.state, message.vendor_code = "failed", "unwritable"
    if mail is None:
        message.mail_to = ""
    db.session.flush()
    return Parcel(message.id, message.attempt, mail)


def _recipient(message: Message, user: User) -> str | None:
    """Whom it is for, as things are now: they may have changed since it was queued. None: nobody any more."""
    if message.purpose == "verify_email":  # its link is made for the address that waits now
        return user.pending_email
    if message.purpose == TASK_ENDED and db.session.get(Task, message.task_id) is None:
        return None
    return message.mail_to or user.email


def _written(message: Message, user: User, to: str) -> Mail:
    purpose = message.purpose
    link = links.address(user, purpose) if purpose in links.PATHS else ""
    about: dict[str, Any] = {"link": link, "username": user.username, "public_url": settings().public_url}
    with force_locale(user.locale):
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


def deliver(parcel: Parcel) -> None:
    """Hand it over, and note what became of it; hold no transaction when calling this, commit afterwards."""
    if parcel.mail is None:
        return
    try:
        delivery: Delivery = gateways().mail.send(parcel.mail)
    except Fault as fault:
        _note_fault(parcel, fault)
        return
    state = "sent" if delivery.certain else "unknown"
    _note(parcel, state=state, vendor_id=delivery.id[:80], vendor_code="", mail_to="")


def _note_fault(parcel: Parcel, fault: Fault) -> None:
    vendor = str(fault.params.get("vendor", fault.code))[:80]
    if not fault.passing or parcel.attempt > len(AGAIN_MINUTES):
        _note(parcel, state="failed", vendor_code=vendor, mail_to="")
        return
    wait = timedelta(minutes=AGAIN_MINUTES[parcel.attempt - 1] * uniform(0.9, 1.1))
    _note(parcel, state="waiting", vendor_code=vendor, send_after=datetime.now(UTC) + wait)


def _note(parcel: Parcel, **values: object) -> None:
    mine = Message.id == parcel.message_id, Message.state == "sending", Message.attempt == parcel.attempt
    db.session.execute(update(Message).where(*mine).values(**values))


def give_up_lost() -> int:
    """Mails whose postman died while sending: they may have gone, so they are not sent again. How many."""
    late = func.now() - timedelta(seconds=LOST_SECONDS)
    lost = Message.state == "sending", func.coalesce(Message.send_after, Message.created_at) < late
    found = db.session.scalars(update(Message).where(*lost).values(state="unknown", mail_to="").returning(Message.id))
    return len(found.all())
