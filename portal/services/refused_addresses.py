"""Addresses that are not fetched from, counted per user: whoever feels for servers of the inside is soon stopped.

Names that do not exist and names of the inside count, and are answered, alike: neither tells whether one is there.
"""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from loguru import logger
from sqlalchemy.exc import SQLAlchemyError

from portal import limits
from portal.errors import Blocked, Invalid, TooMany
from portal.extensions import db
from portal.services import events, windows
from portal.services.copies import TaskCopy
from portal.services.events import Visitor


@contextmanager
def counted(user_id: int, visitor: Visitor) -> Iterator[None]:
    """Around the check of an address that a user submits: one that is refused takes a place, the last ones `TooMany`.

    A refusal is written down at once, so the transaction is rolled back before it is raised.
    """
    share = secrets.token_hex(8)
    try:
        windows.take({_key(user_id): limits.REFUSED_ADDRESSES}, share=share, code="addresses_too_many")
    except TooMany:
        _tell_of_limit(user_id, visitor)
        raise
    try:
        yield
    except Invalid as refusal:
        if isinstance(refusal.__cause__, Blocked):
            _tell(user_id, refusal.__cause__, visitor)
        else:
            windows.give_back([_key(user_id)], share)
        raise
    except BaseException:
        windows.give_back([_key(user_id)], share)
        raise
    windows.give_back([_key(user_id)], share)


def note(run: TaskCopy, blocked: Blocked) -> None:
    """What a worker met, on the way by DNS or a redirect. No transaction may be open. Never raises for the database."""
    with suppress(SQLAlchemyError):
        if not windows.note(_key(run.owner_id), limits.REFUSED_ADDRESSES, share=f"{run.uuid}/{run.attempt}"):
            _tell_of_limit(run.owner_id, Visitor())
        _tell(run.owner_id, blocked, Visitor(), task=str(run.uuid))


def _tell(user_id: int, blocked: Blocked, visitor: Visitor, **more: str) -> None:
    """To the operator alone; names that are nowhere are no attack."""
    if blocked.reason == "absent":
        return
    logger.warning("ssrf.blocked: {} {} {}", blocked.reason, blocked.host, blocked.ip)
    if windows.note(f"{_key(user_id)}:told", limits.REFUSED_ADDRESSES, share=secrets.token_hex(8)):
        db.session.rollback()
        found: dict[str, Any] = {"reason": blocked.reason, "host": blocked.host[:253], "ip": blocked.ip, **more}
        events.record_now("ssrf.blocked", visitor, user_id=user_id, **found)


def _tell_of_limit(user_id: int, visitor: Visitor) -> None:
    if windows.first(f"{_key(user_id)}:limited", limits.HOUR):
        db.session.rollback()
        events.record_now("ssrf.limited", visitor, user_id=user_id)


def _key(user_id: int) -> str:
    return f"refused:{user_id}"
