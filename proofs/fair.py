"""One user's thousand tasks hold nobody up, and neither do their polls. `./dev prove fair`"""

import statistics
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPException
from itertools import islice

from portal import limits
from proofs import history
from proofs.bench import SHORT, Report
from proofs.fleet import Fleet, Member, fleet

TASKS, OTHERS = (60 if SHORT else 1000), 9
WORKERS, SLOTS, SECONDS = 2, 5, 2.0
STORMING, POLLS, PHASES = 8, (60 if SHORT else 300), (2 if SHORT else 5)
PACE = 0.02  # seconds between the other's polls
SLOWER, SLOWEST_MS = 4.0, 250  # what a storm may cost somebody else


def turns(bench: Fleet, report: Report) -> None:
    report.part(f"One user queues {TASKS} tasks of {SECONDS:.0f} s, {OTHERS} users one each a moment later")
    greedy, *others = bench.members(1 + OTHERS)
    url = bench.source.csv("/fair.csv", rows=20, seconds=SECONDS)
    bench.submit_many(greedy, bench.source.csv("/warm.csv", rows=20, seconds=1), WORKERS * SLOTS)
    assert bench.ended(60), "tasks do not end"  # each child has loaded what it needs
    bench.portal.sql("DELETE FROM tasks")
    bench.submit_many(greedy, url, TASKS)
    assert bench.wait(lambda: bench.portal.count("tasks", "status = 'processing'") == WORKERS * SLOTS, 30)
    began = time.time()
    for member in others:
        bench.submit_many(member, url)
    assert bench.ended(60 + 3 * TASKS * SECONDS / (WORKERS * SLOTS)), "tasks do not end"
    lines = history.timelines(bench.portal)
    theirs = [line for line in lines if line.owner_id != greedy.id]
    length = statistics.median(ended - started for line in lines for started, ended in line.runs())
    waits = [line.first("started") - line.first("accepted") for line in theirs]
    ahead = sum(line.owner_id == greedy.id and line.first("started") > began for line in lines)
    report.say(f"a task took {length:.2f} s (median of {len(lines)}); {ahead} waited when the nine came")
    report.say(f"first come, first served: {ahead / WORKERS / SLOTS:.0f} task lengths for each of the nine")
    slowest = max(waits) / length
    report.say(f"the nine: median {statistics.median(waits) / length:.2f} task lengths")
    report.check(f"the slowest of the nine starts after {slowest:.2f} task lengths: within 2", slowest <= 2, True)
    report.check("completed", sum(line.status == "completed" for line in lines), TASKS + OTHERS)
    report.check("tasks that ran more than once", [line.steps for line in lines if line.attempt != 1], [])
    idle(lines, report)


def idle(lines: list[history.Timeline], report: Report) -> None:
    """While there is work: from the first start to the last one, until which something waited all the time."""
    starts = sorted(line.first("started") for line in lines)
    begin, end = starts[0], starts[-1]
    share = 1 - history.busy(lines, begin, end) / (WORKERS * SLOTS * (end - begin))
    gap = share * WORKERS * SLOTS * (end - begin) / len(lines)
    report.say(f"{end - begin:.1f} s with work for {WORKERS * SLOTS} slots; {gap * 1000:.0f} ms from an end to a start")
    report.speed(f"slots idle {share:.1%} of that time: under 5%", share < 0.05)


class Polling:
    """Somebody polls a task of theirs, one poll after the other; how long each took, and what was said."""

    def __init__(self, bench: Fleet, member: Member, uuid: str) -> None:
        self._bench, self._member, self._path = bench, member, f"/api/v1/tasks/{uuid}"
        self.seconds: list[float] = []
        self.said: Counter[str] = Counter()

    def calmly(self, count: int) -> list[float]:
        """So many, with pauses."""
        return list(islice(self._polls(PACE), count))

    @contextmanager
    def storm(self) -> Iterator[None]:
        """As fast as eight threads can, for as long as this lasts."""
        ending = threading.Event()
        threads = [threading.Thread(target=self._until, args=(ending,), daemon=True) for _ in range(STORMING)]
        for thread in threads:
            thread.start()
        yield
        ending.set()
        for thread in threads:
            thread.join(30)

    def _until(self, ending: threading.Event) -> None:
        with suppress(OSError, HTTPException):
            for _ in self._polls(0):
                if ending.is_set():
                    return

    def _polls(self, pace: float) -> Iterator[float]:
        caller = self._bench.caller(self._member)
        while True:
            began = time.perf_counter()
            answer = caller.ask("GET", self._path)
            took = time.perf_counter() - began
            self.said[answer.said] += 1
            yield took
            time.sleep(pace)


def storm(bench: Fleet, report: Report) -> None:
    report.part(f"One member polls as fast as {STORMING} threads can; another polls at leisure")
    url = bench.source.csv("/polled.csv")
    loud_one, *quiet = bench.members(1 + PHASES)  # a log-in has so many polls a minute
    loud = Polling(bench, loud_one, bench.submit(loud_one, url))
    alone: list[float] = []
    beside: list[float] = []
    said: Counter[str] = Counter()
    for member in quiet:  # in turn, so that the machine's moods meet both
        other = Polling(bench, member, bench.submit(member, url))
        alone += other.calmly(POLLS)
        with loud.storm():
            beside += other.calmly(POLLS)
        said += other.said
    for name, took in (("without the storm", alone), ("beside it", beside)):
        report.say(f"{name}: p50 {ms(took, 50):.1f} ms, p99 {ms(took, 99):.1f} ms of {len(took)} polls")
    report.say(f"p50 x {ms(beside, 50) / ms(alone, 50):.1f}, p99 x {ms(beside, 99) / ms(alone, 99):.1f}")
    report.say(f"the storm was told {dict(loud.said)}")
    report.check("what the other was told", dict(said), {"200": 2 * POLLS * PHASES})
    refused = loud.said["429 polls_too_many"]
    report.check("the storm was refused, and told nothing else", {*loud.said}, {"200", "429 polls_too_many"})
    most = limits.POLLS_PER_MINUTE * 2  # a minute may end meanwhile
    report.check(f"of the storm {loud.said['200']} polls were answered: at most {most}", loud.said["200"] <= most, True)
    report.check(f"refused: {refused}, most of them", refused > loud.said["200"], True)
    slower = ms(beside, 50) / ms(alone, 50)
    report.speed(f"the other's median grew {slower:.1f} times: at most {SLOWER:.0f}", slower <= SLOWER)
    report.speed(f"and p99 stays within {SLOWEST_MS} ms", ms(beside, 99) <= SLOWEST_MS)


def ms(took: list[float], percent: int) -> float:
    return statistics.quantiles(took, n=100, method="inclusive")[percent - 1] * 1000


def main() -> None:
    report = Report("Fair to everyone")
    with fleet(workers=WORKERS, slots=SLOTS, dispatchers=1, tasks_waiting_per_user=TASKS) as bench:
        turns(bench, report)
        storm(bench, report)
    report.end()


if __name__ == "__main__":
    main()
