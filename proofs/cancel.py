"""Cancels are kept: in 5 s, whatever the work is blocked in; nothing is written or left afterwards, nobody else harmed.

`make prove-cancel`: a real fleet of its own; fetches are cancelled at random moments while others run beside them.
SHORT=1 cancels fewer, in under a minute.
"""

import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from portal.gateways import store_keys
from proofs.awkward import MIB, ROWS, Awkward, awkward
from proofs.bench import SHORT, Report
from proofs.fleet import Caller, Fleet, fetch, fleet

CANCELS, QUEUED, KILLED = (20, 4, 1) if SHORT else (180, 20, 6)
CALLERS, WORKERS, SLOTS = 5, 2, 2
MOST_SECONDS = 5.0
LEASE_SECONDS = 6  # of the killed; the others keep theirs
FORCED = "the work does not stop"
# How long after the submit a cancel may come, and how often a kind is drawn.
KINDS = {
    "drip": (3.0, 3),
    "silent": (3.0, 3),
    "handshake": (3.0, 2),
    "connect": (3.0, 2),
    "csv": (3.0, 5),
    "gzip": (4.0, 4),
    "ndjson": (7.0, 1),
}


class Moment(NamedTuple):
    """What there is of a task: its row's version, its timeline, and its files in the store and in work folders."""

    status: str
    version: int
    events: int
    files: tuple[str, ...]


@dataclass(frozen=True)
class Cancelled:
    """An accepted cancel: what the task was doing, how long it took (s), and what there was of it then."""

    uuid: str
    doing: str
    seconds: float
    then: Moment


class Proof:
    def __init__(self, running: Fleet, sources: Awkward) -> None:
        self.fleet, self.sources = running, sources
        settings = running.portal.app.extensions["settings"]
        self._folders: tuple[Path, ...] = (settings.store_folder, settings.work_folder)
        self._left, self._lock = CANCELS, threading.Lock()
        self.missed = 0
        self._first = [*KINDS]
        self._members = running.members(CALLERS + 1)

    def moment(self, uuid: str) -> Moment:
        events = "(SELECT count(*) FROM task_events WHERE task_id = tasks.id)"
        query = f"SELECT status, version, {events} FROM tasks WHERE uuid = :u"
        status, version, events = self.fleet.portal.sql(query, u=uuid)[0]
        return Moment(status, version, events, self.files(uuid))

    def files(self, uuid: str = "") -> tuple[str, ...]:
        """Folders, too, that belong to a task."""
        return tuple(
            str(path.relative_to(folder))
            for folder in self._folders
            for path in _inside(folder)
            if uuid in str(path) and (path.is_file() or folder.name == "work")
        )

    def doing(self, uuid: str, kind: str = "") -> str:
        """Its status, and of a running one what was said last; `kind` is put in front."""
        query = "SELECT status, coalesce(message->>'code', 'begun') FROM tasks WHERE uuid = :u"
        status, code = self.fleet.portal.sql(query, u=uuid)[0]
        return f"{kind} {code}".strip() if status == "processing" else str(status)

    def cancel(self, caller: Caller, uuid: str, kind: str = "") -> Cancelled | None:
        """None when it had ended before."""
        doing, began = self.doing(uuid, kind), time.monotonic()
        answer = caller.ask("POST", f"/api/v1/tasks/{uuid}/cancel")
        if answer.status == 409:
            return None
        assert answer.status == 202, answer
        ended = "SELECT status FROM tasks WHERE uuid = :u AND finished_at IS NOT NULL"
        while not self.fleet.portal.sql(ended, u=uuid) and time.monotonic() - began < 4 * MOST_SECONDS:
            time.sleep(0.02)
        return Cancelled(uuid, doing, time.monotonic() - began, self.moment(uuid))

    def at_random(self, number: int) -> list[Cancelled]:
        """One caller's cancels, until all callers together have done enough."""
        found: list[Cancelled] = []
        caller = self.fleet.caller(self._members[number])
        while self._another():
            kind = self._kind()
            uuid = caller.ask("POST", "/api/v1/tasks", fetch(self.sources.urls[kind])).body["uuid"]
            time.sleep(random.uniform(0, KINDS[kind][0]))
            if cancelled := self.cancel(caller, uuid, kind):
                found.append(cancelled)
            else:
                self._one_more()
        caller.close()
        return found

    def _kind(self) -> str:
        """Each once, then as they come."""
        with self._lock:
            if self._first:
                return self._first.pop()
        return random.choices([*KINDS], [weight for _, weight in KINDS.values()])[0]

    def _another(self) -> bool:
        with self._lock:
            if self._left == 0:
                return False
            self._left -= 1
            return True

    def _one_more(self) -> None:
        with self._lock:
            self._left, self.missed = self._left + 1, self.missed + 1

    def queued(self) -> list[Cancelled]:
        """Cancels of tasks that were rung for and not begun: the workers' parents stand still meanwhile."""
        member, found = self._members[0], []
        caller = self.fleet.caller(member)
        for _ in range(0, QUEUED, WORKERS * SLOTS):
            with self._standing_still():
                uuids = self.fleet.submit_many(member, self.sources.beside, WORKERS * SLOTS)
                assert self.fleet.wait(lambda: {self.doing(uuid) for uuid in uuids} == {"queued"}, 10)  # noqa: B023
                found += [self.cancel(caller, uuid) for uuid in uuids]
            assert self.fleet.wait(lambda: self.fleet.portal.redis.llen("default") == 0, 10)
        caller.close()
        return [cancelled for cancelled in found if cancelled]

    @contextmanager
    def _standing_still(self) -> Iterator[None]:
        pids = [child.pid for child in self.fleet.workers if child.pid]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)

    def killed(self) -> list[str]:
        """Cancels of tasks whose process is killed with kill -9 right after."""
        member = self._members[0]
        caller = self.fleet.caller(member)
        uuids = []
        for _ in range(KILLED):
            uuid = self.fleet.submit(member, self.sources.urls["drip"])
            assert self.fleet.wait(lambda: self.doing(uuid) == "downloading", 20)  # noqa: B023
            assert caller.ask("POST", f"/api/v1/tasks/{uuid}/cancel").status == 202
            for child in self.fleet.workers:
                for pid in self.fleet.children_of(child):
                    os.kill(pid, signal.SIGKILL)
            uuids.append(uuid)
        caller.close()
        return uuids

    def beside(self, going: Callable[[], bool]) -> list[str]:
        """Fetches that nobody cancels, one after the other."""
        member, uuids = self._members[-1], list[str]()
        while going():
            uuids.append(self.fleet.submit(member, self.sources.beside))
            self.fleet.wait(lambda: self.doing(uuids[-1]) == "completed", 30)
        return uuids

    def harmed(self, uuids: list[str]) -> list[Any]:
        """Those that did not complete in their first attempt with all rows."""
        good = "status = 'completed' AND attempt = 1 AND losses = 0 AND (result->>'rows')::int = :rows"
        where = f"uuid::text = ANY(:uuids) AND NOT coalesce({good}, false)"
        query = f"SELECT uuid, status, attempt, error FROM tasks WHERE {where}"
        return self.fleet.portal.sql(query, uuids=uuids, rows=ROWS)

    def orphans(self) -> set[str]:
        """Files in the store that are of no dataset."""
        return self.fleet.stored() - {row[0] for row in self.fleet.portal.sql("SELECT store_key FROM datasets")}

    def forced(self) -> int:
        return sum(child.log.read_text(errors="replace").count(FORCED) for child in self.fleet.workers)


