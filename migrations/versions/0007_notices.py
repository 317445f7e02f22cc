"""Wrong guesses are counted with the code they were made at; notices to owners gather what they tell."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

# Notices that wait while this runs go out all the same.
_OLD = {"password_changed": "password.changed", "email_changed": "account.email", "token_reused": "token.reused"}


def upgrade() -> None:
    op.add_column("messages", sa.Column("wrong_guesses", sa.SmallInteger(), server_default="0", nullable=False))
    op.add_column("messages", sa.Column("changes", postgresql.JSONB(), server_default="{}", nullable=False))
    op.alter_column("messages", "mail_to", new_column_name="send_to")
    op.create_index("ix_sessions_user_id", "sessions", ["user_id"])
    for purpose, kind in _OLD.items():
        op.execute(
            sa.text(
                "UPDATE messages SET purpose = 'account_changed', changes = jsonb_build_object("
                "CAST(:kind AS text), jsonb_build_object('count', 1, 'at', created_at, 'details', '{}'::jsonb))"
                " WHERE purpose = :purpose AND state = 'waiting'"
            ).bindparams(kind=kind, purpose=purpose)
        )


def downgrade() -> None:
    op.execute("UPDATE messages SET state = 'suppressed' WHERE purpose = 'account_changed' AND state = 'waiting'")
    op.drop_index("ix_sessions_user_id", "sessions")
    op.alter_column("messages", "send_to", new_column_name="mail_to")
    op.drop_column("messages", "changes")
    op.drop_column("messages", "wrong_guesses")
