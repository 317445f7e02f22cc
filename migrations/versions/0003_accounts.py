"""Second factors, the history, and the ledger of what was sent."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

RULES = """
CREATE FUNCTION events_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'the history is only ever added to' USING ERRCODE = '23514';
END $$;
CREATE TRIGGER events_append_only BEFORE UPDATE OR DELETE ON events FOR EACH ROW EXECUTE FUNCTION events_append_only();

-- Wake the postman when a mail waits.
CREATE FUNCTION messages_waiting() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('messages_waiting', '');
  RETURN NULL;
END $$;
CREATE TRIGGER messages_waiting AFTER INSERT ON messages FOR EACH ROW
  WHEN (NEW.state = 'waiting') EXECUTE FUNCTION messages_waiting();
"""

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "events",
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=True),
        sa.Column("actor_id", sa.BigInteger(), nullable=True),
        sa.Column("address", sa.String(length=45), nullable=False),
        sa.Column("user_agent", sa.String(length=300), nullable=False),
        sa.Column("details", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_events")),
    )
    with op.batch_alter_table("events", schema=None) as batch_op:
        batch_op.create_index("ix_events_kind_position", ["kind", sa.literal_column("position DESC")], unique=False)
        batch_op.create_index(
            "ix_events_user_id_position", ["user_id", sa.literal_column("position DESC")], unique=False
        )

    op.create_table(
        "events_head",
        sa.Column("one", sa.Boolean(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("mac", sa.String(length=64), nullable=False),
        sa.CheckConstraint("one", name=op.f("ck_events_head_one")),
        sa.PrimaryKeyConstraint("one", name=op.f("pk_events_head")),
    )
    op.create_table(
        "stopped_prefixes",
        sa.Column("prefix", sa.String(length=12), nullable=False),
        sa.Column("stopped_at", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("sent", sa.Integer(), nullable=False),
        sa.Column("verified", sa.Integer(), nullable=False),
        sa.Column("lifted_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("prefix", name=op.f("pk_stopped_prefixes")),
    )
    op.create_table(
        "messages",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("channel", sa.String(length=4), nullable=False),
        sa.Column("purpose", sa.String(length=20), nullable=False),
        sa.Column("recipient", sa.String(length=32), nullable=False),
        sa.Column("prefix", sa.String(length=12), nullable=False),
        sa.Column("network", sa.String(length=49), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=True),
        sa.Column("mail_to", sa.String(length=254), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("vendor_code", sa.String(length=80), nullable=False),
        sa.Column("vendor_id", sa.String(length=80), nullable=False),
        sa.Column("attempt", sa.Integer(), server_default="0", nullable=False),
        sa.Column("created_at", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("send_after", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("verified_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.CheckConstraint("channel IN ('sms', 'mail')", name=op.f("ck_messages_channel")),
        sa.CheckConstraint(
            "state IN ('waiting', 'sending', 'sent', 'unknown', 'failed', 'suppressed')", name=op.f("ck_messages_state")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_messages")),
    )
    with op.batch_alter_table("messages", schema=None) as batch_op:
        batch_op.create_index(
            "ix_messages_created_at",
            ["channel", "created_at"],
            unique=False,
            postgresql_where=sa.text("state <> 'failed'"),
        )
        batch_op.create_index(
            "ix_messages_network",
            ["channel", "network", "created_at"],
            unique=False,
            postgresql_where=sa.text("state <> 'failed'"),
        )
        batch_op.create_index(
            "ix_messages_prefix",
            ["prefix", sa.literal_column("created_at DESC")],
            unique=False,
            postgresql_where=sa.text("state <> 'failed'"),
        )
        batch_op.create_index(
            "ix_messages_recipient",
            ["channel", "recipient", "created_at"],
            unique=False,
            postgresql_where=sa.text("state <> 'failed'"),
        )
        batch_op.create_index(
            "ix_messages_waiting", ["send_after"], unique=False, postgresql_where=sa.text("state = 'waiting'")
        )

    op.create_table(
        "recovery_codes",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("used_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_recovery_codes_user_id_users"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recovery_codes")),
    )
    with op.batch_alter_table("recovery_codes", schema=None) as batch_op:
        batch_op.create_index("uq_recovery_codes_user_id_digest", ["user_id", "digest"], unique=True)

    with op.batch_alter_table("sessions", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("fresh_at", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False)
        )
        batch_op.add_column(sa.Column("two_factor_at", postgresql.TIMESTAMP(timezone=True), nullable=True))

    with op.batch_alter_table("users", schema=None) as batch_op:
        batch_op.add_column(sa.Column("totp_secret", sa.String(length=200), nullable=True))
        batch_op.add_column(sa.Column("totp_since", postgresql.TIMESTAMP(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("totp_step", sa.BigInteger(), server_default="0", nullable=False))

    op.execute(RULES)


def downgrade() -> None:
    with op.batch_alter_table("users", schema=None) as batch_op:
        batch_op.drop_column("totp_step")
        batch_op.drop_column("totp_since")
        batch_op.drop_column("totp_secret")

    with op.batch_alter_table("sessions", schema=None) as batch_op:
        batch_op.drop_column("two_factor_at")
        batch_op.drop_column("fresh_at")

    with op.batch_alter_table("recovery_codes", schema=None) as batch_op:
        batch_op.drop_index("uq_recovery_codes_user_id_digest")

    op.drop_table("recovery_codes")
    with op.batch_alter_table("messages", schema=None) as batch_op:
        batch_op.drop_index("ix_messages_waiting", postgresql_where=sa.text("state = 'waiting'"))
        batch_op.drop_index("ix_messages_recipient", postgresql_where=sa.text("state <> 'failed'"))
        batch_op.drop_index("ix_messages_prefix", postgresql_where=sa.text("state <> 'failed'"))
        batch_op.drop_index("ix_messages_network", postgresql_where=sa.text("state <> 'failed'"))
        batch_op.drop_index("ix_messages_created_at", postgresql_where=sa.text("state <> 'failed'"))

    op.drop_table("messages")
    op.drop_table("stopped_prefixes")
    op.drop_table("events_head")
    with op.batch_alter_table("events", schema=None) as batch_op:
        batch_op.drop_index("ix_events_user_id_position")
        batch_op.drop_index("ix_events_kind_position")

    op.drop_table("events")
    op.execute("DROP FUNCTION messages_waiting; DROP FUNCTION events_append_only")
