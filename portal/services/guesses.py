"""Wrong codes of a number, over all the codes sent to it: counted in PostgreSQL, before they are compared.

Redis holds the codes, and with them goes what could be guessed at; what was guessed stays.
"""

import math
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, Row, Select, func, select, update

from portal import limits
from portal.errors import TooMany
from portal.extensions import db
from portal.models import Message
from portal.services import messages


def require_room(phone_number: str) -> None:
    """Raises `TooMany("guesses_too_many")`, with the wait, after a day's wrong codes: another would be no use."""
    _refuse_if_full(db.session.execute(_counted(messages.recipient_key(phone_number))).one())


def count(message_id: int) -> int:
    """Count a guess at the code that a message carried; the how manieth wrong one of its number it would be.

    0 when the code's own tries are used up: then it may not be compared. Raises `TooMany("guesses_too_many")`.
    Written at once, in a transaction of its own.
    """
    with db.engine.begin() as connection:
        message = connection.execute(
            select(Message.recipient, Message.wrong_guesses).where(Message.id == message_id)
        ).one_or_none()
        if message is None:
            return 0
        _lock(connection, message.recipient)
        before = connection.execute(_counted(message.recipient)).one()
        _refuse_if_full(before)
        counted = connection.execute(
            update(Message)
            .where(Message.id == message_id, Message.state != "failed", Message.wrong_guesses < limits.CODE_TRIES)
            .values(wrong_guesses=Message.wrong_guesses + 1)
        ).rowcount
        return before.guesses + 1 if counted else 0


def uncount(message_id: int) -> None:
    """The guess was right, or nothing was there any more to compare it with."""
    with db.engine.begin() as connection:
        less = {"wrong_guesses": Message.wrong_guesses - 1}
        connection.execute(update(Message).where(Message.id == message_id).values(less))


def _lock(connection: Connection, recipient: str) -> None:
    """Until the commit nobody else counts a guess at any code of this number."""
    connection.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"guesses:{recipient}", 42))))


def _counted(recipient: str) -> Select[int, Any]:
    """How many `guesses` count now, and the `age` in seconds of the oldest code that was guessed at."""
    window = timedelta(seconds=limits.WRONG_CODES_PER_NUMBER.seconds)
    guessed = Message.channel == "sms", Message.recipient == recipient, Message.wrong_guesses > 0
    return select(
        func.coalesce(func.sum(Message.wrong_guesses), 0).label("guesses"),
        func.extract("epoch", func.clock_timestamp() - func.min(Message.created_at)).label("age"),
    ).where(*guessed, Message.state != "failed", Message.created_at > func.clock_timestamp() - window)


def _refuse_if_full(counted: Row[int, Any]) -> None:
    window = limits.WRONG_CODES_PER_NUMBER
    if counted.guesses >= window.count:
        wait = max(1, math.ceil(window.seconds - float(counted.age)))
        raise TooMany("guesses_too_many", retry_after=wait, wait=wait)
