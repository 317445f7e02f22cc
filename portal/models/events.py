"""What happened to accounts: written once, never changed; each row's keyed hash covers the row before it."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Boolean, CheckConstraint, Index, String
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from portal.extensions import Model
from portal.models.accounts import Moment


class Event(Model):
    """One event of the history. `position` has no gaps; `user_id` is whose account, `actor_id` who did it, if known.

    They are no foreign keys: a row outlives what it tells of, and nothing may change it.
    """

    __tablename__ = "events"

    position: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    at: Mapped[datetime] = mapped_column(Moment)
    kind: Mapped[str] = mapped_column(String(40))
    user_id: Mapped[int | None] = mapped_column(BigInteger)
    actor_id: Mapped[int | None] = mapped_column(BigInteger)
    address: Mapped[str] = mapped_column(String(45))
    user_agent: Mapped[str] = mapped_column(String(300))
    details: Mapped[dict[str, Any]] = mapped_column(JSONB)
    hash: Mapped[str] = mapped_column(String(64))

    __table_args__ = (
        Index("ix_events_user_id_position", user_id, position),
        Index("ix_events_kind_position", kind, position.desc()),
    )


class EventsHead(Model):
    """The one row that says where the history ends; its mac keeps the last rows from being cut off unseen."""

    __tablename__ = "events_head"

    one: Mapped[bool] = mapped_column(Boolean, primary_key=True, default=True)
    position: Mapped[int] = mapped_column(BigInteger)
    hash: Mapped[str] = mapped_column(String(64))
    mac: Mapped[str] = mapped_column(String(64))

    __table_args__ = (CheckConstraint("one", name="one"),)
