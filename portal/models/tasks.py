"""Tasks: the row is the queue of record. The trigger that holds its rules is in the migration."""

from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Identity,
    Index,
    SmallInteger,
    String,
    Text,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column, relationship

from portal.extensions import Model
from portal.models.accounts import Moment, User

STATUSES = (
    "pending",
    "queued",
    "processing",
    "completed",
    "failed",
    "cancelled",
    "expired",
)
WAITING = ("pending", "queued")
LIVE = (*WAITING, "processing")
ENDED = ("completed", "failed", "cancelled", "expired")


class Task(Model):
    """One piece of work. `version` grows with every write, so that an older copy never replaces a newer one."""

    __tablename__ = "tasks"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    uuid: Mapped[UUID] = mapped_column(default=uuid4, unique=True)
    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(String(20))
    params: Mapped[dict[str, Any]] = mapped_column(JSONB, default=dict)
    status: Mapped[str] = mapped_column(String(12), default="pending", server_default="pending")
    progress: Mapped[int] = mapped_column(SmallInteger, default=0, server_default="0")
    message: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    result: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    error: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    attempt: Mapped[int] = mapped_column(SmallInteger, default=0, server_default="0")
    losses: Mapped[int] = mapped_column(SmallInteger, default=0, server_default="0")
    # The ended task that this one runs again; a second press of the button finds it here.
    retry_of: Mapped[UUID | None] = mapped_column(unique=True)
    version: Mapped[int] = mapped_column(BigInteger, default=1, server_default="1")
    worker: Mapped[str | None] = mapped_column(String(100))
    lease_until: Mapped[datetime | None] = mapped_column(Moment)
    created_at: Mapped[datetime] = mapped_column(Moment, server_default=func.now())
    next_run_at: Mapped[datetime] = mapped_column(Moment, server_default=func.now())
    start_before: Mapped[datetime] = mapped_column(Moment)
    dispatched_at: Mapped[datetime | None] = mapped_column(Moment)
    started_at: Mapped[datetime | None] = mapped_column(Moment)
    cancel_requested_at: Mapped[datetime | None] = mapped_column(Moment)
    finished_at: Mapped[datetime | None] = mapped_column(Moment)

    owner: Mapped[User] = relationship(lazy="raise")

    __table_args__ = (
        CheckConstraint(f"status IN {STATUSES}", name="status"),
        CheckConstraint("progress BETWEEN 0 AND 100", name="progress"),
        CheckConstraint("(status = 'processing') = (lease_until IS NOT NULL)", name="lease"),
        CheckConstraint(
            "(status IN ('pending', 'queued', 'processing')) = (finished_at IS NULL)",
            name="finished",
        ),
        Index("ix_tasks_owner_id_id", owner_id, id),
        Index(
            "ix_tasks_turn",
            owner_id,
            next_run_at,
            id,
            postgresql_where=text("status = 'pending'"),
        ),
        Index("ix_tasks_queued", dispatched_at, postgresql_where=text("status = 'queued'")),
        Index(
            "ix_tasks_processing",
            lease_until,
            postgresql_where=text("status = 'processing'"),
        ),
        Index(
            "ix_tasks_active",
            owner_id,
            postgresql_where=text("status IN ('queued', 'processing')"),
        ),
        Index(
            "ix_tasks_waiting",
            start_before,
            postgresql_where=text("status IN ('pending', 'queued')"),
        ),
    )


class TaskKey(Model):
    """What makes a repeated submit the same task: an Idempotency-Key or a form's nonce, and a hash of what was sent."""

    __tablename__ = "task_keys"

    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    digest: Mapped[str] = mapped_column(String(64))
    task_id: Mapped[int] = mapped_column(ForeignKey("tasks.id", ondelete="CASCADE"))
    created_at: Mapped[datetime] = mapped_column(Moment, server_default=func.now())

    __table_args__ = (Index("ix_task_keys_created_at", created_at), Index("ix_task_keys_task_id", task_id))


class TaskHeaders(Model):
    """Request headers that a fetch sends, encrypted: they may hold a password to the source."""

    __tablename__ = "task_headers"

    task_id: Mapped[int] = mapped_column(ForeignKey("tasks.id", ondelete="CASCADE"), primary_key=True)
    sealed: Mapped[str] = mapped_column(Text)


class TaskEvent(Model):
    """A step of a task's timeline. Written by the database with the change itself (migration 0004)."""

    __tablename__ = "task_events"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    task_id: Mapped[int] = mapped_column(ForeignKey("tasks.id", ondelete="CASCADE"))
    at: Mapped[datetime] = mapped_column(Moment, server_default=func.clock_timestamp())
    kind: Mapped[str] = mapped_column(String(20))
    attempt: Mapped[int] = mapped_column(SmallInteger)
    details: Mapped[dict[str, Any]] = mapped_column(JSONB)

    __table_args__ = (Index("ix_task_events_task_id_id", task_id, id),)


class Turn(Model):
    """When an owner's task was last admitted: among equals, who was served longest ago is next."""

    __tablename__ = "turns"

    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    served_at: Mapped[datetime] = mapped_column(Moment)


class Process(Model):
    """A worker (with so many slots) or a dispatcher, when it was last seen alive, and why its store is not ours."""

    __tablename__ = "processes"

    name: Mapped[str] = mapped_column(String(100), primary_key=True)
    kind: Mapped[str] = mapped_column(String(12))
    slots: Mapped[int] = mapped_column(SmallInteger)
    started_at: Mapped[datetime] = mapped_column(Moment, server_default=func.now())
    seen_at: Mapped[datetime] = mapped_column(Moment, server_default=func.now())
    trouble: Mapped[str] = mapped_column(String(30), default="", server_default="")


class Notice(Model):
    """A task that has ended, whose owner wants a mail about it. Written by the database with the end itself."""

    __tablename__ = "notices"

    task_id: Mapped[int] = mapped_column(ForeignKey("tasks.id", ondelete="CASCADE"), primary_key=True)
    created_at: Mapped[datetime] = mapped_column(Moment, server_default=func.now())
