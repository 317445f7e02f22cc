"""From a submit to the start of the work, on an idle system: milliseconds, beside those of a bare Celery `delay()`.

`make prove-start`: one after the other on the same broker, in turn. SHORT=1 takes fewer.
"""

import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from portal.local.child import stop
from proofs import bench
from proofs.bench import SHORT, Report
from proofs.fleet import Fleet, fetch, fleet

TASKS, WARM_UP = (20, 3) if SHORT else (100, 5)
MOST_MS = 50.0
SLOTS = 2


@contextmanager
def bare(running: Fleet) -> Iterator[Any]:
    """A worker of the smallest Celery on the same broker, and the task it runs."""
    os.environ["BARE_BROKER"] = broker = running.portal.servers.redis.url
    from proofs.bare import app, note

    options = f"-c {SLOTS} -n bare@%h --without-gossip --without-mingle -l warning"
    argv = (str(Path(sys.executable).with_name("celery")), "-A", "proofs.bare", "worker", *options.split())
    child = bench.program(running.portal, "bare", *argv, BARE_BROKER=broker)
    running.keeper.start(child)
    try:
        assert running.wait(lambda: len(_listening(running)) > len(running.workers)), child.report()
        yield note
    finally:
        stop([child], time.monotonic() + 5)
        app.close()


def _listening(running: Fleet) -> list[Any]:
    return [client for client in running.portal.redis.client_list() if client["cmd"] == "brpop"]


def started_bare(running: Fleet, note: Any) -> float:
    """Milliseconds from before `delay()` to the first line of the task."""
    from proofs.bare import STARTS

    sent = time.time()
    note.delay()
    found: Any = running.portal.redis.blpop([STARTS], timeout=10)
    return 1000 * (float(found[1]) - sent)


def started(running: Fleet, caller: Any, url: str) -> tuple[float, float, float]:
    """Milliseconds to the start from when the request was sent, the row was made, and its timeline says `accepted`."""
    sent = time.time()
    answer = caller.ask("POST", "/api/v1/tasks", fetch(url))
    assert answer.status == 202, answer
    uuid = answer.body["uuid"]
    done = "SELECT id FROM tasks WHERE uuid = :u AND status = 'completed'"
    assert running.wait(lambda: running.portal.sql(done, u=uuid), 20, every=0.1)
    row = running.portal.sql(
        "SELECT extract(epoch FROM started_at) - :sent, extract(epoch FROM started_at - created_at),"
        " extract(epoch FROM (SELECT at FROM task_events WHERE task_id = tasks.id AND kind = 'started')"
        "  - (SELECT at FROM task_events WHERE task_id = tasks.id AND kind = 'accepted'))"
        " FROM tasks WHERE uuid = :u",
        u=uuid,
        sent=sent,
    )[0]
    return 1000 * float(row[0]), 1000 * float(row[1]), 1000 * float(row[2])


def figures(times: Sequence[float]) -> str:
    return f"median {median(times):6.1f} ms, 95 % {quantiles(times, n=20)[-1]:6.1f} ms, slowest {max(times):6.1f} ms"


def main() -> None:
    report = Report("From submit to start, idle")
    with fleet(workers=1, slots=SLOTS, lasting=False) as running, bare(running) as note:
        report.part(f"{TASKS} fetches, and as many calls of a bare Celery's delay(), in turn")
        caller = running.caller(running.member())
        url = running.source.csv("/small.csv", rows=3)
        ours, celerys = [], []
        for _ in range(TASKS + WARM_UP):
            ours.append(started(running, caller, url))
            celerys.append(started_bare(running, note))
        caller.close()
    requests, rows, events = zip(*ours[WARM_UP:], strict=True)
    celery = celerys[WARM_UP:]
    report.say(f"request sent → started:  {figures(requests)}")
    report.say(f"created_at → started_at: {figures(rows)}")
    report.say(f"accepted → started:      {figures(events)}")
    report.say(f"bare Celery, delay():    {figures(celery)}")
    report.say(f"ours, from the request, to bare Celery: {median(requests) / median(celery):.1f} : 1")
    for what, times in (("request sent → started", requests), ("created_at → started_at", rows)):
        report.speed(f"{what}: median at most {MOST_MS:.0f} ms", median(times) <= MOST_MS)
    report.end()


if __name__ == "__main__":
    main()
