"""People, and what proves that they are who they say."""

from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Identity, Index, String, func
from sqlalchemy.dialects.postgresql import TIMESTAMP
from sqlalchemy.orm import Mapped, mapped_column

from portal import account_names
from portal.extensions import Model

ROLES = ("user", "admin", "super_admin")
Moment = TIMESTAMP(timezone=True)


def _username_key(context: Any) -> str:
    return account_names.fold(context.get_current_parameters()["username"])


class User(Model):
    """One person. `uuid` is the public id; names are kept as `account_names` makes them.

    `email` was verified, and is a name like the two others; `pending_email` waits to be: it protects nothing.
    """

    __tablename__ = "users"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    uuid: Mapped[UUID] = mapped_column(default=uuid4, unique=True)
    username: Mapped[str] = mapped_column(String(32))
    username_key: Mapped[str] = mapped_column(String(128), default=_username_key)
    email: Mapped[str | None] = mapped_column(String(254))
    pending_email: Mapped[str | None] = mapped_column(String(254))
    phone_number: Mapped[str] = mapped_column(String(16))
    hashed_password: Mapped[str] = mapped_column(String(60))
    role: Mapped[str] = mapped_column(String(16), default="user", server_default="user")
    is_active: Mapped[bool] = mapped_column(default=True, server_default="true")
    email_verified_at: Mapped[datetime | None] = mapped_column(Moment)
    locale: Mapped[str] = mapped_column(String(8), default="zh", server_default="zh")
    mail_when_done: Mapped[bool] = mapped_column(default=False, server_default="false")
    created_at: Mapped[datetime] = mapped_column(Moment, server_default=func.now())
    # The second factor: its secret, encrypted; it counts from `totp_since` on; the last time step that was used.
    totp_secret: Mapped[str | None] = mapped_column(String(200))
    totp_since: Mapped[datetime | None] = mapped_column(Moment)
    totp_step: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")

    __table_args__ = (
        Index("uq_users_username_key", username_key, unique=True),
        Index("uq_users_email", email, unique=True),
        Index("uq_users_phone_number", phone_number, unique=True),
        CheckConstraint(f"role IN {ROLES}", name="role"),
        CheckConstraint("(email IS NULL) = (email_verified_at IS NULL)", name="email_verified"),
    )

    @property
    def is_admin(self) -> bool:
        return self.role in ("admin", "super_admin")

    @property
    def has_second_factor(self) -> bool:
        return self.totp_since is not None


class RecoveryCode(Model):
    """One of the codes that stand in for a lost second factor: its keyed hash, and when it was used."""

    __tablename__ = "recovery_codes"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    digest: Mapped[str] = mapped_column(String(64))
    used_at: Mapped[datetime | None] = mapped_column(Moment)

    __table_args__ = (Index("uq_recovery_codes_user_id_digest", user_id, digest, unique=True),)
