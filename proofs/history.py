"""What the timelines of all tasks say: whether each step follows from the one before, and when slots were busy."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from proofs.bench import Portal

# Where a step leads from where; any other is illegal. docs/tasks.md
EDGES = {
    ("", "accepted"): "pending",
    ("pending", "queued"): "queued",
    ("queued", "requeued"): "pending",
    ("pending", "started"): "processing",
    ("queued", "started"): "processing",
    ("processing", "retrying"): "pending",
    ("processing", "lost"): "pending",
    ("processing", "cancel_asked"): "processing",
    ("processing", "completed"): "completed",
    ("processing", "failed"): "failed",
    ("processing", "cancelled"): "cancelled",
    ("pending", "cancelled"): "cancelled",
    ("queued", "cancelled"): "cancelled",
    ("pending", "expired"): "expired",
    ("queued", "expired"): "expired",
    ("completed", "expired"): "expired",
}


class Step(NamedTuple):
    kind: str
    attempt: int
    at: float  # seconds since 1970


class Timeline(NamedTuple):
    """A task as it is, and its steps."""

    task_id: int
    owner_id: int
    status: str
    attempt: int
    steps: Sequence[Step]

    def first(self, kind: str) -> float:
        """When that happened first."""
        return next(step.at for step in self.steps if step.kind == kind)

    def count(self, kind: str) -> int:
        return sum(step.kind == kind for step in self.steps)

    def runs(self) -> Iterator[tuple[float, float]]:
        """From when to when it was at work, once for each attempt that has ended."""
        for before, after in pairwise([step for step in self.steps if step.kind != "cancel_asked"]):
            if before.kind == "started":
                yield before.at, after.at

    def illegal(self) -> list[str]:
        """Steps that may not follow, attempts that do not count starts, an end that is not the task's."""
        found, status, attempt = [], "", 0
        for step in self.steps:
            after = EDGES.get((status, step.kind))
            attempt += step.kind == "started"
            if after is None or step.attempt != attempt:
                found.append(f"task {self.task_id}: {step.kind} (attempt {step.attempt}) while {status or 'new'}")
            status = after or status
        if (status, attempt) != (self.status, self.attempt):
            found.append(f"task {self.task_id} is {self.status}, its timeline says {status}")
        return found


def timelines(running: Portal, where: str = "true") -> list[Timeline]:
    """Of all tasks, oldest first."""
    steps: dict[int, list[Step]] = defaultdict(list)
    for row in running.sql("SELECT task_id, kind, attempt, extract(epoch FROM at) FROM task_events ORDER BY id"):
        steps[row[0]].append(Step(row[1], row[2], float(row[3])))
    tasks = running.sql(f"SELECT id, owner_id, status, attempt FROM tasks WHERE {where} ORDER BY id")
    return [Timeline(task[0], task[1], task[2], task[3], steps[task[0]]) for task in tasks]


def illegal(found: Sequence[Timeline]) -> list[str]:
    return [fault for timeline in found for fault in timeline.illegal()]


def busy(found: Sequence[Timeline], begin: float, end: float) -> float:
    """Seconds of work between two moments, of all tasks together."""
    runs = (run for timeline in found for run in timeline.runs())
    return sum(max(0.0, min(end, ended) - max(begin, started)) for started, ended in runs)
