"""Log-ins: a browser's or a program's."""

from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, func, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from portal.extensions import Model
from portal.models.accounts import Moment, User


class LoginSession(Model):
    """One log-in; cookie and tokens carry its id. It is live while `ended_at` is empty and `expires_at` ahead."""

    __tablename__ = "sessions"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(String(8))
    user_agent: Mapped[str] = mapped_column(String(300), default="")
    address: Mapped[str] = mapped_column(String(45), default="")
    created_at: Mapped[datetime] = mapped_column(Moment, server_default=func.now())
    last_used_at: Mapped[datetime] = mapped_column(Moment, server_default=func.now())
    expires_at: Mapped[datetime] = mapped_column(Moment)
    ended_at: Mapped[datetime | None] = mapped_column(Moment)
    end_reason: Mapped[str | None] = mapped_column(String(20))
    # Refresh tokens rotate: the one that is good now, and the one before it with the moment of the change.
    refresh_jti: Mapped[str | None] = mapped_column(String(36))
    refresh_jti_before: Mapped[str | None] = mapped_column(String(36))
    rotated_at: Mapped[datetime | None] = mapped_column(Moment)
    # When the person last proved to be there (password or code), and when a second factor was given.
    fresh_at: Mapped[datetime] = mapped_column(Moment, server_default=func.now())
    two_factor_at: Mapped[datetime | None] = mapped_column(Moment)

    user: Mapped[User] = relationship(lazy="joined", innerjoin=True)

    __table_args__ = (
        Index("ix_sessions_user_id", user_id),
        CheckConstraint("kind IN ('browser', 'api')", name="kind"),
        Index(
            "ix_sessions_user_id_live",
            user_id,
            last_used_at.desc(),
            postgresql_where=text("ended_at IS NULL"),
        ),
        Index(
            "ix_sessions_ended_at",
            ended_at,
            postgresql_where=text("ended_at IS NOT NULL"),
        ),
    )
