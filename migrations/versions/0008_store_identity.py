"""Which store belongs to this database; what is wrong with a process."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

MOMENT = postgresql.TIMESTAMP(timezone=True)


def upgrade() -> None:
    # The row is written by the first dispatcher that finds its store to be this database's.
    op.create_table(
        "store_identities",
        sa.Column("id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("uuid", sa.Uuid(), nullable=False),
        sa.Column("cluster", sa.String(60), nullable=False),
        sa.Column("generation", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("schema", sa.String(32), nullable=False),
        sa.Column("adopted_at", MOMENT, server_default=sa.text("now()"), nullable=False),
        sa.Column("quiet_until", MOMENT, nullable=False),
        sa.Column("files", sa.BigInteger()),
        sa.Column("orphans", sa.BigInteger()),
        sa.Column("stopped_at", MOMENT),
        sa.CheckConstraint("id = 1", "ck_store_identities_one"),
        sa.PrimaryKeyConstraint("id", name="pk_store_identities"),
    )
    op.add_column("processes", sa.Column("trouble", sa.String(30), server_default="", nullable=False))


def downgrade() -> None:
    op.drop_column("processes", "trouble")
    op.drop_table("store_identities")
