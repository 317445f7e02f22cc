"""Whatever is killed, each accepted task is done, once. `./dev prove once`"""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from http.client import HTTPException
from typing import Any

import psutil

from portal import limits
from proofs import history
from proofs.bench import SHORT, Report
from proofs.fleet import LIVE, Fleet, Member, fetch, fleet

TASKS, FAULTS = (150, 10) if SHORT else (3000, 150)
# Of ten faults so many are of a kind; a start of the portal's own processes takes seconds of the machine.
CHILD, WORKER, DISPATCHER, BROKER, POSTGRES = 3, 1, 2, 2, 2
MEMBERS, CALLERS = 6, 4
WORKERS, SLOTS, LEASE, RETRY = 2, 3, 3, 0.5
AHEAD = 40  # so many tasks wait or run while more are submitted
SLOW = 0.4  # seconds that every third source takes
END_SECONDS = 60
MAY_START = 1 + limits.TASK_RETRIES + limits.TASK_LOSSES - 1


class Submitting:
    """Callers that submit until all is accepted; a repeat has the same key, so what is accepted is known."""

    def __init__(self, bench: Fleet, members: list[Member]) -> None:
        self._bench, self._members = bench, members
        self._bodies = [self._body(n) for n in range(TASKS)]
        self.fetches = sum(body["kind"] == "fetch" for body in self._bodies)
        self._numbers, self._lock = iter(range(TASKS)), threading.Lock()
        self.accepted: dict[int, str] = {}
        self.answers: Counter[str] = Counter()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(CALLERS)]

    def _body(self, number: int) -> dict[str, Any]:
        """Of three tasks one is a fetch that takes a while, one a quick fetch and one fetches nothing."""
        if number % 3 == 2:
            return {"kind": "health_check", "params": {}}
        return fetch(self._bench.source.csv(f"/{number}.csv", rows=3, seconds=0 if number % 3 else SLOW))

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def until(self, accepted: int) -> None:
        """Wait until so many were accepted."""
        assert self._bench.wait(lambda: len(self.accepted) >= accepted, END_SECONDS), dict(self.answers)

    def join(self) -> None:
        for thread in self._threads:
            thread.join(END_SECONDS)

    def _run(self) -> None:
        callers = [self._bench.caller(member) for member in self._members]
        while True:
            with self._lock:
                number = next(self._numbers, None)
            if number is None:
                return
            self._bench.wait(self._has_room, END_SECONDS, every=0.25)
            caller = callers[number % MEMBERS]
            while number not in self.accepted:
                try:
                    answer = caller.ask("POST", "/api/v1/tasks", self._bodies[number], key=f"task-{number}")
                    self.answers[answer.said] += 1
                    if answer.status == 202:
                        self.accepted[number] = answer.body["uuid"]
                    elif answer.status not in (429, 503):
                        return
                except (OSError, HTTPException) as error:
                    self.answers[type(error).__name__] += 1
                if number not in self.accepted:
                    time.sleep(0.1)

    def _has_room(self) -> bool:
        return len(self.accepted) - self._bench.portal.count("tasks", "finished_at IS NOT NULL") < AHEAD


class Faults:
    """What is done to the portal, and how often it was."""

    def __init__(self, bench: Fleet) -> None:
        self._bench = bench
        self.done: Counter[str] = Counter()
        self.kinds: dict[str, tuple[int, Callable[[], bool]]] = {
            "kill -9 of a worker's child": (CHILD, self._child),
            "kill -9 of a worker": (WORKER, self._worker),
            "kill -9 of a dispatcher": (DISPATCHER, self._dispatcher),
            "kill -9 of the broker, nothing kept": (BROKER, self._broker),
            "immediate restart of PostgreSQL": (POSTGRES, self._postgres),
        }

    def mixed(self) -> list[str]:
        """So many kinds as there are faults, in any order."""
        ten = [kind for kind, (count, _) in self.kinds.items() for _ in range(count)]
        kinds = (ten * FAULTS)[:FAULTS]
        random.shuffle(kinds)
        return kinds

    def one(self, kind: str) -> None:
        """Do it, as soon as it can be done to something."""
        assert self._bench.wait(self.kinds[kind][1], END_SECONDS), kind
        self.done[kind] += 1

    def _child(self) -> bool:
        children = self._bench.children_of(random.choice(self._bench.workers))
        if not children or self._last_chance():
            return False
        try:
            psutil.Process(random.choice(children)).kill()
        except psutil.NoSuchProcess:
            return False
        return True

    def _worker(self) -> bool:
        return not self._last_chance() and self._bench.kill(random.choice(self._bench.workers))

    def _dispatcher(self) -> bool:
        return self._bench.kill(random.choice(self._bench.dispatchers))

    def _broker(self) -> bool:
        self._bench.kill_redis()
        return True

    def _postgres(self) -> bool:
        if self._last_chance():
            return False
        self._bench.restart_postgres()
        return True

    def _last_chance(self) -> bool:
        """Whether a task runs that would end as poison if it lost its worker once more: chance is no poison."""
        return self._bench.portal.count("tasks", f"status = 'processing' AND losses >= {limits.TASK_LOSSES - 1}") > 0


