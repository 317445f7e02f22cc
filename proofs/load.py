"""Members who submit, read and poll at a steady rate, whatever happens, and what each was answered."""

import itertools
import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from http.client import HTTPException
from typing import NamedTuple, Self

from proofs.fleet import Caller, Fleet, Member

PER_SECOND = 20
THREADS = 64
PATTERN = ("poll", "read", "poll", "submit", "poll")


class Said(NamedTuple):
    """A request and its answer; status 0 when there was none, `task` if one was accepted."""

    kind: str
    status: int
    seconds: float
    retry_after: bool = False
    task: str = ""


class Load:
    """Asks while it is open; each request at its own moment, however long those before it take."""

    def __init__(self, f: Fleet, members: Sequence[Member], web: int = 0) -> None:
        self.members, self.said = members, list[Said]()
        self._f, self._web = f, web
        self._uuids: dict[int, str] = {}
        self._waiting: set[Future[None]] = set()
        self._stopping = threading.Event()
        self._threads = ThreadPoolExecutor(THREADS)
        self._local = threading.local()
        self._thread = threading.Thread(target=self._run, name="load", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()
        self.settle()
        self._threads.shutdown()

    def settle(self) -> None:
        """Wait for the answers to what has been asked by now."""
        wait(list(self._waiting), 60)

    def _run(self) -> None:
        began = time.monotonic()
        for n in itertools.count():
            if self._stopping.wait(max(0.0, began + n / PER_SECOND - time.monotonic())):
                return
            self._waiting = {future for future in self._waiting if not future.done()}
            self._waiting.add(self._threads.submit(self._ask, PATTERN[n % len(PATTERN)], n % len(self.members)))

    def _ask(self, kind: str, who: int) -> None:
        uuid = self._uuids.get(who)
        began = time.monotonic()
        try:
            if kind == "submit":
                answer = self._caller(who).ask("POST", "/api/v1/tasks", {"kind": "health_check", "params": {}})
            elif kind == "poll" and uuid:
                answer = self._caller(who).ask("GET", f"/api/v1/tasks/{uuid}")
            else:
                answer = self._caller(who).ask("GET", "/api/v1/tasks")
        except (OSError, HTTPException):
            self.said.append(Said(kind, 0, time.monotonic() - began))
            return
        task = answer.body["uuid"] if answer.status == 202 else ""
        if task:
            self._uuids[who] = task
        self.said.append(Said(kind, answer.status, time.monotonic() - began, bool(answer.retry_after), task))

    def _caller(self, who: int) -> Caller:
        callers: dict[int, Caller] = self._local.__dict__.setdefault("callers", {})
        if who not in callers:
            callers[who] = self._f.caller(self.members[who], self._web)
        return callers[who]

    @staticmethod
    def tally(said: Sequence[Said]) -> dict[str, int]:
        """How often each status was answered, by kind."""
        return dict(sorted(Counter(f"{one.kind} {one.status or 'none'}" for one in said).items()))

    @staticmethod
    def percentile(said: Sequence[Said], kind: str, share: float = 0.99) -> float:
        """Of the seconds that requests of a kind took."""
        times = sorted(one.seconds for one in said if one.kind == kind)
        return times[min(len(times) - 1, int(len(times) * share))] if times else float("inf")