def prove(report: Report, proof: Proof) -> None:
    report.part(f"{CANCELS} cancels by {CALLERS} users at random moments; {WORKERS} workers with {SLOTS} slots")
    with ThreadPoolExecutor(CALLERS + 1) as pool:
        busy = [pool.submit(proof.at_random, number) for number in range(CALLERS)]
        beside = pool.submit(proof.beside, lambda: not all(future.done() for future in busy))
        cancelled = [one for future in busy for one in future.result()]
        untouched = beside.result()
    report.part(f"{QUEUED} cancels of tasks that were rung for and not begun")
    cancelled += proof.queued()
    proof.fleet.ended(60)
    seconds = [one.seconds for one in cancelled]
    report.say(f"cancelled while: {dict(Counter(one.doing for one in cancelled).most_common())}")
    report.say(f"had ended before: {proof.missed}; ended by force: {proof.forced()}")
    slowest = max(cancelled, key=lambda one: one.seconds)
    report.say(f"median {median(seconds):.2f} s, slowest {slowest.seconds:.2f} s ({slowest.doing})")
    report.check("cancels accepted", len(cancelled), CANCELS + QUEUED)
    report.check("of them cancelled", sum(one.then.status == "cancelled" for one in cancelled), CANCELS + QUEUED)
    report.check(f"slower than {MOST_SECONDS:.0f} s", sum(time > MOST_SECONDS for time in seconds), 0)
    report.check("files there at that moment", [name for one in cancelled for name in one.then.files], [])
    report.check("written afterwards", [one.uuid for one in cancelled if proof.moment(one.uuid) != one.then], [])
    report.check(f"harmed, of {len(untouched)} tasks beside them", proof.harmed(untouched), [])

    report.part(f"{KILLED} cancels of tasks whose process is killed; a lease is {LEASE_SECONDS} s")
    killed = proof.killed()
    proof.fleet.ended(60)
    report.check("cancelled", {proof.doing(uuid) for uuid in killed}, {"cancelled"})
    last = proof.beside(iter([True, False]).__next__)  # whoever claims the next task sweeps
    report.check("the next task is harmed", proof.harmed(last), [])
    report.check("files left", [*proof.orphans(), *(name for name in proof.files() if _of_work(name))], [])


def _of_work(name: str) -> bool:
    return not name.startswith("datasets/") and name != store_keys.MARK


def _inside(folder: Path) -> Iterator[Path]:
    """Files and folders; one may go meanwhile."""
    for root, folders, files in os.walk(folder):
        yield from (Path(root, name) for name in (*folders, *files))


def main() -> None:
    report = Report("Cancels are kept")
    sizes = (60 * MIB, 60 * MIB, 300 * MIB) if SHORT else (90 * MIB, 90 * MIB, 500 * MIB)
    with awkward(*sizes) as sources:
        settings: dict[str, Any] = {"fetch_allow_hosts": sources.hosts, "task_lease_seconds": LEASE_SECONDS}
        with fleet(workers=WORKERS, slots=SLOTS, lasting=False, **settings) as running:
            prove(report, Proof(running, sources))
    report.end()


if __name__ == "__main__":
    main()
