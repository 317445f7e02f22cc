"""The store that belongs to this database; the store holds the other half of what ties them."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, SmallInteger, String, func
from sqlalchemy.orm import Mapped, mapped_column

from portal.extensions import Model
from portal.models.accounts import Moment


class StoreIdentity(Model):
    """One row, once a store has been tied to this database.

    `cluster`: of which PostgreSQL, and which database of it, so that a copy is told from it. `generation` grows, here
    and then in the store. `orphans` of `files` were too many to be moved at once: tidying has stopped.
    """

    __tablename__ = "store_identities"

    id: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False, default=1)
    uuid: Mapped[UUID]
    cluster: Mapped[str] = mapped_column(String(60))
    generation: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    schema: Mapped[str] = mapped_column(String(32))
    adopted_at: Mapped[datetime] = mapped_column(Moment, server_default=func.now())
    quiet_until: Mapped[datetime] = mapped_column(Moment)
    files: Mapped[int | None] = mapped_column(BigInteger)
    orphans: Mapped[int | None] = mapped_column(BigInteger)
    stopped_at: Mapped[datetime | None] = mapped_column(Moment)

    __table_args__ = (CheckConstraint("id = 1", name="one"),)
