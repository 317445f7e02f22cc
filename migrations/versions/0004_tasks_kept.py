"""Tasks that keep their word: keys, timeline, turns, who is alive, notices."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

RULES = """
CREATE OR REPLACE FUNCTION tasks_rules() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.status <> OLD.status AND (OLD.status || '>' || NEW.status) <> ALL (ARRAY[
    'pending>queued', 'pending>processing', 'pending>cancelled', 'pending>expired',
    'queued>pending', 'queued>processing', 'queued>cancelled', 'queued>expired',
    'processing>pending', 'processing>completed', 'processing>failed', 'processing>cancelled',
    'completed>expired'
  ]) THEN
    RAISE EXCEPTION 'task % may not go from % to %', OLD.uuid, OLD.status, NEW.status USING ERRCODE = '23514';
  END IF;
  IF NEW.status = OLD.status AND OLD.status IN ('completed', 'failed', 'cancelled', 'expired') THEN
    RAISE EXCEPTION 'task % has ended as %', OLD.uuid, OLD.status USING ERRCODE = '23514';
  END IF;
  IF NEW.attempt <> OLD.attempt + (CASE WHEN NEW.status = 'processing' AND OLD.status <> 'processing' THEN 1 ELSE 0 END) THEN
    RAISE EXCEPTION 'task %: attempts count claims', OLD.uuid USING ERRCODE = '23514';
  END IF;
  IF (NEW.uuid, NEW.owner_id, NEW.kind, NEW.params, NEW.created_at, NEW.retry_of) IS DISTINCT FROM
     (OLD.uuid, OLD.owner_id, OLD.kind, OLD.params, OLD.created_at, OLD.retry_of) THEN
    RAISE EXCEPTION 'task %: what was submitted does not change', OLD.uuid USING ERRCODE = '23514';
  END IF;
  IF NEW.progress < OLD.progress OR NEW.losses < OLD.losses THEN
    RAISE EXCEPTION 'task %: progress never falls', OLD.uuid USING ERRCODE = '23514';
  END IF;
  NEW.version := OLD.version + 1;
  RETURN NEW;
END $$;
"""

RULES_BEFORE = """
CREATE OR REPLACE FUNCTION tasks_rules() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.status <> OLD.status AND (OLD.status || '>' || NEW.status) <> ALL (ARRAY[
    'pending>queued', 'pending>processing', 'pending>cancelled', 'pending>expired',
    'queued>pending', 'queued>processing', 'queued>cancelled', 'queued>expired',
    'processing>pending', 'processing>completed', 'processing>failed', 'processing>cancelled',
    'completed>expired'
  ]) THEN
    RAISE EXCEPTION 'task % may not go from % to %', OLD.uuid, OLD.status, NEW.status USING ERRCODE = '23514';
  END IF;
  IF NEW.status = OLD.status AND OLD.status IN ('completed', 'failed', 'cancelled', 'expired') THEN
    RAISE EXCEPTION 'task % has ended as %', OLD.uuid, OLD.status USING ERRCODE = '23514';
  END IF;
  IF NEW.attempt <> OLD.attempt + (CASE WHEN NEW.status = 'processing' AND OLD.status <> 'processing' THEN 1 ELSE 0 END) THEN
    RAISE EXCEPTION 'task %: attempts count claims', OLD.uuid USING ERRCODE = '23514';
  END IF;
  IF (NEW.uuid, NEW.owner_id, NEW.kind, NEW.params, NEW.created_at) IS DISTINCT FROM
     (OLD.uuid, OLD.owner_id, OLD.kind, OLD.params, OLD.created_at) THEN
    RAISE EXCEPTION 'task %: what was submitted does not change', OLD.uuid USING ERRCODE = '23514';
  END IF;
  NEW.version := OLD.version + 1;
  RETURN NEW;
END $$;
"""

TOLD = """
-- Whatever changes a task, its timeline tells it, in the same transaction; so is its end noted for those who want a mail.
CREATE FUNCTION tasks_told() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  told text;
  details jsonb := '{}';
