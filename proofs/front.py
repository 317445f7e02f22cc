"""Nobody stops the web: connections that send nothing, half of it, or what is no HTTP, beside honest people.

`make prove-front`: 2,000 such connections from 200 addresses for 60 s, kept up as they are cut off, beside 20 who poll,
read pages and send forms. Then the web is killed, stopped, and hangs in all its threads. Once with the server settings
of `make run`, once with those of compose.yaml. SHORT=1 takes a minute.
"""

import os
import shlex
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import yaml

from portal.front import terms
from portal.local.child import Child, stop
from proofs import bench
from proofs.bench import ROOT, SHORT, Call, Portal, Report
from proofs.crowd import Honest, Strangers
from proofs.fleet import Fleet

CONNECTIONS, ADDRESSES, SECONDS, IDLE_SECONDS = (1000, 200, 5.0, 1.5) if SHORT else (2000, 200, 60.0, 10.0)
ARRIVAL_SECONDS = 1.5  # all come at once and ask at once: of a minute less than a hundredth, but not of five seconds
PEOPLE = 20
WARM_SECONDS = 1.0  # the first pages are made while templates are compiled
REPLACED_WITHIN = 15.0
WAYS = (("killed", signal.SIGKILL), ("stopped", signal.SIGSTOP))
SLOWER = 3.0  # times the p99 of an idle web
LEAST_P99 = 0.010  # seconds: below it a ratio is noise


def compose_options() -> list[str]:
    """How the web is started in a container, but for where it listens."""
    command = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))["services"]["web"]["command"]
    words = shlex.split(command)
    return words[words.index("--processes") :]


class Proof:
    def __init__(self, running: Portal, web: Child, report: Report) -> None:
        self.running, self.web, self.report = running, web, report
        self.incoming = running.folder / "instance" / "incoming"

    def strangers(self) -> None:
        self.honest(WARM_SECONDS)
        idle = self.honest(IDLE_SECONDS)
        disk, threads = self.disk(), self.threads()
        crowded = Honest(self.running.port, PEOPLE)
        arriving = Honest(self.running.port, PEOPLE) if SHORT else crowded
        with ExitStack() as present:
            with arriving.at_work():
                crowd = present.enter_context(Strangers(self.running.port, CONNECTIONS, ADDRESSES))
                time.sleep(ARRIVAL_SECONDS)
            self.honest(SECONDS, crowded)
        self.honest(IDLE_SECONDS, idle)  # before and after: the machine's moods meet both
        self.report.say(f"idle: {idle.count} answers, {idle.told}")
        self.report.check("errors while idle", idle.errors, {})
        self.report.say(f"{crowd.opened} connections of {len(crowd.kinds)} kinds from {ADDRESSES} addresses")
        self.report.say(f"beside them: {crowded.count} answers, {crowded.told}")
        self.report.check("errors of honest people", crowded.errors + arriving.errors, {})
        ratio = crowded.p99 / max(idle.p99, LEAST_P99)
        self.report.speed(f"their p99 is {ratio:.1f} times that of an idle web, at most {SLOWER:.0f}", ratio <= SLOWER)
        fleet_wait(lambda: self.connections() == 0)
        self.report.check("connections left", self.connections(), 0)
        self.report.check("more threads than before", max(0, self.threads() - threads), 0)
        self.report.check("files left", self.files(), [])
        grown = self.disk() - disk
        self.report.check(f"disk used by strangers: {grown / 1024:.0f} KiB, less than 1 MiB", grown < 1024 * 1024, True)

    def replaced(self, *ways: tuple[str, signal.Signals]) -> None:
        for name, number in ways:
            before = set(self.webs())
            one = min(before)
            began = time.monotonic()
            os.kill(one, number)
            fleet_wait(lambda: one not in self.webs() and len(self.webs()) == len(before) and self.answers())  # noqa: B023
            self.report.check(f"a web that is {name} is replaced within {REPLACED_WITHIN:.0f} s", *within(began))

    def honest(self, seconds: float, people: Honest | None = None) -> Honest:
        people = people or Honest(self.running.port, PEOPLE)
        with people.at_work():
            time.sleep(seconds)
        return people

    def answers(self) -> bool:
        try:
            return self.running.one(Call("GET", "/health/ready")).status == 200
        except OSError:
            return False

    def webs(self) -> list[int]:
        return Fleet.webs_of(self.web)

    def threads(self) -> int:
        return sum(len(list(Path(f"/proc/{pid}/task").iterdir())) for pid in self.webs())

    def connections(self) -> int:
        """Open in the web, but for those that wait for another request of honest people."""
        return sum(
            line.split()[3] == "01" and line.split()[1].endswith(f":{self.running.port:04X}")
            for line in Path("/proc/net/tcp").read_text().splitlines()[1:]
        )

    def files(self) -> list[str]:
        named = [path.name for path in self.incoming.iterdir()] if self.incoming.exists() else []
        links = [link for pid in self.webs() for link in Path(f"/proc/{pid}/fd").iterdir()]
        return named + [name for link in links if str(self.incoming) in (name := _target(link))]

    def disk(self) -> int:
        folder = self.running.folder / "instance"
        return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())


@contextmanager
def serving(running: Portal, name: str, options: list[str]) -> Iterator[Child]:
    """A web with these options, until it has answered and as long as wanted."""
    argv = [sys.executable, "-m", "portal.front", "--port", str(running.port), *options]
    web = bench.program(running, name, *argv)
    web.start()
    try:
        bench.answers(web, running.port)
        yield web
    finally:
        stop([web], time.monotonic() + 8)


def hung(running: Portal, report: Report) -> None:
    """A web whose threads all hang, in an application that hangs when asked to."""
    report.part("all threads of a web hang")
    with serving(running, "hanging", ["--app", "tests.front.hanging:app"]) as web:
        before = Fleet.webs_of(web)
        with Strangers(running.port, 2 * terms.THREADS, 8, ["hang"]):
            began = time.monotonic()
            fleet_wait(lambda: Fleet.webs_of(web) not in ([], before), 40)
            report.check(f"it is replaced within {REPLACED_WITHIN:.0f} s", *within(began))
        bench.answers(web, running.port)


def within(began: float) -> tuple[bool, bool]:
    seconds = time.monotonic() - began
    print(f"       {seconds:.1f} s", flush=True)
    return seconds <= REPLACED_WITHIN, True


def fleet_wait(condition: Callable[[], object], seconds: float = 30) -> bool:
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(0.1)
    return True


def _target(link: Path) -> str:
    try:
        return str(link.readlink())
    except OSError:
        return ""


def main() -> None:
    report = Report("Strangers at the door")
    settings = {"make run": ["--processes", "1"], "compose.yaml": compose_options()}
    with bench.portal(with_web=False, trusted_proxies=0) as running:
        for number, (name, options) in enumerate(settings.items()):
            report.part(f"{CONNECTIONS} strangers beside {PEOPLE} honest people, server as in {name}")
            with serving(running, f"web{number}", options) as web:
                proof = Proof(running, web, report)
                proof.strangers()
                ways = WAYS[number:] if SHORT else WAYS  # short: one of them with one process, the other with two
                proof.replaced(*ways[: 1 if SHORT else None])
        hung(running, report)
    report.end()


if __name__ == "__main__":
    main()
