"""What waits for a thread: whose turn it is, and who is refused because too much waits already."""

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from queue import SimpleQueue

from portal.front import terms


@dataclass(eq=False)
class Step:
    """`let_go` is told the status of the refusal, in the thread of whoever put another step; without one it is neither
    refused nor counted: it ends something that was begun."""

    do: Callable[[], None]
    network: str = ""
    let_go: Callable[[int], None] | None = None
    number: int = 0
    is_of_many: bool = False  # of a network with many unfinished requests


class Waiting:
    """Any thread may put, take and finish steps.

    Next is the network that has least at work, of those the one that has least waiting and unfinished, of those who
    came first; each fourth time who came first of all, so that nobody waits for ever. All that have many unfinished
    share a few of the threads: so many compete for the interpreter with who has not. `unfinished` tells how many
    requests of a network are still coming in.
    """

    def __init__(self, unfinished: Callable[[str], int]) -> None:
        self._unfinished = unfinished
        self._lock = threading.Lock()
        self._calls: SimpleQueue[None] = SimpleQueue()  # one for each step that a thread may look for
        self._steps: dict[str, deque[Step]] = {}
        self._at_work: dict[str, int] = {}
        self._count = self._number = self._turn = self._unheard = self._of_many = 0

    def put(self, step: Step) -> None:
        """Have it done when its turn comes. Where there is no room it is refused, or another one for it."""
        refused = None
        with self._lock:
            if step.let_go and (refused := self._without_room(step)):
                self._withdraw(refused[0])
            if not refused or refused[0] is not step:
                self._number += 1
                step.number = self._number
                self._steps.setdefault(step.network, deque()).append(step)
                self._count += bool(step.let_go)
        if not refused or refused[0] is not step:
            self._calls.put(None)
        if refused and refused[0].let_go:
            refused[0].let_go(refused[1])

    def take(self) -> Step:
        """The next one; waits for it."""
        while True:
            self._calls.get()
            with self._lock:
                if step := self._next():
                    return step
                self._unheard += bool(self._steps)  # all that wait are of networks with enough at work

    def finished(self, step: Step) -> None:
        with self._lock:
            self._of_many -= step.is_of_many
            left = self._at_work[step.network] - 1
            self._at_work[step.network] = left
            if not left:
                del self._at_work[step.network]
            if not self._unheard:
                return
            self._unheard -= 1
        self._calls.put(None)

    def _without_room(self, coming: Step) -> tuple[Step, int] | None:
        """Who is to be refused, and how; nobody if there is room."""
        own = len(self._steps.get(coming.network, ()))
        if own >= terms.WAITING_OF_ONE:
            return coming, 429
        if self._count < terms.WAITING:
            return None
        most = max(self._steps.values(), key=len)
        last = next((step for step in reversed(most) if step.let_go), coming)
        return (coming if len(most) <= own + 1 else last), 503

    def _withdraw(self, step: Step) -> None:
        steps = self._steps.get(step.network)
        if steps and step in steps:
            steps.remove(step)
            self._count -= 1
            if not steps:
                del self._steps[step.network]

    def _next(self) -> Step | None:
        able = [name for name in self._steps if self._can_start(name)]
        if not able:
            return None
        self._turn += 1
        network = able[0] if len(able) == 1 else min(able, key=self._first if self._turn % 4 == 0 else self._rank)
        steps = self._steps[network]
        step = steps.popleft()
        if not steps:
            del self._steps[network]
        self._count -= bool(step.let_go)
        step.is_of_many = self._has_many(network)
        self._of_many += step.is_of_many
        self._at_work[network] = self._at_work.get(network, 0) + 1
        return step

    def _can_start(self, network: str) -> bool:
        if self._at_work.get(network, 0) >= terms.THREADS_OF_ONE:
            return False
        return self._of_many < terms.THREADS_OF_MANY or not self._has_many(network)

    def _has_many(self, network: str) -> bool:
        return self._unfinished(network) > terms.FEW

    def _first(self, network: str) -> int:
        return self._steps[network][0].number

    def _rank(self, network: str) -> tuple[int, int, int]:
        steps = self._steps[network]
        return self._at_work.get(network, 0), len(steps) + self._unfinished(network), steps[0].number
