"""Who is alive: workers, with how many tasks each can run at once, and dispatchers."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert

from portal.extensions import db
from portal.models import Process

BEAT_SECONDS = 2
ALIVE_SECONDS = 6


def seen(name: str, kind: str, slots: int = 0) -> None:
    """Note that a process is alive; wakes the dispatchers when a worker comes."""
    before = db.session.scalar(select(Process.seen_at > _since()).where(Process.name == name[:100]))
    values = {"kind": kind, "slots": slots, "seen_at": func.now()}
    started = {} if before else {"started_at": func.now()}
    query = insert(Process).values(name=name[:100], **values)
    db.session.execute(query.on_conflict_do_update(index_elements=["name"], set_=values | started))
    if slots and not before:
        db.session.execute(select(func.pg_notify("tasks_waiting", "")))


def note(name: str, trouble: str) -> None:
    """What is wrong with its store; empty when nothing is."""
    this = Process.name == name[:100], Process.trouble != trouble
    db.session.execute(update(Process).where(*this).values(trouble=trouble))


def have_trouble() -> bool:
    """Whether something is wrong with the store of one that was seen lately."""
    query = select(func.count()).select_from(Process).where(Process.seen_at > _since(), Process.trouble != "")
    return bool(db.session.scalar(query))


def gone(name: str) -> None:
    """Note that a process ends: it has no slots any more, and is not alive."""
    past = _since() - timedelta(seconds=1)
    db.session.execute(update(Process).where(Process.name == name[:100]).values(slots=0, seen_at=past))


def last_seen(name: str) -> datetime | None:
    """When a process of this name was last seen; None if it is not alive."""
    return db.session.scalar(select(Process.seen_at).where(Process.name == name[:100], Process.seen_at > _since()))


def alive(kind: str) -> Sequence[Process]:
    """Those of a kind that were seen lately, by name."""
    query = select(Process).where(Process.kind == kind, Process.seen_at > _since()).order_by(Process.name)
    return db.session.scalars(query.execution_options(populate_existing=True)).all()


def slots() -> int:
    """How many tasks all living workers can run at once."""
    query = select(func.coalesce(func.sum(Process.slots), 0)).where(Process.seen_at > _since())
    return int(db.session.scalar(query) or 0)


def forget_old() -> int:
    """Delete those that have not been seen for a day; how many."""
    old = Process.seen_at < func.now() - timedelta(days=1)
    return len(db.session.scalars(delete(Process).where(old).returning(Process.name)).all())


def _since() -> Any:
    return func.now() - timedelta(seconds=ALIVE_SECONDS)
