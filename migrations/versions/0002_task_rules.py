"""The rules of a task's statuses, held by the database, and the word that wakes the dispatcher."""

from alembic import op

RULES = """
CREATE FUNCTION tasks_rules() RETURNS trigger LANGUAGE plpgsql AS $$
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
CREATE TRIGGER tasks_rules BEFORE UPDATE ON tasks FOR EACH ROW EXECUTE FUNCTION tasks_rules();

-- Wake the dispatcher when something waits, and when a claim makes room for the next.
CREATE FUNCTION tasks_waiting() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('tasks_waiting', '');
  RETURN NULL;
END $$;
CREATE TRIGGER tasks_waiting_insert AFTER INSERT ON tasks FOR EACH ROW EXECUTE FUNCTION tasks_waiting();
CREATE TRIGGER tasks_waiting_update AFTER UPDATE OF status ON tasks FOR EACH ROW
  WHEN (NEW.status <> OLD.status AND (NEW.status = 'pending' OR OLD.status = 'queued')) EXECUTE FUNCTION tasks_waiting();
"""

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(RULES)


def downgrade() -> None:
    op.execute("""
        DROP TRIGGER tasks_rules ON tasks;
        DROP TRIGGER tasks_waiting_insert ON tasks;
        DROP TRIGGER tasks_waiting_update ON tasks;
        DROP FUNCTION tasks_rules;
        DROP FUNCTION tasks_waiting;
    """)
