"""Any order of what web, dispatchers, workers, reaper and sweep may do, against a model of what a task must then be.

The real services on the real database; each actor may die before its commit, and a worker may write long after it lost
its task. Time is moved by writing moments into the past.
"""

import sys
from collections import Counter
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from apiflask import APIFlask
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule, run_state_machine_as_test
from sqlalchemy import insert, select, text

from portal import limits
from portal.errors import PortalError
from portal.extensions import db
from portal.models import Dataset, Task
from portal.models.tasks import ENDED, STATUSES, WAITING
from portal.services import datasets, queue, runs, tasks
from portal.services.copies import RETRYABLE, TaskCopy
from tests.services.task_model import EDGES, SLOTS, Known, Model

ROUNDS, EXAMPLES, STEPS = 40, 20, 100
LEAST_STEPS = 10_000
MOST_TASKS = 10

any_of = st.integers(0, 10**6)
# Tries each change, in one round trip; one that is not refused by a rule is an error.
FORGE = """
DO $$
DECLARE change text;
BEGIN
  FOREACH change IN ARRAY ARRAY{changes} LOOP
    BEGIN
      EXECUTE format('UPDATE tasks SET %s WHERE uuid = %L', change, '{uuid}');
      RAISE EXCEPTION 'was written: %', change;
    EXCEPTION WHEN check_violation THEN NULL;
    END;
  END LOOP;
END $$
"""
rarely = st.integers(0, 11).map(lambda n: n == 0)


