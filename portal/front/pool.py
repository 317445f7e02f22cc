"""The threads that Flask works in; one that hangs is given up, and a pool that hangs is noticed."""

import sys
import threading
import time
import traceback
from collections.abc import Callable

from loguru import logger

from portal.front import terms
from portal.front.waiting import Step, Waiting


class Pool:
    """Any thread may submit; a step that raises is a bug of whoever submitted it. `waiting` is whose turn it is."""

    def __init__(self, waiting: Waiting, threads: int = terms.THREADS) -> None:
        self._size = threads
        self._waiting = waiting
        self._busy: dict[threading.Thread, float] = {}  # since when
        self._given_up: set[threading.Thread] = set()
        self._came_back = time.monotonic()
        for _ in range(threads):
            self._add()

    def submit(self, do: Callable[[], None], network: str = "", let_go: Callable[[int], None] | None = None) -> None:
        """Have it done for a network. Only what has a `let_go` is refused, by the status that it is told, if too much
        waits."""
        self._waiting.put(Step(do, network, let_go))

    def is_hung(self) -> bool:
        """All threads are at something, and for long none has come back."""
        late = time.monotonic() - terms.HUNG_SECONDS
        return len(self._busy) >= self._size and self._came_back < late and all(at < late for at in self._busy.values())

    def replace_stuck(self) -> None:
        """Have another thread in place of each that has been at one step for too long."""
        for thread, since in list(self._busy.items()):
            if time.monotonic() - since > terms.STUCK_SECONDS:
                logger.error("front: a thread hangs and is given up, at:\n{}", _where(thread))
                self._given_up.add(thread)
                self._busy.pop(thread, None)
                self._add()

    @property
    def given_up(self) -> int:
        return len(self._given_up)

    def where(self) -> str:
        """Where the first thread is."""
        return _where(next(iter(self._busy), threading.current_thread()))

    def _add(self) -> None:
        threading.Thread(target=self._work, name="front", daemon=True).start()

    def _work(self) -> None:
        me = threading.current_thread()
        while me not in self._given_up:
            step = self._waiting.take()
            self._busy[me] = time.monotonic()
            try:
                step.do()
            except Exception as error:  # noqa: BLE001  # a thread that ended would be missed
                logger.opt(exception=error).error("front")
            self._waiting.finished(step)
            self._busy.pop(me, None)
            self._came_back = time.monotonic()
        self._given_up.discard(me)


def _where(thread: threading.Thread) -> str:
    frame = sys._current_frames().get(thread.ident or 0)
    return "".join(traceback.format_stack(frame)[-6:]) if frame else ""
