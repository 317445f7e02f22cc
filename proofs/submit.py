"""Equal submits at once, and kills at the worst moment: one task, one run, equal answers. `./dev prove submit`"""

import random
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from http.client import HTTPException
from select import select

import psycopg2

from proofs import history
from proofs.bench import SHORT, Answer, Report
from proofs.fleet import Fleet, Member, fetch, fleet

TOGETHER = 50
WEB, ANY, ADMITTED, FORGOTTEN = (2, 1, 2, 1) if SHORT else (15, 15, 15, 15)  # rounds
LEASE = 3


class Ear:
    """Hears at once that a submit is committed."""

    def __init__(self, bench: Fleet) -> None:
        url = bench.portal.servers.postgres.url.replace("+psycopg2", "", 1)
        self._connection = psycopg2.connect(url)
        self._connection.autocommit = True
        with self._connection.cursor() as cursor:
            cursor.execute("LISTEN tasks_waiting")

    def hears(self, seconds: float) -> bool:
        ready = select([self._connection], [], [], seconds)[0]
        return bool(ready)

    def close(self) -> None:
        self._connection.close()


class Round:
    """Fifty callers with one key, and what is done as soon as the first submit is committed."""

    def __init__(self, bench: Fleet, member: Member, kind: str, fault: "Fault") -> None:
        self._bench, self._member, self._fault = bench, member, fault
        self.kind, self.key = kind, secrets.token_hex(12)
        self.path = f"/{self.key}.csv"
        self.body = fetch(bench.source.csv(self.path, rows=3, seconds=0.3))
        self.answers: list[Answer] = []
        self.broken: Counter[str] = Counter()

    def run(self) -> None:
        """All at once; those without an answer ask again with the same key until they have one."""
        barrier = threading.Barrier(TOGETHER + 1)
        threads = [threading.Thread(target=self._ask, args=(barrier,), daemon=True) for _ in range(TOGETHER)]
        for thread in threads:
            thread.start()
        ear = Ear(self._bench)
        barrier.wait()
        assert ear.hears(30), "nothing was submitted"
        self._fault(self._bench, self)
        ear.close()
        for thread in threads:
            thread.join(60)

    def _ask(self, barrier: threading.Barrier) -> None:
        caller = self._bench.caller(self._member)
        with suppress(OSError, HTTPException):
            caller.ask("GET", "/health/live")  # the connection is open
        barrier.wait()
        until = time.monotonic() + 45
        while time.monotonic() < until:
            try:
                answer = caller.ask("POST", "/api/v1/tasks", self.body, key=self.key)
            except (OSError, HTTPException) as error:
                self.broken[type(error).__name__] += 1
            else:
                if answer.status != 503:
                    self.answers.append(answer)
                    break
                self.broken[answer.said] += 1
            time.sleep(0.2)
        caller.close()

    def is_now(self, status: str) -> bool:
        """Whether the task is as said, in SQL."""
        where = f"{status} AND params ->> 'url' LIKE :url"
        return self._bench.portal.count("tasks", where, url=f"%{self.path}") > 0


Fault = Callable[[Fleet, Round], object]


def web_dies(bench: Fleet, _: Round) -> None:
    bench.kill_group(bench.webs[0])


def dispatcher_dies(bench: Fleet, _: Round) -> None:
    time.sleep(random.uniform(0, 0.03))
    bench.kill(bench.dispatchers[0])


def dispatcher_dies_before_it_rings(bench: Fleet, its: Round) -> None:
    """Or just after: the ring follows the commit by a millisecond or two."""
    bench.wait(lambda: its.is_now("status <> 'pending'"), 5, every=0)
    bench.kill(bench.dispatchers[0])


def broker_forgets(bench: Fleet, its: Round) -> None:
    """Nobody has taken the message: the worker was killed a moment ago, and is coming back."""
    assert bench.wait(lambda: its.is_now("status = 'queued'"), 20, every=0)
    bench.portal.redis.flushall()


ROUNDS: dict[str, tuple[int, Fault]] = {
    "kill -9 of the web, after the commit and before the answer": (WEB, web_dies),
    "kill -9 of the dispatcher, any moment after the commit": (ANY, dispatcher_dies),
    "kill -9 of the dispatcher, as it admits": (ADMITTED, dispatcher_dies_before_it_rings),
    "the broker forgets the message": (FORGOTTEN, broker_forgets),
}


def judge(bench: Fleet, report: Report, rounds: list[Round]) -> None:
    portal = bench.portal
    lines = {line.task_id: line for line in history.timelines(portal)}
    for kind in dict.fromkeys(each.kind for each in rounds):
        mine = [each for each in rounds if each.kind == kind]
        report.part(f"{kind}: {len(mine)} times")
        broken = sum((each.broken for each in mine), Counter())
        report.say(f"asked again: {sum(broken.values())} {dict(broken)}")
        report.check("answers", [len(each.answers) for each in mine], [TOGETHER] * len(mine))
        report.check("answered", {answer.said for each in mine for answer in each.answers}, {"202"})
        report.check("different answers", [len({a.content for a in each.answers}) for each in mine], [1] * len(mine))
        ids = [
            [row.id for row in portal.sql("SELECT id FROM tasks WHERE params ->> 'url' LIKE :url", url=f"%{each.path}")]
            for each in mine
        ]
        report.check("tasks", [len(found) for found in ids], [1] * len(mine))
        own = [lines[found[0]] for found in ids]
        report.check("runs (started)", [line.count("started") for line in own], [1] * len(mine))
        report.check("runs (asked the source)", [bench.source.hits[each.path] for each in mine], [1] * len(mine))
        report.check("completed", [line.status for line in own], ["completed"] * len(mine))
        report.check("illegal transitions", history.illegal(own), [])
        rung = sum(line.count("requeued") for line in own)
        slowest = max(line.first("started") - line.first("accepted") for line in own)
        report.say(f"doorbells rung again: {rung}; the slowest start after {slowest:.1f} s")


def main() -> None:
    report = Report(f"{TOGETHER} equal submits at once")
    with fleet(workers=1, slots=4, dispatchers=1, task_lease_seconds=LEASE) as bench:
        bench.keep()
        member, rounds = bench.member(), []
        for kind, (count, fault) in ROUNDS.items():
            for _ in range(count):
                rounds.append(Round(bench, member, kind, fault))
                bench.ready()
                if fault is broker_forgets:
                    assert bench.ended(30)
                    bench.kill(bench.workers[0])
                rounds[-1].run()
        assert bench.ended(60), "a task does not end"
        report.say(f"{len(rounds)} rounds")
        judge(bench, report, rounds)
    report.end()


if __name__ == "__main__":
    main()
