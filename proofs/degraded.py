"""What is down takes nothing with it: Redis killed, frozen, full or behind a dead wire, PostgreSQL restarted or frozen.

`make prove-degraded`: webs, workers and a dispatcher under 20 requests a second of several members, one fault after the
other. No answer is a 500, no accepted task is lost, and soon all is as before. SHORT=1 takes under a minute.
"""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any
from urllib.parse import urlsplit

import altcha

from portal.local.child import Child
from proofs import bench
from proofs.bench import SHORT, Report
from proofs.fleet import Fleet, fetch, fleet
from proofs.load import Load, Said
from tests.tcp_proxy import TcpProxy, tcp_proxy

AWAY_SECONDS, FROZEN_SECONDS = (2.5, 3.5) if SHORT else (10.0, 10.0)
RESTARTS = 3 if SHORT else 20
SLOWEST_P99, NORMAL_WITHIN, ANSWERED_WITHIN, FROZEN_ANSWER = 1.5, 15.0, 5.0, 5.0
LOGINS = 1 if SHORT else 3
SETTINGS: dict[str, Any] = {
    "task_lease_seconds": 6,
    "task_retry_seconds": 1,
    "captcha_cost": 100,
    "tasks_waiting_per_user": 10_000,
    "sms_per_address_day": 10_000,
}


@contextmanager
def frozen(child: Child) -> Iterator[None]:
    """All its processes stopped, as on a machine that hangs."""
    pids = [child.pid or 0, *Fleet.children_of(child)]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in reversed(pids):
            os.kill(pid, signal.SIGCONT)


@contextmanager
def killed(f: Fleet) -> Iterator[None]:
    f.kill(f.portal.servers.redis.child)
    try:
        yield
    finally:
        f.keeper.do(f.portal.servers.redis.start)


@contextmanager
def full(f: Fleet) -> Iterator[None]:
    f.portal.redis.config_set("maxmemory", 1)
    try:
        yield
    finally:
        f.portal.redis.config_set("maxmemory", 0)


@contextmanager
def cut(proxy: TcpProxy) -> Iterator[None]:
    proxy.set("hole")
    try:
        yield
    finally:
        proxy.set("pass")


