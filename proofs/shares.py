"""One member, or sixteen strangers, at full tilt: everybody else is answered as before. `make prove-shares`

Strangers with dear passwords, forty row calls, slow uploads and unread downloads, and a file whose cells hold a million
characters; each beside somebody who opens the log-in page, polls, and looks at rows. SHORT=1 takes about a minute.
"""

import itertools
import json
import secrets
import socket
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection
from multiprocessing import get_context
from multiprocessing.pool import Pool
from pathlib import Path

import duckdb

from portal.engine.look import ANSWER_BYTES
from portal.extensions import db
from portal.models import User
from portal.services import links
from proofs import bench, honest
from proofs.bench import SHORT, Answer, Call, Report
from proofs.fleet import Fleet, Member, fleet
from proofs.full_tilt import Memory, crowd

ROUNDS, PHASES = (12, 2) if SHORT else (60, 5)
SLOWER = 3.0
LEAST_P99 = 0.002  # seconds: below it a ratio is the kernel's, which lets whoever works go on for about so long
STRANGERS, LOOKERS, STALLED = 16, 40, 10
ROWS = 60_000 if SHORT else 300_000
LOOK_ALIKES = "671$<+5!0@%8(97[4{|2oaot"
MEMORY_MB = 100  # one member looks at a time, in 64 MB; the answers and what the allocator keeps come on top
PACE = 0.25  # seconds between two requests of one stranger: a flood of cheap ones is what `prove-front` is about
WELL = {"200", "201", "202"}


class Honest:
    """Some who open the log-in page, poll, and look at rows, one after the other; what they were told is counted. One
    alone would ask more often than a log-in may."""

    def __init__(self, f: Fleet, clock: Pool) -> None:
        people = zip(bench.addresses(4, 8), f.members(4), strict=True)
        self._turns = itertools.cycle([self._asking(f, address, member) for address, member in people])
        self._clock = clock
        self.said: Counter[int] = Counter()
        for _ in range(4):
            self.work(5)

    @staticmethod
    def _asking(f: Fleet, address: str, member: Member) -> tuple[int, str, str, dict[str, str]]:
        uuid, _ = made(f, member, f.source.csv("/small.csv", rows=500))
        task = f.submit(member, f.source.csv("/polled.csv"))
        paths = {
            "log-in page": "/login",
            "life": "/health/live",
            "poll": f"/api/v1/tasks/{task}",
            "rows": f"/api/v1/datasets/{uuid}/rows",
        }
        return f.ports[0], address, member.token, paths

    def work(self, rounds: int = ROUNDS) -> honest.Took:
        """Seconds by kind."""
        took, said = self._clock.apply(honest.work, (*next(self._turns), rounds))
        self.said += said
        return took


def scene(title: str, somebody: Honest, report: Report, beside: Callable[[], Iterator[None]]) -> None:
    """The honest one's work without and beside something, in turn: the machine's moods meet both."""
    report.part(title)
    somebody.said.clear()
    alone: dict[str, list[float]] = {}
    crowded: dict[str, list[float]] = {}
    for _ in range(PHASES):
        gather(alone, somebody.work())
        with contextmanager(beside)():
            time.sleep(0.3)
            gather(crowded, somebody.work())
    report.check("what the other was told", dict(somebody.said), {200: 2 * PHASES * ROUNDS * len(alone)})
    for kind, seconds in alone.items():
        idle, busy = p99(seconds), p99(crowded[kind])
        medians = f"median {ms(statistics.median(seconds))} and {ms(statistics.median(crowded[kind]))}"
        report.speed(
            f"{kind}: p99 {ms(idle)} alone, {ms(busy)} beside; {medians}", busy <= SLOWER * max(idle, LEAST_P99)
        )


def gather(all_of_it: dict[str, list[float]], more: dict[str, list[float]]) -> None:
    for kind, seconds in more.items():
        all_of_it.setdefault(kind, []).extend(seconds)


def p99(seconds: list[float]) -> float:
    return statistics.quantiles(seconds, n=100, method="inclusive")[98]