BEGIN
  IF TG_OP = 'INSERT' THEN
    told := 'accepted';
    IF NEW.next_run_at > NEW.created_at THEN
      details := jsonb_build_object('next_run_at', NEW.next_run_at);
    END IF;
  ELSIF NEW.status = OLD.status THEN
    IF NEW.cancel_requested_at IS NULL OR OLD.cancel_requested_at IS NOT NULL THEN
      RETURN NULL;
    END IF;
    told := 'cancel_asked';
  ELSIF NEW.status = 'processing' THEN
    told := 'started';
    details := jsonb_build_object('worker', NEW.worker);
  ELSIF OLD.status = 'queued' AND NEW.status = 'pending' THEN
    told := 'requeued';
  ELSIF NEW.status = 'pending' AND NEW.message IS NULL THEN
    told := 'lost';
  ELSIF NEW.status = 'pending' THEN
    told := 'retrying';
    details := jsonb_build_object('error', NEW.message #> '{params,error}', 'next_run_at', NEW.next_run_at);
  ELSE
    told := NEW.status;
    IF NEW.error IS NOT NULL THEN
      details := jsonb_build_object('error', NEW.error);
    END IF;
  END IF;
  -- While no worker answers, a task goes to and fro: a few of these say it.
  IF told IN ('queued', 'requeued') AND 20 <= (
    SELECT count(*) FROM task_events WHERE task_id = NEW.id AND attempt = NEW.attempt AND kind = told
  ) THEN
    RETURN NULL;
  END IF;
  INSERT INTO task_events (task_id, kind, attempt, details) VALUES (NEW.id, told, NEW.attempt, details);
  IF told IN ('completed', 'failed') OR (told = 'expired' AND OLD.status <> 'completed') THEN
    INSERT INTO notices (task_id) SELECT NEW.id FROM users WHERE id = NEW.owner_id AND mail_when_done
    ON CONFLICT DO NOTHING;
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER tasks_told_insert AFTER INSERT ON tasks FOR EACH ROW EXECUTE FUNCTION tasks_told();
CREATE TRIGGER tasks_told_update AFTER UPDATE OF status, cancel_requested_at ON tasks
  FOR EACH ROW EXECUTE FUNCTION tasks_told();

-- A slot becomes free when a task ends, too.
DROP TRIGGER tasks_waiting_update ON tasks;
CREATE TRIGGER tasks_waiting_update AFTER UPDATE OF status ON tasks FOR EACH ROW
  WHEN (NEW.status <> OLD.status AND (NEW.status = 'pending' OR OLD.status = 'processing')) EXECUTE FUNCTION tasks_waiting();
"""

BEFORE = """
INSERT INTO task_events (task_id, at, kind, attempt, details)
SELECT id, created_at, 'accepted', 0, '{}' FROM tasks ORDER BY id;
INSERT INTO task_events (task_id, at, kind, attempt, details)
SELECT id, finished_at, status, attempt, CASE WHEN error IS NULL THEN '{}' ELSE jsonb_build_object('error', error) END
FROM tasks WHERE finished_at IS NOT NULL ORDER BY id;
"""

TOLD_NO_MORE = """
DROP TRIGGER tasks_told_insert ON tasks;
DROP TRIGGER tasks_told_update ON tasks;
DROP FUNCTION tasks_told;
DROP TRIGGER tasks_waiting_update ON tasks;
CREATE TRIGGER tasks_waiting_update AFTER UPDATE OF status ON tasks FOR EACH ROW
  WHEN (NEW.status <> OLD.status AND (NEW.status = 'pending' OR OLD.status = 'queued')) EXECUTE FUNCTION tasks_waiting();
"""

MOMENT = postgresql.TIMESTAMP(timezone=True)
NOW = sa.text("now()")


# Lists are read as one range of an index: both columns must rise.
LISTS = (("tasks", "owner_id", "id"), ("datasets", "owner_id", "id"), ("events", "user_id", "position"))


def upgrade() -> None:
    for table, owner, key in LISTS:
        op.drop_index(f"ix_{table}_{owner}_{key}", table)
        op.create_index(f"ix_{table}_{owner}_{key}", table, [owner, key])
    op.drop_constraint("uq_tasks_owner_id_nonce", "tasks")
    op.drop_column("tasks", "nonce")
    op.add_column("tasks", sa.Column("losses", sa.SmallInteger(), server_default="0", nullable=False))
    op.add_column("tasks", sa.Column("retry_of", sa.Uuid()))
    op.create_unique_constraint("uq_tasks_retry_of", "tasks", ["retry_of"])
    op.drop_index("ix_tasks_pending", "tasks")
    pending, active = sa.text("status = 'pending'"), sa.text("status IN ('queued', 'processing')")
    op.create_index("ix_tasks_turn", "tasks", ["owner_id", "next_run_at", "id"], postgresql_where=pending)
    op.create_index("ix_tasks_active", "tasks", ["owner_id"], postgresql_where=active)
    op.create_index("ix_datasets_keep_until", "datasets", ["keep_until"])
    op.add_column("users", sa.Column("mail_when_done", sa.Boolean(), server_default="false", nullable=False))
    op.add_column("messages", sa.Column("task_id", sa.BigInteger()))
    op.create_unique_constraint("uq_messages_task_id", "messages", ["task_id"])

    op.create_table(
        "task_keys",
        sa.Column("owner_id", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("task_id", sa.BigInteger(), nullable=False),
        sa.Column("created_at", MOMENT, server_default=NOW, nullable=False),
        sa.ForeignKeyConstraint(["owner_id"], ["users.id"], "fk_task_keys_owner_id_users", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.id"], "fk_task_keys_task_id_tasks", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("owner_id", "key", name="pk_task_keys"),
    )
    op.create_index("ix_task_keys_created_at", "task_keys", ["created_at"])
    op.create_index("ix_task_keys_task_id", "task_keys", ["task_id"])
    op.create_table(
        "task_events",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("task_id", sa.BigInteger(), nullable=False),
        sa.Column("at", MOMENT, server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("attempt", sa.SmallInteger(), nullable=False),
        sa.Column("details", postgresql.JSONB(), nullable=False),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.id"], "fk_task_events_task_id_tasks", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_task_events"),
    )
    op.create_index("ix_task_events_task_id_id", "task_events", ["task_id", "id"])
    op.create_table(
        "turns",
        sa.Column("owner_id", sa.BigInteger(), nullable=False),
        sa.Column("served_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["owner_id"], ["users.id"], "fk_turns_owner_id_users", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("owner_id", name="pk_turns"),
    )
    op.create_table(
        "processes",
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("kind", sa.String(12), nullable=False),
        sa.Column("slots", sa.SmallInteger(), nullable=False),
        sa.Column("started_at", MOMENT, server_default=NOW, nullable=False),
        sa.Column("seen_at", MOMENT, server_default=NOW, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_processes"),
    )
    op.create_table(
        "notices",
        sa.Column("task_id", sa.BigInteger(), nullable=False),
        sa.Column("created_at", MOMENT, server_default=NOW, nullable=False),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.id"], "fk_notices_task_id_tasks", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("task_id", name="pk_notices"),
    )
    op.execute(BEFORE)
    op.execute(RULES)
    op.execute(TOLD)


def downgrade() -> None:
    op.execute(TOLD_NO_MORE)
    op.execute(RULES_BEFORE)
    for table in ("notices", "processes", "turns", "task_events", "task_keys"):
        op.drop_table(table)
    op.drop_column("messages", "task_id")
    op.drop_column("users", "mail_when_done")
    op.drop_index("ix_datasets_keep_until", "datasets")
    op.drop_index("ix_tasks_active", "tasks")
    op.drop_index("ix_tasks_turn", "tasks")
    op.create_index("ix_tasks_pending", "tasks", ["next_run_at", "id"], postgresql_where=sa.text("status = 'pending'"))
    for table, owner, key in LISTS:
        op.drop_index(f"ix_{table}_{owner}_{key}", table)
        op.create_index(f"ix_{table}_{owner}_{key}", table, [owner, sa.text(f"{key} DESC")])
    op.drop_column("tasks", "retry_of")
    op.drop_column("tasks", "losses")
    op.add_column("tasks", sa.Column("nonce", sa.String(64)))
    op.create_unique_constraint("uq_tasks_owner_id_nonce", "tasks", ["owner_id", "nonce"])
