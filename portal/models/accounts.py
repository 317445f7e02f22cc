"""People."""

from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import BigInteger, CheckConstraint, Identity, Index, String, func
from sqlalchemy.dialects.postgresql import TIMESTAMP
from sqlalchemy.orm import Mapped, mapped_column

from portal.extensions import Model

ROLES = ("user", "admin", "super_admin")
Moment = TIMESTAMP(timezone=True)


class User(Model):
    """One person. `uuid` is the public id; e-mail is kept in lower case, the phone number in E.164."""

    __tablename__ = "users"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    uuid: Mapped[UUID] = mapped_column(default=uuid4, unique=True)
    username: Mapped[str] = mapped_column(String(32))
    email: Mapped[str] = mapped_column(String(254))
    phone_number: Mapped[str] = mapped_column(String(16))
    hashed_password: Mapped[str] = mapped_column(String(60))
    role: Mapped[str] = mapped_column(String(16), default="user", server_default="user")
    is_active: Mapped[bool] = mapped_column(default=True, server_default="true")
    email_verified_at: Mapped[datetime | None] = mapped_column(Moment)
    locale: Mapped[str] = mapped_column(String(8), default="zh", server_default="zh")
    created_at: Mapped[datetime] = mapped_column(Moment, server_default=func.now())

    __table_args__ = (
        Index("uq_users_username", func.lower(username), unique=True),
        Index("uq_users_email", email, unique=True),
        Index("uq_users_phone_number", phone_number, unique=True),
        CheckConstraint(f"role IN {ROLES}", name="role"),
        CheckConstraint("email = lower(email)", name="email_lower"),
    )