def ms(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms"


def made(f: Fleet, member: Member, url: str = "", **params: str) -> tuple[str, str]:
    """A dataset of what is fetched: its uuid, and its task's."""
    caller = f.caller(member)
    body = {"kind": "fetch", "params": {"url": url} if url else params}
    task = caller.insist("POST", "/api/v1/tasks", body).body["uuid"]
    assert f.wait(lambda: caller.ask("GET", f"/api/v1/tasks/{task}").body["status"] in ("completed", "failed"), 120)
    told = caller.ask("GET", f"/api/v1/tasks/{task}").body
    assert told["status"] == "completed", told
    return told["result"]["dataset"], task


def strangers(f: Fleet, somebody: Honest, report: Report) -> None:
    """On the reset page with no link and with one of their own, and signing up, with the dearest passwords known."""
    members = f.members(STRANGERS)
    with f.portal.app.app_context():
        own = [links.make(db.session.get_one(User, member.id), "reset_password") for member in members]
    said: Counter[str] = Counter()
    where = bench.addresses(STRANGERS, 9)

    def each(n: int) -> None:
        typed = "".join(secrets.SystemRandom().sample(LOOK_ALIKES, len(LOOK_ALIKES)))
        weak = f"password{typed[:8]}password" if n % 2 else typed
        if n % 4 == 3:
            body = {"username": f"stranger{n}", "email": f"s{n}@ds.example", "phone_number": "+8613500135000"}
            call = Call("POST", "/api/v1/auth/register", {**body, "password": weak, "sms_code": "000000"}, where[n])
        else:  # a weak one leaves the link good
            body = {"token": own[n] if n % 2 else "x" * 80, "new_password": ("1|7" * 8 if n % 2 else weak)}
            call = Call("POST", "/api/v1/auth/password/reset", body, where[n])
        connection = HTTPConnection("127.0.0.1", f.ports[0], timeout=60)
        said[bench.ask(connection, call).said] += 1
        connection.close()
        time.sleep(PACE)

    def beside() -> Iterator[None]:
        with crowd(STRANGERS, each):
            yield

    scene(f"{STRANGERS} strangers set passwords of look-alikes", somebody, report, beside)
    report.say(f"they were told {dict(said)}")
    report.check("none was let in", [one for one in said if one[0] not in "4"], [])


def looks(f: Fleet, somebody: Honest, report: Report) -> None:
    member = f.member()
    uuid, _ = made(f, member, f.source.csv("/large.csv", rows=ROWS))
    said: Counter[str] = Counter()

    def each(n: int) -> None:
        path = f"/api/v1/datasets/{uuid}/rows?limit=1000&sort={'-' if n % 2 else ''}word&offset={n * 1000}"
        answer = f.caller(member).ask("GET", path)
        said[answer.said] += 1
        time.sleep(PACE if answer.status == 200 else 2 * PACE)  # sooner than they are told to

    def beside() -> Iterator[None]:
        with crowd(LOOKERS, each):
            yield

    scene(f"{LOOKERS} row calls of one member at any time", somebody, report, beside)
    report.say(f"they were told {dict(said)}")
    report.check("those beyond the share were refused", said["429 look_busy"] > 0, True)
    report.check("and nothing else was said", set(said) - {"200", "429 look_busy"}, set())
    said.clear()
    five = [Call("GET", f"/api/v1/datasets/{uuid}/rows?offset={n}", token=member.token) for n in range(5)]
    answers = [answer.said for _ in range(ROUNDS // 5) for answer in f.portal.at_once(five)]
    report.check("five pages opened at once are all there", Counter(answers), Counter({"200": len(answers)}))


def transfers(f: Fleet, somebody: Honest, report: Report) -> None:
    member, other = f.members(2)
    uuid, _ = made(f, member, f.source.csv("/export.csv", rows=ROWS))
    export = exported(f, member, uuid)
    small = exported(f, other, made(f, other, f.source.csv("/other.csv", rows=1000))[0])
    said: Counter[str] = Counter()
    theirs: Counter[str] = Counter()

    def stalled(n: int) -> None:
        with socket.create_connection(("127.0.0.1", f.ports[0]), 5) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            what = f"GET /api/v1/tasks/{export}/download" if n % 2 else "POST /api/v1/uploads?name=slow"
            length = "" if n % 2 else "Content-Length: 5000000\r\n"
            head = f"{what} HTTP/1.1\r\nHost: ds\r\nAuthorization: Bearer {member.token}\r\n{length}\r\n"
            connection.sendall(head.encode())
            connection.settimeout(0.2)
            for _ in range(15):  # a byte now and then, or none is read
                if not n % 2:
                    connection.sendall(b"x")
                with suppress(TimeoutError):
                    if (got := connection.recv(40)) and got.startswith(b"HTTP/1.1 4"):
                        said[got[9:12].decode()] += 1
                        time.sleep(0.2)
                        return
        said["stalled"] += 1

    def transferring(_: int) -> None:
        caller = f.caller(other)
        caller_said = [
            caller.ask("GET", f"/api/v1/tasks/{small}/download").said,
            upload(f, other, b"a,b\n" + b"1,2\n" * 50_000).said,
        ]
        caller.close()
        theirs.update(caller_said)
        time.sleep(0.02)

    def beside() -> Iterator[None]:
        with crowd(STALLED, stalled), crowd(1, transferring):
            yield

    scene(f"{STALLED} slow uploads and unread downloads of one member; another transfers", somebody, report, beside)
    report.say(f"the slow ones: {dict(said)}; the other: {dict(theirs)}")
    report.check("all of the other's transfers came through", set(theirs) - WELL, set())


def exported(f: Fleet, member: Member, dataset: str) -> str:
    caller = f.caller(member)
    params = {"dataset": dataset, "format": "csv"}
    task = str(caller.insist("POST", "/api/v1/tasks", {"kind": "export", "params": params}).body["uuid"])
    assert f.wait(lambda: caller.ask("GET", f"/api/v1/tasks/{task}").body["status"] == "completed", 120)
    return task


def upload(f: Fleet, member: Member, content: bytes) -> Answer:
    connection = HTTPConnection("127.0.0.1", f.ports[0], timeout=60)
    try:
        headers = {"Authorization": f"Bearer {member.token}", "Content-Type": "application/octet-stream"}
        connection.request("POST", "/api/v1/uploads?name=data", content, headers)
        answer = connection.getresponse()
        return Answer(answer.status, json.loads(answer.read()))
    finally:
        connection.close()


def large_cells(f: Fleet, somebody: Honest, report: Report) -> None:
    member = f.member()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cells.parquet"
        query = "SELECT i AS n, repeat('x', 1000000) AS a, repeat('y', 1000000) AS b FROM range(900) t(i)"
        duckdb.connect().execute(f"COPY ({query}) TO '{path}' (FORMAT parquet, COMPRESSION zstd)")
        report.say(f"{path.stat().st_size} bytes of Parquet, 1.8 GB of text: more is refused when it is fetched")
        sent = upload(f, member, path.read_bytes())
    uuid, _ = made(f, member, upload=sent.body["uuid"])
    said: Counter[str] = Counter()
    largest = 0
    asks = ["rows", "rows?limit=1000", "rows?sort=-n&limit=200", "rows?offset=800"]
    memory = Memory(f)

    def each(n: int) -> None:
        nonlocal largest
        answer = f.caller(member).ask("GET", f"/api/v1/datasets/{uuid}/{asks[n % len(asks)]}")
        said[answer.said] += 1
        largest = max(largest, len(answer.content))
        if answer.status == 200 and not (answer.body["truncated"] and answer.body["truncated_columns"] == ["a", "b"]):
            said["cut in silence"] += 1
        time.sleep(PACE)

    def beside() -> Iterator[None]:
        with crowd(8, each), memory.watched():
            yield

    scene("Rows of a file whose cells hold a million characters", somebody, report, beside)
    report.say(f"they were told {dict(said)}")
    report.check("what was said", set(said) - {"200", "429 look_busy"}, set())
    report.check(f"largest answer {largest / 1024**2:.1f} MiB, within its bound", largest <= 1.05 * ANSWER_BYTES, True)
    what = f"a web process grew by {memory.grown:.0f} MB at the most"
    report.check(f"{what}, within {MEMORY_MB}", memory.grown <= MEMORY_MB, True)


PARTS = (strangers, looks, transfers, large_cells)


def main() -> None:
    report = Report("A share for everyone")
    with get_context("spawn").Pool(1) as clock, fleet(look_seconds=30) as f:
        somebody = Honest(f, clock)
        for part in PARTS:
            if part.__name__ in (sys.argv[1:] or part.__name__):
                part(f, somebody, report)
    report.end()


if __name__ == "__main__":
    main()
