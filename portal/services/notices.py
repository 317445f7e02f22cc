"""Mails about tasks that have ended, for those who want them: at most one a task, ever.

The database notes the end with the end itself (migration 0004); the dispatcher's sweep makes mails of the notes.
"""

from sqlalchemy import delete, func, select

from portal.extensions import db
from portal.models import Notice, Task, User
from portal.services import messages

AT_ONCE = 100
_ONE_DRAINS = 4202  # advisory lock: two at once could wait for each other's shares of the mail limits


def forget(owner_id: int) -> int:
    """Take away the notes about a user's tasks; how many."""
    theirs = Notice.task_id.in_(select(Task.id).where(Task.owner_id == owner_id))
    return len(db.session.scalars(delete(Notice).where(theirs).returning(Notice.task_id)).all())


def drain() -> int:
    """Queue a mail for each note, and take the notes away in the same transaction; how many mails.

    No mail for tasks whose owner asked to cancel them, without a verified address, nor beyond the limits.
    """
    if not db.session.scalar(select(func.pg_try_advisory_xact_lock(_ONE_DRAINS))):
        return 0
    oldest = select(Notice.task_id).order_by(Notice.created_at, Notice.task_id).limit(AT_ONCE)
    noted = db.session.scalars(
        delete(Notice)
        .where(Notice.task_id.in_(oldest.with_for_update(skip_locked=True).scalar_subquery()))
        .returning(Notice.task_id)
    ).all()
    if not noted:
        return 0
    wanted = (
        select(Task.id, User)
        .join(User, User.id == Task.owner_id)
        .where(Task.id.in_(noted), Task.cancel_requested_at.is_(None))
        .where(User.mail_when_done, User.email.is_not(None), User.is_active)
        .order_by(Task.finished_at, Task.id)
    )
    return sum(messages.tell_of_task(user, task_id) for task_id, user in db.session.execute(wanted).all())
