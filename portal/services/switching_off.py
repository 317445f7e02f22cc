"""Switching an account off stops, in the same transaction, all that is done in its name."""

from dataclasses import asdict, dataclass

from sqlalchemy import select

from portal.extensions import db
from portal.models import User
from portal.services import keys, messages, notices, request_headers, security_notices, sessions, tasks, uploads
from portal.services.events import Visitor


@dataclass(frozen=True)
class Stopped:
    """How many log-ins ended, tasks were cancelled or asked to stop, secrets and uploads erased, mails kept back."""

    sessions: int
    tasks_cancelled: int
    tasks_stopping: int
    secrets: int
    uploads: int
    mails: int


def switch_off(user: User, *, visitor: Visitor, actor_id: int) -> Stopped:
    """Keep a user out, and stop what they began; nothing of it comes back by itself when they are let in again.

    The one place for it: whatever can be done in a user's name without them is ended here, and what writes it calls
    `owners.hold_active` first, so that it is either seen here or refused there. Their data stays.
    """
    # Weaker than for a deletion: a worker that is publishing holds a task, and refers to its owner.
    db.session.execute(select(User.id).where(User.id == user.id).with_for_update(key_share=True))
    user.is_active = False
    db.session.flush()
    ended = sessions.end_all(user, "deactivated", visitor=visitor, actor_id=actor_id)
    cancelled, stopping = tasks.stop_all(user.id)
    keys.forget(user.id)
    stopped = Stopped(
        sessions=ended,
        tasks_cancelled=cancelled,
        tasks_stopping=stopping,
        secrets=request_headers.forget(user.id),
        uploads=uploads.forget_all(user.id),
        mails=messages.keep_back(user.id) + notices.forget(user.id),
    )
    security_notices.tell(user, "account.deactivated", visitor=visitor, actor_id=actor_id, **asdict(stopped))
    return stopped
