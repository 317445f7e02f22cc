"""Wrong guesses are counted with the code they were made at."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("messages", sa.Column("wrong_guesses", sa.SmallInteger(), server_default="0", nullable=False))


def downgrade() -> None:
    op.drop_column("messages", "wrong_guesses")