class TaskMachine(Model):
    def refused(self, code: str, act: Callable[[], object]) -> None:
        with pytest.raises(PortalError) as refusal:
            act()
        assert refusal.value.code == code
        self.close(True)

    # Each actor does one of its verbs; any may be away for a whole example, for hypothesis leaves out rules at times.

    @rule(what=st.sampled_from(("submit", "submit", "cancel", "retry")), n=any_of, odd=rarely, dead=rarely)
    def web(self, what: str, n: int, odd: bool, dead: bool) -> None:
        if what == "submit" and len(self.known) >= MOST_TASKS:
            what = "cancel"
        getattr(self, what if self.known else "submit")(n, odd, dead)

    @precondition(lambda self: self.known)
    @rule(what=st.sampled_from(("admit", "admit", "admit", "lose_the_broker")), dead=rarely)
    def dispatcher(self, what: str, dead: bool) -> None:
        getattr(self, what)(dead)

    @precondition(lambda self: self.known)
    @rule(what=st.sampled_from(("claim", "claim", "claim", "beat", "complete", "fail", "stop")), n=any_of, dead=rarely)
    def worker(self, what: str, n: int, dead: bool) -> None:
        getattr(self, what if self.runs else "claim")(n, dead)

    @precondition(lambda self: self.runs)
    @rule(what=st.sampled_from(("claim", "beat", "complete", "fail")), n=any_of)
    def another_worker(self, what: str, n: int) -> None:
        getattr(self, what)(n, False)

    @precondition(lambda self: self.known)
    @rule(what=st.sampled_from(("put_back_lost", "expire_late", "expire_old")), dead=rarely)
    def reaper(self, what: str, dead: bool) -> None:
        getattr(self, what)(dead)

    # The web

    def submit(self, n: int, odd: bool, dead: bool) -> None:
        """With a key at times; and `odd`: to start in an hour."""
        owner, key = n % 2, (None, "a", "b")[n // 2 % 3]

        def act() -> TaskCopy:
            return tasks.submit(self.user(owner), "health_check", {}, key=key, countdown=3600 if odd else 0)

        before = self.keys.get((owner, key)) if key else None
        if before and before[0] != odd:
            self.refused("idempotency_key_reused", act)
            return
        copy = act()
        if before:
            assert copy == before[1]
        self.close(dead)
        if not before and not dead:
            self.known[copy.uuid] = Known(owner, due=not odd)
            if key:
                self.keys[owner, key] = odd, copy

    def cancel(self, n: int, odd: bool, dead: bool) -> None:
        """As its owner; or, `odd`, as somebody else."""
        uuid = self.pick(n, *("processing",) if n % 3 else WAITING)
        task = self.known[uuid]
        user = self.user(1 - task.owner if odd else task.owner)
        if odd or task.status in ENDED:
            self.refused("not_found" if odd else "task_ended", lambda: tasks.cancel(user, uuid))
            return
        tasks.cancel(user, uuid)
        at_once = {"status": "cancelled"} if task.status in WAITING else {}
        self.close(dead, {uuid: {"asked": True, **at_once}})

    def retry(self, n: int, odd: bool, dead: bool) -> None:
        """As its owner; or, `odd`, as somebody else."""
        uuid = self.pick(n, *RETRYABLE)
        task = self.known[uuid]
        user = self.user(1 - task.owner if odd else task.owner)
        child = next((each for each, other in self.known.items() if other.retry_of == uuid), None)
        if odd or (child is None and task.status not in RETRYABLE):
            self.refused("not_found" if odd else "task_not_retryable", lambda: tasks.retry(user, uuid))
            return
        copy = tasks.retry(user, uuid)
        assert child in (None, copy.uuid)
        self.close(dead)
        if child is None and not dead:
            self.known[copy.uuid] = Known(task.owner, retry_of=uuid)

    # The dispatcher

    def admit(self, dead: bool) -> None:
        due = {uuid for uuid in self.with_status("pending") if self.known[uuid].due}
        room = SLOTS - len(self.with_status("queued"))
        least = room - len([uuid for uuid in self.with_status("processing") if not self.known[uuid].silent])
        admitted = {task.uuid for task in queue.admit()}
        assert admitted <= due
        assert max(0, min(least, len(due))) <= len(admitted) <= max(0, room)
        self.close(dead, {uuid: {"status": "queued", "silent": False} for uuid in admitted})

    def lose_the_broker(self, dead: bool) -> None:
        queued = self.with_status("queued")
        assert queue.put_back() == len(queued)
        self.close(dead, {uuid: {"status": "pending"} for uuid in queued})

    # Workers

    def claim(self, n: int, dead: bool) -> None:
        uuid = self.pick(n, *WAITING)
        task = self.known[uuid]
        run = runs.claim(uuid, "w")
        assert (run is not None) == (task.status in WAITING and task.due and not task.late)
        if run is None:
            self.close(dead)
            return
        self.close(dead, {uuid: {"status": "processing", "attempt": task.attempt + 1, "silent": False}})
        if not dead:
            self.runs.append(run)

    def write(self, run: TaskCopy, write: Callable[[], Task | None], expected: bool, dead: bool, **values: Any) -> None:
        assert (write() is not None) == expected
        self.close(dead, {run.uuid: values} if expected else {})

    def beat(self, n: int, dead: bool) -> None:
        run = self.pick_run(n)
        further = max(self.known[run.uuid].progress, min(n % 111, 99))
        self.write(run, lambda: runs.beat(run, n % 111, None), self.holds(run), dead, progress=further, silent=False)

    def complete(self, n: int, dead: bool) -> None:
        run = self.pick_run(n)
        meant = self.holds(run) and not self.known[run.uuid].asked
        self.write(run, lambda: runs.complete(run, {"rows": n}), meant, dead, status="completed", progress=100)

    def fail(self, n: int, dead: bool) -> None:
        run = self.pick_run(n)
        meant = self.holds(run) and not self.known[run.uuid].asked
        passing = n % 3 > 0
        again = passing and run.attempt - run.losses <= limits.TASK_RETRIES
        values = {"status": "pending", "due": False, "late": False} if again else {"status": "failed"}
        error = {"code": "no_answer", "params": {}}
        self.write(run, lambda: runs.fail(run, error, passing=passing), meant, dead, **values)

    def stop(self, n: int, dead: bool) -> None:
        run = self.pick_run(n)
        meant = self.holds(run) and self.known[run.uuid].asked
        self.write(run, lambda: runs.cancelled(run), meant, dead, status="cancelled")

    # Reaper and sweep

    def put_back_lost(self, dead: bool) -> None:
        changes: dict[UUID, dict[str, Any]] = {}
        for uuid, task in self.known.items():
            if task.status == "queued" and task.silent:
                changes[uuid] = {"status": "pending"}
            elif task.status == "processing" and task.silent:
                again = "pending" if task.losses + 1 < limits.TASK_LOSSES else "failed"
                changes[uuid] = {"status": "cancelled" if task.asked else again, "losses": task.losses + 1}
        assert queue.put_back_lost() == len(changes)
        self.close(dead, changes)

    def expire_late(self, dead: bool) -> None:
        late = [uuid for uuid in self.with_status(*WAITING) if self.known[uuid].late]
        assert queue.expire_late() == len(late)
        self.close(dead, {uuid: {"status": "expired"} for uuid in late})

    def expire_old(self, dead: bool) -> None:
        old = [uuid for uuid in self.with_status("completed") if self.known[uuid].old]
        assert datasets.expire_old() == len(old)
        self.close(dead, {uuid: {"status": "expired"} for uuid in old})

    # Time

    def ahead(self) -> list[tuple[UUID, str, str]]:
        """Moments that may pass: of which task, its column, and what is then true of it."""
        moments = {"pending": ("next_run_at", "due"), "queued": ("dispatched_at", "silent")}
        moments |= {"processing": ("lease_until", "silent"), "completed": ("keep_until", "old")}
        found = [(uuid, *moments[task.status]) for uuid, task in self.known.items() if task.status in moments]
        found += [(uuid, "start_before", "late") for uuid in self.with_status(*WAITING)[::3]]
        return [each for each in found if not getattr(self.known[each[0]], each[2])]

    @precondition(lambda self: self.ahead())
    @rule(n=any_of)
    def time_passes(self, n: int) -> None:
        ahead = self.ahead()
        uuid, moment, fact = ahead[n % len(ahead)]
        if fact == "old":
            self.keep_a_dataset(uuid)
        else:
            past = text(f"UPDATE tasks SET {moment} = now() - interval '1 hour' WHERE uuid = :uuid")  # ours
            db.session.execute(past, {"uuid": uuid})
        self.close(False, {uuid: {fact: True}})

    def keep_a_dataset(self, uuid: UUID) -> None:
        """One that is past its retention."""
        task = db.session.scalars(select(Task).where(Task.uuid == uuid)).one()
        where = {"name": "x", "source_url": "http://x/", "store_key": f"datasets/{uuid}/1.parquet", "columns": []}
        kept = {"source_bytes": 1, "source_sha256": "", "stored_bytes": 1, "stored_sha256": "", "rows": 1}
        past = text("now() - interval '1 hour'")
        values = {"owner_id": task.owner_id, "task_id": task.id, "keep_until": past, **where, **kept}
        db.session.execute(insert(Dataset).values(values))

    @precondition(lambda self: any(not self.known[uuid].old for uuid in self.with_status("completed")))
    @rule(n=any_of)
    def outlive_retention(self, n: int) -> None:
        """The edge that chance met too seldom: a completed task's dataset is past its time, and the sweep comes."""
        fresh = [uuid for uuid in self.with_status("completed") if not self.known[uuid].old]
        uuid = fresh[n % len(fresh)]
        self.keep_a_dataset(uuid)
        self.close(False, {uuid: {"old": True}})
        self.expire_old(False)

    # Whoever writes what is not allowed

    @precondition(lambda self: self.known)
    @rule(n=any_of)
    def write_past_the_rules(self, n: int) -> None:
        uuid = list(self.known)[n % len(self.known)]
        task = self.known[uuid]
        forged = [f"status = $q${status}$q$" for status in STATUSES if status not in {task.status} | EDGES[task.status]]
        forged += ["attempt = attempt + 1", "retry_of = gen_random_uuid()", "owner_id = owner_id + 1"]
        forged += ["progress = -1" if task.progress == 0 else "progress = progress - 1", "losses = losses - 1"]
        forged += ["progress = progress", "result = $q${}$q$"] if task.status in ENDED else []
        db.session.execute(text(FORGE.format(changes=forged, uuid=uuid)))
        self.close(False)


def test_no_order_of_events_breaks_a_task(app: APIFlask, capsys: pytest.CaptureFixture[str]) -> None:
    TaskMachine.app, TaskMachine.steps, TaskMachine.taken = app, 0, Counter()
    effort = settings(
        max_examples=EXAMPLES,
        stateful_step_count=STEPS,
        deadline=None,
        database=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
        print_blob=True,
    )
    edges = {(before, after) for before, afters in EDGES.items() for after in afters}
    for _ in range(ROUNDS):  # hypothesis may find examples too alike, or end some early
        if TaskMachine.steps < LEAST_STEPS or TaskMachine.taken.keys() != edges:
            run_state_machine_as_test(TaskMachine, settings=effort)
    with capsys.disabled():
        sys.stdout.write(f" {TaskMachine.steps} steps, {TaskMachine.taken.total()} transitions ")
    assert TaskMachine.steps >= LEAST_STEPS
    assert TaskMachine.taken.keys() == edges
