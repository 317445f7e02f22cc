"""Data in and out: profiles, uploads, exports, sealed request headers, bytes fetched, files to remove."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

MOMENT = postgresql.TIMESTAMP(timezone=True)
NOW = sa.text("now()")


def upgrade() -> None:
    op.add_column("datasets", sa.Column("description", sa.Text(), server_default="", nullable=False))
    op.add_column("datasets", sa.Column("source_name", sa.String(200), server_default="", nullable=False))
    op.add_column("datasets", sa.Column("found", postgresql.JSONB(), server_default="{}", nullable=False))
    op.add_column("datasets", sa.Column("skipped", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("datasets", sa.Column("first_skipped", postgresql.JSONB()))
    op.add_column("datasets", sa.Column("profile", postgresql.JSONB()))

    op.create_table(
        "uploads",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("uuid", sa.Uuid(), nullable=False),
        sa.Column("owner_id", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("store_key", sa.String(200), nullable=False),
        sa.Column("created_at", MOMENT, server_default=NOW, nullable=False),
        sa.ForeignKeyConstraint(["owner_id"], ["users.id"], "fk_uploads_owner_id_users", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_uploads"),
        sa.UniqueConstraint("uuid", name="uq_uploads_uuid"),
        sa.UniqueConstraint("store_key", name="uq_uploads_store_key"),
    )
    op.create_index("ix_uploads_owner_id_id", "uploads", ["owner_id", "id"])
    op.create_index("ix_uploads_created_at", "uploads", ["created_at"])
    op.create_table(
        "exports",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("owner_id", sa.BigInteger(), nullable=False),
        sa.Column("task_id", sa.BigInteger(), nullable=False),
        sa.Column("dataset_id", sa.BigInteger()),
        sa.Column("filename", sa.String(300), nullable=False),
        sa.Column("media_type", sa.String(100), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("store_key", sa.String(200), nullable=False),
        sa.Column("created_at", MOMENT, server_default=NOW, nullable=False),
        sa.Column("keep_until", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["owner_id"], ["users.id"], "fk_exports_owner_id_users", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.id"], "fk_exports_task_id_tasks", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["dataset_id"], ["datasets.id"], "fk_exports_dataset_id_datasets", ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id", name="pk_exports"),
        sa.UniqueConstraint("task_id", name="uq_exports_task_id"),
        sa.UniqueConstraint("store_key", name="uq_exports_store_key"),
    )
    op.create_index("ix_exports_owner_id_id", "exports", ["owner_id", "id"])
    op.create_index("ix_exports_dataset_id", "exports", ["dataset_id"])
    op.create_index("ix_exports_keep_until", "exports", ["keep_until"])
    op.create_table(
        "task_headers",
        sa.Column("task_id", sa.BigInteger(), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.id"], "fk_task_headers_task_id_tasks", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("task_id", name="pk_task_headers"),
    )
    op.create_table(
        "transfers",
        sa.Column("owner_id", sa.BigInteger(), nullable=False),
        sa.Column("hour", MOMENT, nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["owner_id"], ["users.id"], "fk_transfers_owner_id_users", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("owner_id", "hour", name="pk_transfers"),
    )
    op.create_index("ix_transfers_hour", "transfers", ["hour"])
    op.create_table(
        "removals",
        sa.Column("store_key", sa.String(200), nullable=False),
        sa.Column("created_at", MOMENT, server_default=NOW, nullable=False),
        sa.PrimaryKeyConstraint("store_key", name="pk_removals"),
    )


def downgrade() -> None:
    for table in ("removals", "transfers", "task_headers", "exports", "uploads"):
        op.drop_table(table)
    for column in ("profile", "first_skipped", "skipped", "found", "source_name", "description"):
        op.drop_column("datasets", column)
