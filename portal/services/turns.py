"""Fair share: whose task is next. Users take turns; the one with the fewest tasks at work goes first."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, text
from sqlalchemy.dialects.postgresql import insert

from portal import jobs
from portal.extensions import db, settings
from portal.models import Task, Turn

# Each owner's first `:most` tasks that are due, numbered after those at work: a task's number is its turn. Among
# equals goes first who was served longest ago, then who has waited longest. Owners are found by leaps through the
# index, so that the cost grows with the number of owners who wait, not with the number of tasks.
_IN_TURN = """
WITH RECURSIVE owners AS (
  (SELECT owner_id FROM tasks WHERE status = 'pending' ORDER BY owner_id LIMIT 1)
  UNION ALL
  SELECT (SELECT owner_id FROM tasks WHERE status = 'pending' AND owner_id > owners.owner_id ORDER BY owner_id LIMIT 1)
  FROM owners WHERE owners.owner_id IS NOT NULL
), active AS (
  SELECT owner_id, count(*) AS tasks FROM tasks WHERE status IN ('queued', 'processing') GROUP BY owner_id
)
SELECT due.id, due.uuid
FROM owners
JOIN users ON users.id = owners.owner_id AND users.is_active
LEFT JOIN active USING (owner_id)
LEFT JOIN turns USING (owner_id)
CROSS JOIN LATERAL (
  SELECT id, uuid, next_run_at, coalesce(active.tasks, 0) + row_number() OVER (ORDER BY next_run_at, id) AS turn
  FROM tasks
  WHERE owner_id = owners.owner_id AND status = 'pending' AND next_run_at <= now() AND kind = ANY(:kinds)
  ORDER BY next_run_at, id
  LIMIT :most
) AS due
WHERE due.turn <= :cap OR :lend
ORDER BY due.turn, turns.served_at NULLS FIRST, due.next_run_at, due.id
LIMIT :most
"""


@dataclass(frozen=True)
class Waiting:
    id: int
    uuid: UUID


def in_turn(most: int) -> Sequence[Waiting]:
    """The next `most` tasks to start, in order."""
    config = settings()
    given: dict[str, Any] = {"most": most, "cap": config.tasks_running_per_user, "lend": config.lend_idle_workers}
    given["kinds"] = list(jobs.BY_KIND)  # a newer web may know more
    return [Waiting(row.id, row.uuid) for row in db.session.execute(text(_IN_TURN), given)]


def served(owner_ids: set[int]) -> None:
    """Note that these owners' tasks were admitted."""
    if owner_ids:
        rows = [{"owner_id": owner_id, "served_at": func.now()} for owner_id in sorted(owner_ids)]
        query = insert(Turn).values(rows)
        db.session.execute(query.on_conflict_do_update(index_elements=["owner_id"], set_={"served_at": func.now()}))


def mean_seconds() -> float | None:
    """How long tasks ran of late; None before any has."""
    ran = func.extract("epoch", Task.finished_at - Task.started_at).label("seconds")
    newest = select(Task.status, ran).order_by(Task.id.desc()).limit(500).subquery()
    found = db.session.scalar(select(func.avg(newest.c.seconds)).where(newest.c.status == "completed"))
    return None if found is None else float(found)
