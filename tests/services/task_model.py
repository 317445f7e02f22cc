"""What tasks must be, whatever was done to them: the model that `test_task_machine` holds against the table."""

from collections import Counter
from dataclasses import dataclass, replace
from typing import Any, ClassVar
from uuid import UUID

from apiflask import APIFlask
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant
from sqlalchemy import insert, select, text

from portal.extensions import db
from portal.models import Process, Task, TaskEvent, User
from portal.models.tasks import ENDED
from portal.services.copies import TaskCopy

SLOTS = 3
EDGES: dict[str, set[str]] = {
    "pending": {"queued", "processing", "cancelled", "expired"},
    "queued": {"pending", "processing", "cancelled", "expired"},
    "processing": {"pending", "completed", "failed", "cancelled"},
    "completed": {"expired"},
    "failed": set(),
    "cancelled": set(),
    "expired": set(),
}
# Where a step of the timeline leads, if it is not called so itself.
LEADS = {"requeued": "pending", "retrying": "pending", "lost": "pending", "started": "processing"}
ROWS = text("""
    SELECT uuid, status, attempt, losses, progress, cancel_requested_at IS NOT NULL AS asked, retry_of,
           lease_until IS NOT NULL AS leased, version
    FROM tasks
""")


@dataclass(frozen=True)
class Known:
    """What a task must be; the last four say which moments have passed for it."""

    owner: int
    retry_of: UUID | None = None
    status: str = "pending"
    attempt: int = 0
    losses: int = 0
    progress: int = 0
    asked: bool = False
    due: bool = True
    late: bool = False
    silent: bool = False
    old: bool = False


class Model(RuleBasedStateMachine):
    """Two users, one worker with a few slots, and all tasks with their attempts and keys."""

    app: ClassVar[APIFlask]
    steps: ClassVar[int] = 0
    taken: ClassVar[Counter[tuple[str, str]]] = Counter()

    @initialize()
    def begin(self) -> None:
        self.context = self.app.app_context()
        self.context.push()
        self.known: dict[UUID, Known] = {}
        self.versions: dict[UUID, tuple[str, int]] = {}
        self.walked: dict[UUID, tuple[str, int]] = {}
        self.last_event = 0
        self.runs: list[TaskCopy] = []
        self.keys: dict[tuple[int, str], tuple[bool, TaskCopy]] = {}
        users = [User(username=n, phone_number=n, hashed_password="") for n in ("one", "two")]
        db.session.add_all(users)
        alive = text("now() + interval '1 hour'")
        db.session.execute(insert(Process).values(name="w", kind="worker", slots=SLOTS, seen_at=alive))
        db.session.commit()
        self.ids = [user.id for user in users]
        self.eyes = db.engine.connect().execution_options(isolation_level="AUTOCOMMIT")

    def teardown(self) -> None:
        self.eyes.close()
        db.session.rollback()
        for table in ("datasets", "processes", "users"):
            db.session.execute(text(f"DELETE FROM {table}"))  # our own word
        db.session.commit()
        self.context.pop()

    def user(self, number: int) -> User:
        return db.session.get_one(User, self.ids[number])

    def with_status(self, *statuses: str) -> list[UUID]:
        return [uuid for uuid, task in self.known.items() if task.status in statuses]

    def pick(self, n: int, *statuses: str) -> UUID:
        """Mostly one in such a status, at times any."""
        fitting = self.with_status(*statuses)
        return list(self.known)[n % len(self.known)] if n % 7 == 0 or not fitting else fitting[n % len(fitting)]

    def pick_run(self, n: int) -> TaskCopy:
        """Mostly an attempt that holds its task, at times one that lost it long ago."""
        holding = [run for run in self.runs if self.holds(run)]
        return self.runs[n % len(self.runs)] if n % 4 == 0 or not holding else holding[n % len(holding)]

    def holds(self, run: TaskCopy) -> bool:
        task = self.known[run.uuid]
        return (task.status, task.attempt) == ("processing", run.attempt)

    def close(self, dead: bool, changes: dict[UUID, dict[str, Any]] | None = None) -> None:
        """Commit and expect the changes; or die before the commit, and expect none."""
        type(self).steps += 1
        if dead:
            db.session.rollback()
            return
        db.session.commit()
        for uuid, values in (changes or {}).items():
            self.known[uuid] = replace(self.known[uuid], **values)

    @invariant()
    def the_table_is_as_expected(self) -> None:
        """So no end ever changes but into `expired`, progress never falls, and no task comes or goes unseen."""
        rows = {row.uuid: row for row in self.eyes.execute(ROWS)}
        assert rows.keys() == self.known.keys()
        for uuid, row in rows.items():
            task = self.known[uuid]
            now = (row.status, row.attempt, row.losses, row.progress, row.asked, row.retry_of)
            assert now == (task.status, task.attempt, task.losses, task.progress, task.asked, task.retry_of), uuid
            assert row.leased == (row.status == "processing")
            status, version = self.versions.get(uuid, ("", 0))
            assert row.version == version if status in ENDED and status == row.status else row.version >= version
            self.versions[uuid] = row.status, row.version

    @invariant()
    def timelines_are_walks(self) -> None:
        """Along allowed edges, from `pending` to where each task is; and they count its claims."""
        query = select(Task.uuid, TaskEvent.id, TaskEvent.kind, TaskEvent.attempt).join(
            Task, Task.id == TaskEvent.task_id
        )
        news = self.eyes.execute(query.where(TaskEvent.id > self.last_event).order_by(TaskEvent.id)).all()
        for event in news:
            self.last_event = event.id
            status, attempt = self.walked.get(event.uuid, ("", 0))
            after = LEADS.get(event.kind, event.kind)
            if event.kind == "accepted":
                assert status == ""
                after = "pending"
            elif event.kind == "cancel_asked":
                assert status == "processing"
                after = status
            else:
                assert after in EDGES[status], (status, after)
                self.taken[status, after] += 1
            assert event.attempt == attempt + (event.kind == "started")
            self.walked[event.uuid] = after, event.attempt
        assert self.walked == {uuid: (task.status, task.attempt) for uuid, task in self.known.items()}
