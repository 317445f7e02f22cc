"""Who asked for what is not theirs: answered as if it were not there, and written down."""

from contextlib import suppress

from sqlalchemy.exc import SQLAlchemyError

from portal import limits
from portal.errors import Denied
from portal.services import events, messages, windows
from portal.services.events import Visitor


def note(denied: Denied, visitor: Visitor, at: str) -> None:
    """One event a minute for each person and network. No transaction may be open. Never raises for the database."""
    who = f"{denied.by or 'nobody'}:{messages.network(visitor.address)}"
    with suppress(SQLAlchemyError):
        if windows.first(f"denied:{who}", limits.MINUTE):
            events.record_refusal("authz.denied", visitor, user_id=denied.by, by=denied.by, at=at)