def chaos(bench: Fleet, report: Report) -> None:
    report.part(f"{TASKS} tasks of {MEMBERS} members, {FAULTS} faults while they are submitted and run")
    bench.keep()
    submitting, faults = Submitting(bench, bench.members(MEMBERS)), Faults(bench)
    kinds = faults.mixed()
    moments = sorted(random.randrange(AHEAD // 2, TASKS) for _ in kinds)
    began = time.monotonic()
    submitting.start()
    for kind, moment in zip(kinds, moments, strict=True):
        submitting.until(moment)
        faults.one(kind)
    submitting.join()
    bench.ended(END_SECONDS)
    seconds = time.monotonic() - began
    for kind, count in sorted(faults.done.items()):
        report.say(f"{count} x {kind}")
    report.say(f"answers to submits: {dict(submitting.answers)}; {seconds:.0f} s, {TASKS / seconds:.1f} tasks a second")
    report.check("faults", sum(faults.done.values()), FAULTS)
    judge(bench, report, submitting)


def judge(bench: Fleet, report: Report, submitting: Submitting) -> None:
    portal, accepted = bench.portal, submitting.accepted
    assert bench.wait(lambda: portal.sql("SELECT 1"), 30)
    rows = {str(row.uuid): row for row in portal.sql("SELECT uuid, status, attempt, losses, error FROM tasks")}
    found = history.timelines(portal)
    lost_runs, rung = (sum(line.count(kind) for line in found) for kind in ("lost", "requeued"))
    again = sum(line.attempt > 1 for line in found)
    report.say(f"{lost_runs} runs were cut off, {again} tasks ran more than once, {rung} doorbells were rung again")
    refused = [said for said in submitting.answers if said[:3].isdigit() and said[:3] not in ("202", "429", "503")]
    poisoned = sum(row.status == "failed" and row.losses >= limits.TASK_LOSSES for row in rows.values())
    report.check("accepted", len(accepted), TASKS)
    report.check("submits refused otherwise than for a moment", refused, [])
    report.check("missing rows", sum(uuid not in rows for uuid in accepted.values()), 0)
    report.check("rows that nobody was told of", len(rows.keys() - set(accepted.values())), 0)
    lost = sum(uuid not in rows or rows[uuid].status != "completed" for uuid in accepted.values())
    report.check("lost (accepted, not completed)", lost, 0)
    report.check("of these, ended as poison by chance", poisoned, 0)
    report.check("left in processing or waiting", portal.count("tasks", f"status IN {LIVE}"), 0)
    doubles = portal.sql("SELECT task_id FROM datasets GROUP BY task_id HAVING count(*) > 1")
    report.check("tasks with two datasets", len(doubles), 0)
    report.check("tasks that completed twice", sum(line.count("completed") > 1 for line in found), 0)
    keys = {row.store_key for row in portal.sql("SELECT store_key FROM datasets")}
    report.check("datasets of fetches", len(keys), submitting.fetches)
    report.check("files without a dataset, datasets without a file", [*bench.stored() ^ keys], [])
    report.check("illegal transitions", history.illegal(found), [])
    most = max(row.attempt for row in rows.values())
    report.check(f"most attempts ({most}) at most {MAY_START}", most <= MAY_START, True)


def poison(bench: Fleet, report: Report) -> None:
    report.part("One task takes its worker with it each time it starts; twenty others run beside it")
    portal, source, member = bench.portal, bench.source, bench.member()
    uuid = bench.submit(member, source.csv("/poison.csv", rows=5, seconds=25))
    others = bench.submit_many(member, source.csv("/healthy.csv"), 20)
    began = time.monotonic()
    for start in range(1, limits.TASK_LOSSES + 1):
        asker(bench, "/poison.csv", start).kill()
    bench.ended(60)
    row = portal.sql("SELECT id, status, error ->> 'code' AS code FROM tasks WHERE uuid = :uuid", uuid=uuid)[0]
    starts = portal.count("task_events", "task_id = :id AND kind = 'started'", id=row.id)
    report.say(f"{time.monotonic() - began:.0f} s, with a lease of {LEASE} s")
    report.check("starts of the poison", (starts, source.hits["/poison.csv"]), (limits.TASK_LOSSES,) * 2)
    report.check("its end", (row.status, row.code), ("failed", "worker_lost"))
    good = portal.count("tasks", "status = 'completed' AND uuid = ANY(CAST(:uuids AS uuid[]))", uuids=others)
    report.check("others completed", good, len(others))


def asker(bench: Fleet, path: str, nth: int) -> psutil.Process:
    """The worker's slot whose fork fetches this for the first, second … time, as soon as it does."""
    found: list[psutil.Process] = []

    def look() -> bool:
        if bench.source.hits[path] < nth:
            return False
        for pid in [pid for worker in bench.workers for pid in bench.children_of(worker)]:
            with suppress(psutil.NoSuchProcess):  # it has ended since it was listed
                slot = psutil.Process(pid)
                ends = [end for fork in slot.children() for end in fork.net_connections("tcp4")]
                if bench.source.asker.get(path) in [end.laddr.port for end in ends]:
                    found.append(slot)
        return bool(found)

    assert bench.wait(look, 60), f"nobody fetches {path}"
    return found[0]


def main() -> None:
    report = Report("Once, whatever dies")
    quick: dict[str, Any] = {"task_lease_seconds": LEASE, "task_retry_seconds": RETRY}
    with fleet(workers=WORKERS, slots=SLOTS, dispatchers=2, **quick) as bench:
        chaos(bench, report)
        poison(bench, report)
    report.end()


if __name__ == "__main__":
    main()
