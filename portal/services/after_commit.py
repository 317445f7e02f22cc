"""What is to be done once the transaction is committed, and not at all when it is rolled back."""

from collections.abc import Callable

from sqlalchemy import event
from sqlalchemy.orm import Session

from portal.extensions import db

_KEY = "after_commit"


def do(action: Callable[[], object]) -> None:
    """Call `action` after the current transaction's commit; it must not use the database."""
    db.session.info.setdefault(_KEY, []).append(action)


def _committed(session: Session) -> None:
    # Both events fire for savepoints too.
    if not session.in_nested_transaction():
        for action in session.info.pop(_KEY, []):
            action()


def _rolled_back(session: Session) -> None:
    if not session.in_nested_transaction():
        session.info.pop(_KEY, None)


def register() -> None:
    """Listen to the session's ends; safe to call again."""
    for name, handler in (
        ("after_commit", _committed),
        ("after_rollback", _rolled_back),
    ):
        if not event.contains(db.session, name, handler):
            event.listen(db.session, name, handler)
