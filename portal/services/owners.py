"""Whoever has something done in their name: a lock that keeps them from being switched off meanwhile."""

from sqlalchemy import select

from portal.errors import Unauthorized
from portal.extensions import db
from portal.models import User


def hold_active(user_id: int) -> None:
    """Until the transaction ends nobody switches this user off; `Unauthorized` when somebody has.

    Whatever is written to be done later in a user's name comes after this: then `switching_off` sees it.
    """
    active = db.session.scalar(select(User.is_active).where(User.id == user_id).with_for_update(read=True))
    if not active:
        raise Unauthorized("session_ended")
