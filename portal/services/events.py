"""The history of accounts: who did what, from where; each row is chained to the one before by a keyed hash.

`record` notes an event of the current transaction; it is written as the last thing before the commit, so that the
lock on the end of the chain is held for one insert only. `record_now` writes at once, in a transaction of its own,
for refusals whose transaction is rolled back.
"""

import hmac
import json
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from sqlalchemy import Connection, event, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from portal import limits
from portal.extensions import db, settings
from portal.models import Event, EventsHead, User
from portal.services import windows
from portal.services.paging import Page, page
from portal.wording import EVENTS

_KEY = "events"
# They tell what the answers do not: which names exist inside, which ids are somebody else's.
_FOR_OPERATORS = ("ssrf.blocked", "ssrf.limited", "authz.denied", "auth.spray")
GENESIS = "0" * 64


@dataclass(frozen=True)
class Visitor:
    """Where a request comes from."""

    address: str = ""
    user_agent: str = ""


NOBODY = Visitor()


@dataclass(frozen=True)
class _Noted:
    kind: str
    user_id: int | None
    actor_id: int | None
    visitor: Visitor
    details: Mapping[str, Any]
    at: datetime = field(default_factory=lambda: datetime.now(UTC))

    def row(self) -> dict[str, Any]:
        return {
            "at": self.at,
            "kind": self.kind,
            "user_id": self.user_id,
            "actor_id": self.actor_id,
            "address": self.visitor.address[:45],
            "user_agent": self.visitor.user_agent[:300].replace("\x00", ""),
            "details": dict(self.details),
        }


def record(
    kind: str, visitor: Visitor, *, user_id: int | None = None, actor_id: int | None = None, **details: Any
) -> None:
    """Note an event; it becomes part of the history if and when the transaction commits.

    `details` are JSON values without secrets: no code, password, token, or full phone number.
    """
    db.session.connection()  # begins the transaction, so that its rollback is heard
    db.session.info.setdefault(_KEY, []).append(_noted(kind, visitor, user_id, actor_id, details))


def record_now(
    kind: str, visitor: Visitor, *, user_id: int | None = None, actor_id: int | None = None, **details: Any
) -> None:
    """Write an event at once, whatever becomes of the current transaction; hold no connection when calling this."""
    with db.engine.begin() as connection:
        _append(connection, [_noted(kind, visitor, user_id, actor_id, details)])


def record_refusal(
    kind: str, visitor: Visitor, *, user_id: int | None = None, by: int | None = None, **details: Any
) -> None:
    """As `record_now`, for what anybody can be refused without end, from as many networks as an IPv6 visitor has.

    So many of a kind, and of one member (`by`) or all strangers, are written down; nothing was compared or done.
    """
    if windows.note(f"noted:{kind}:{by or 'strangers'}", limits.REFUSALS_NOTED, share=secrets.token_hex(8)):
        record_now(kind, visitor, user_id=user_id, **details)


def _noted(
    kind: str, visitor: Visitor, user_id: int | None, actor_id: int | None, details: Mapping[str, Any]
) -> _Noted:
    if kind not in EVENTS:
        raise ValueError(f"no event is called {kind}")
    return _Noted(kind, user_id, user_id if actor_id is None else actor_id, visitor, details)


def list_for(user: User, *, cursor: int | None = None, limit: int, whole: bool = False) -> Page[Event]:
    """What happened to the user's account, newest first; `whole` with what is for operators alone."""
    mine = Event.user_id, user.id
    query = select(Event) if whole else select(Event).where(Event.kind.not_in(_FOR_OPERATORS))
    return page(query, Event, key=Event.position, of=mine, cursor=cursor, limit=limit)


def list_all(
    *,
    kind: str | None = None,
    user_id: int | None = None,
    address: str | None = None,
    cursor: int | None = None,
    limit: int,
) -> Page[Event]:
    """The whole history, newest first, narrowed to a kind, an account, an address; for admins."""
    query = select(Event)
    for column, wanted in ((Event.kind, kind), (Event.user_id, user_id), (Event.address, address)):
        if wanted is not None:
            query = query.where(column == wanted)
    return page(query, Event, key=Event.position, cursor=cursor, limit=limit)


def find_broken() -> tuple[int, int | None]:
    """Follow the chain from its first row: how many rows are right, and the position of the first that is not.

    A row that was changed is named itself; one that was removed by the position it had.
    """
    good, last = 0, GENESIS
    rows = db.session.execute(select(Event.__table__).order_by(Event.position).execution_options(yield_per=1000))
    for row in rows.mappings():
        values = {name: row[name] for name in row if name not in ("position", "hash")}
        if row["position"] != good + 1 or row["hash"] != _hash(last, good + 1, values):
            return good, good + 1
        good, last = good + 1, row["hash"]
    head = db.session.get(EventsHead, True)
    expected = (good, last) if good else None
    if head is None:
        return good, None if expected is None else good
    if head.mac != _mac(head.position, head.hash) or (head.position, head.hash) != expected:
        return good, good + 1 if head.position > good else good
    return good, None


def register() -> None:
    """Listen to the session's commits; safe to call again."""
    for name, handler in (("before_commit", _write), ("after_rollback", _forget)):
        if not event.contains(db.session, name, handler):
            event.listen(db.session, name, handler)


def _write(session: Session) -> None:
    if not session.in_nested_transaction() and (noted := session.info.pop(_KEY, [])):
        session.flush()
        _append(session.connection(), noted)


def _forget(session: Session) -> None:
    if not session.in_nested_transaction():
        session.info.pop(_KEY, None)


def _append(connection: Connection, noted: list[_Noted]) -> None:
    connection.execute(
        upsert(EventsHead).values(one=True, position=0, hash=GENESIS, mac=_mac(0, GENESIS)).on_conflict_do_nothing()
    )
    head = connection.execute(select(EventsHead.position, EventsHead.hash).with_for_update()).one()
    position, last = head
    for row in _rows(noted, position, last):
        position, last = row["position"], row["hash"]
        connection.execute(insert(Event).values(**row))
    connection.execute(update(EventsHead).values(position=position, hash=last, mac=_mac(position, last)))


def _rows(noted: list[_Noted], position: int, last: str) -> Iterator[dict[str, Any]]:
    for each in noted:
        row, position = each.row(), position + 1
        last = _hash(last, position, row)
        yield {"position": position, "hash": last, **row}


def _hash(last: str, position: int, row: Mapping[str, Any]) -> str:
    told = {**row, "at": row["at"].astimezone(UTC).isoformat(timespec="microseconds"), "position": position}
    text = json.dumps(told, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hmac.new(settings().derived("events", lasting=True), (last + text).encode(), sha256).hexdigest()


def _mac(position: int, last: str) -> str:
    return hmac.new(settings().derived("events-head", lasting=True), f"{position}:{last}".encode(), sha256).hexdigest()
