"""Files in the store, each under its `store_key`: datasets that a fetch made, uploads it reads, exports of them."""

from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import BigInteger, ForeignKey, Identity, Index, String, Text, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from portal.extensions import Model
from portal.models.accounts import Moment


class Dataset(Model):
    """One table of data. `source_*` describe the bytes as fetched, `stored_*` the Parquet file.

    An upload has a `source_name` and no `source_url`. `found`: how it was read, `profile`: what is in each column.
    """

    __tablename__ = "datasets"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    uuid: Mapped[UUID] = mapped_column(default=uuid4, unique=True)
    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    # One task makes at most one dataset, whatever dies.
    task_id: Mapped[int] = mapped_column(ForeignKey("tasks.id", ondelete="CASCADE"), unique=True)
    name: Mapped[str] = mapped_column(String(200))
    description: Mapped[str] = mapped_column(Text, default="", server_default="")
    source_url: Mapped[str] = mapped_column(Text)
    source_name: Mapped[str] = mapped_column(String(200), default="", server_default="")
    source_bytes: Mapped[int] = mapped_column(BigInteger)
    source_sha256: Mapped[str] = mapped_column(String(64))
    store_key: Mapped[str] = mapped_column(String(200), unique=True)
    stored_bytes: Mapped[int] = mapped_column(BigInteger)
    stored_sha256: Mapped[str] = mapped_column(String(64))
    rows: Mapped[int] = mapped_column(BigInteger)
    columns: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    found: Mapped[dict[str, Any]] = mapped_column(JSONB, default=dict, server_default="{}")
    skipped: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    first_skipped: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    profile: Mapped[list[dict[str, Any]] | None] = mapped_column(JSONB(none_as_null=True), deferred=True)
    created_at: Mapped[datetime] = mapped_column(Moment, server_default=func.now())
    keep_until: Mapped[datetime] = mapped_column(Moment)

    __table_args__ = (
        Index("ix_datasets_owner_id_id", owner_id, id),
        Index("ix_datasets_keep_until", keep_until),
    )


class Upload(Model):
    """A file that its owner sent, to be read by fetches; kept for a day, and as long as a task waits for it."""

    __tablename__ = "uploads"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    uuid: Mapped[UUID] = mapped_column(default=uuid4, unique=True)
    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(200))
    bytes: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str] = mapped_column(String(64))
    store_key: Mapped[str] = mapped_column(String(200), unique=True)
    created_at: Mapped[datetime] = mapped_column(Moment, server_default=func.now())

    __table_args__ = (Index("ix_uploads_owner_id_id", owner_id, id), Index("ix_uploads_created_at", created_at))


class Export(Model):
    """A file made of a dataset; it outlives the dataset."""

    __tablename__ = "exports"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    task_id: Mapped[int] = mapped_column(ForeignKey("tasks.id", ondelete="CASCADE"), unique=True)
    dataset_id: Mapped[int | None] = mapped_column(ForeignKey("datasets.id", ondelete="SET NULL"))
    filename: Mapped[str] = mapped_column(String(300))
    media_type: Mapped[str] = mapped_column(String(100))
    rows: Mapped[int] = mapped_column(BigInteger)
    bytes: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str] = mapped_column(String(64))
    store_key: Mapped[str] = mapped_column(String(200), unique=True)
    created_at: Mapped[datetime] = mapped_column(Moment, server_default=func.now())
    keep_until: Mapped[datetime] = mapped_column(Moment)

    __table_args__ = (
        Index("ix_exports_owner_id_id", owner_id, id),
        Index("ix_exports_dataset_id", dataset_id),
        Index("ix_exports_keep_until", keep_until),
    )


class Transfer(Model):
    """How many bytes an owner took in, by fetches and uploads, in the hour that began then."""

    __tablename__ = "transfers"

    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    hour: Mapped[datetime] = mapped_column(Moment, primary_key=True)
    bytes: Mapped[int] = mapped_column(BigInteger)

    __table_args__ = (Index("ix_transfers_hour", hour),)


class Removal(Model):
    """A file of the store whose row is gone; written with that, removed soon after."""

    __tablename__ = "removals"

    store_key: Mapped[str] = mapped_column(String(200), primary_key=True)
    created_at: Mapped[datetime] = mapped_column(Moment, server_default=func.now())
