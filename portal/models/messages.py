"""What was sent by SMS and mail: the ledger that limits and spending are counted from."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Identity, Index, SmallInteger, String, func, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from portal.extensions import Model
from portal.models.accounts import Moment

STATES = ("waiting", "sending", "sent", "unknown", "failed", "suppressed")
COUNTS = text("state <> 'failed'")  # what was surely not sent gives its share back


class Message(Model):
    """One SMS or mail. `recipient` is a keyed hash of the number or address, `prefix` the number's first digits.

    `waiting` and `sending` are written before the provider is called; `unknown` may have been sent and is never resent.
    `suppressed` had nobody to go to, and counts as if it had. What waits is the postman's; it goes to the user's
    address, or to `send_to` (a number is encrypted there), which is emptied when it has gone. `changes` are what a
    notice tells of, by kind.
    """

    __tablename__ = "messages"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    channel: Mapped[str] = mapped_column(String(4))
    purpose: Mapped[str] = mapped_column(String(20))
    recipient: Mapped[str] = mapped_column(String(32))
    prefix: Mapped[str] = mapped_column(String(12), default="")
    network: Mapped[str] = mapped_column(String(49), default="")
    # No foreign key: it would lock the user's row while the limits' locks are held.
    user_id: Mapped[int | None] = mapped_column(BigInteger)
    task_id: Mapped[int | None] = mapped_column(BigInteger, unique=True)  # one mail a task, ever
    send_to: Mapped[str] = mapped_column(String(254), default="")
    state: Mapped[str] = mapped_column(String(10))
    vendor_code: Mapped[str] = mapped_column(String(80), default="")
    vendor_id: Mapped[str] = mapped_column(String(80), default="")
    changes: Mapped[dict[str, Any]] = mapped_column(JSONB, default=dict, server_default="{}")
    attempt: Mapped[int] = mapped_column(default=0, server_default="0")
    created_at: Mapped[datetime] = mapped_column(Moment, server_default=func.now())
    send_after: Mapped[datetime | None] = mapped_column(Moment)
    verified_at: Mapped[datetime | None] = mapped_column(Moment)
    # Guesses at the code it carried: counted before they are compared, and not those that were right.
    wrong_guesses: Mapped[int] = mapped_column(SmallInteger, default=0, server_default="0")

    __table_args__ = (
        CheckConstraint("channel IN ('sms', 'mail')", name="channel"),
        CheckConstraint(f"state IN {STATES}", name="state"),
        Index("ix_messages_recipient", channel, recipient, created_at, postgresql_where=COUNTS),
        Index("ix_messages_network", channel, network, created_at, postgresql_where=COUNTS),
        Index("ix_messages_created_at", channel, created_at, postgresql_where=COUNTS),
        Index("ix_messages_prefix", prefix, created_at.desc(), postgresql_where=COUNTS),
        Index("ix_messages_waiting", send_after, postgresql_where=text("state = 'waiting'")),
    )


class StoppedPrefix(Model):
    """Numbers that begin so get no more codes: too few of those sent were ever used."""

    __tablename__ = "stopped_prefixes"

    prefix: Mapped[str] = mapped_column(String(12), primary_key=True)
    stopped_at: Mapped[datetime] = mapped_column(Moment, server_default=func.now())
    sent: Mapped[int] = mapped_column()
    verified: Mapped[int] = mapped_column()
    lifted_at: Mapped[datetime | None] = mapped_column(Moment)