class Proof:
    def __init__(self, f: Fleet, load: Load, report: Report) -> None:
        self.f, self.load, self.report = f, load, report
        self.url = f.source.csv("/small.csv", rows=10)

    def without_redis(self, name: str, fault: Callable[[], AbstractContextManager[None]]) -> None:
        """Members work on while it lasts."""
        self.report.part(f"Redis {name} for {AWAY_SECONDS:.0f} s")
        with fault():
            began = len(self.load.said)
            until = time.monotonic() + AWAY_SECONDS
            codes, logins = self.code(), [self.log_in() for _ in range(LOGINS)]
            time.sleep(max(0.0, until - time.monotonic()))
            self.load.settle()
            said = self.load.said[began:]
        self.normal_again()
        self.answers(said, allowed={200, 202, 304})
        for kind in ("submit", "read", "poll"):
            p99 = self.load.percentile(said, kind)
            self.report.speed(f"{kind}: p99 {p99:.2f} s is at most {SLOWEST_P99} s", p99 <= SLOWEST_P99)
        self.report.check("log-ins by password", set(logins), {200})
        self.report.check("asking for a code by SMS", codes, "503 codes_unavailable")

    def restarts(self) -> None:
        self.report.part(f"PostgreSQL restarted {RESTARTS} times, each as after a crash")
        began, slowest = len(self.load.said), 0.0
        for _ in range(RESTARTS):
            self.f.restart_postgres()
            slowest = max(slowest, self.answered_again())
            time.sleep(0.5)  # the next one meets a portal at work
        self.normal_again()
        self.load.settle()
        self.answers(self.load.said[began:], allowed={200, 202, 304, 503})
        self.report.check(f"pages again at most {slowest:.1f} s after a start", slowest <= ANSWERED_WITHIN, True)

    def answered_again(self) -> float:
        """The seconds until three requests in a row are answered in full."""
        began, caller, row = time.monotonic(), self.f.caller(self.load.members[0]), 0
        while row < 3:
            row = row + 1 if caller.ask("GET", "/api/v1/tasks").status == 200 else 0
            time.sleep(0.02)
        caller.close()
        return time.monotonic() - began

    def frozen_postgres(self) -> None:
        self.report.part(f"PostgreSQL frozen for {FROZEN_SECONDS:.0f} s")
        with frozen(self.f.portal.servers.postgres.child):
            began, until = len(self.load.said), time.monotonic() + FROZEN_SECONDS
            alive = []
            while time.monotonic() < until:
                alive.append(self.timed("GET", "/health/live", 200))
                ready = self.timed("GET", "/health/ready", None)
                time.sleep(0.2)
            said = self.load.said[began:]
        seconds = self.answered_again()
        self.normal_again()
        self.answers(said, allowed={200, 202, 304, 503})
        slowest = max((one.seconds for one in said), default=0.0)
        self.report.check(
            f"slowest answer {slowest:.2f} s, at most {FROZEN_ANSWER:.0f}", slowest <= FROZEN_ANSWER, True
        )
        self.report.check(f"/health/live at most {max(alive):.2f} s", max(alive) <= FROZEN_ANSWER, True)
        self.report.speed(f"/health/ready, when all know it, {ready:.2f} s", ready <= 1.5)
        self.report.check(f"pages again {seconds:.1f} s after the thaw", seconds <= ANSWERED_WITHIN, True)

    def timed(self, method: str, path: str, status: int | None) -> float:
        began = time.monotonic()
        answer = self.f.caller().ask(method, path)
        assert status in (None, answer.status), answer
        return time.monotonic() - began

    def answers(self, said: list[Said], allowed: set[int]) -> None:
        """What was said in the meantime."""
        self.report.say(f"{len(said)} requests: {self.load.tally(said)}")
        wrong = [one for one in said if one.status not in allowed or (one.status == 503 and not one.retry_after)]
        self.report.check("answers that may not be", self.load.tally(wrong), {})

    def normal_again(self) -> None:
        """How long it takes until a new task is done."""
        began = time.monotonic()
        caller = self.f.caller(self.load.members[0])
        uuid = caller.insist("POST", "/api/v1/tasks", fetch(self.url)).body["uuid"]
        done = self.f.wait(lambda: self.status(uuid) == "completed", NORMAL_WITHIN + 30)
        seconds = time.monotonic() - began
        if not done:
            self.report.say(str(self.f.portal.sql("SELECT * FROM tasks WHERE uuid = :uuid", uuid=uuid)))
        what = f"a task submitted when it is over is completed {seconds:.1f} s later"
        self.report.check(f"{what}, at most {NORMAL_WITHIN:.0f}", done and seconds <= NORMAL_WITHIN, True)

    def status(self, uuid: str) -> str:
        return str(self.f.portal.sql("SELECT status FROM tasks WHERE uuid = :uuid", uuid=uuid)[0][0])

    def nothing_lost(self) -> None:
        self.report.part("accepted tasks")
        accepted = {one.task for one in self.load.said if one.task}
        self.f.ended(60)
        rows = self.f.portal.sql("SELECT uuid::text, status, error FROM tasks")
        found = {row[0]: row[1] for row in rows}
        self.report.say(f"{len(accepted)} accepted, workers started again: {dict(self.f.keeper.restarts)}")
        lost = [str(row[1:]) for row in rows if row[0] in accepted and row[1] != "completed"]
        self.report.check("not completed", [*lost, *sorted(accepted - found.keys())], [])
        self.report.check("left in processing", self.f.portal.count("tasks", "status = 'processing'"), 0)

    def log_in(self) -> int:
        return (
            self.f.caller().ask("POST", "/api/v1/auth/login", {"account": "member0", "password": bench.PASSWORD}).status
        )

    def code(self) -> str:
        said = self.f.caller().ask("GET", "/api/v1/auth/captcha").body
        challenge = altcha.Challenge.from_dict(said["challenge"])
        solution = altcha.solve_challenge(challenge)
        assert solution is not None
        ticket = altcha.Payload(challenge, solution).to_base64()
        body = {"phone_number": bench.new_numbers(1)[0], "purpose": "register", "captcha": {"ticket": ticket}}
        return self.f.caller().ask("POST", "/api/v1/auth/sms-code", body).said


def main() -> None:
    report = Report("What is down takes nothing with it")
    with fleet(workers=0, dispatchers=0, webs=0, **SETTINGS) as f, tcp_proxy(f.portal.servers.redis.port) as proxy:
        url = urlsplit(f.portal.servers.redis.url)
        wire = url._replace(netloc=url.netloc.replace(f":{url.port}", f":{proxy.port}")).geturl()
        f.web("web1", REDIS_URL=wire)
        for n in range(2):
            f.worker(f"worker{n + 1}", 2, REDIS_URL=wire)
        f.dispatcher("dispatcher1", REDIS_URL=wire)
        f.ready()
        f.keep()
        with Load(f, f.members(5)) as load:
            proof = Proof(f, load, report)
            report.part("all is well")
            proof.normal_again()
            redis = f.portal.servers.redis.child
            proof.without_redis("killed", lambda: killed(f))
            proof.without_redis("frozen", lambda: frozen(redis))
            proof.without_redis("full", lambda: full(f))
            proof.without_redis("behind a dead wire", lambda: cut(proxy))
            proof.restarts()
            proof.frozen_postgres()
        proof.nothing_lost()
    report.end()


if __name__ == "__main__":
    main()
