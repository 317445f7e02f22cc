"""Starts processes from one thread, and starts them again when they end."""

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import TypeVar

from portal.local.child import Child

LOOK_SECONDS = 0.1
T = TypeVar("T")


class Keeper:
    """Linux ends a process with the thread that started it: this one lives from `with` to its end."""

    def __init__(self) -> None:
        self.restarts: Counter[str] = Counter()
        self._wishes: SimpleQueue[Callable[[], object]] = SimpleQueue()
        self._kept: list[Child] = []
        self._ending = False
        self._thread = threading.Thread(target=self._run, name="keeper", daemon=True)

    def do(self, action: Callable[[], T]) -> T:
        """Have something done in the keeper's thread; answers or raises what it does."""
        future: Future[T] = Future()

        def act() -> None:
            try:
                future.set_result(action())
            except BaseException as error:  # noqa: BLE001  # it is the caller's
                future.set_exception(error)

        self._wishes.put(act)
        return future.result(180)

    def start(self, child: Child) -> None:
        self.do(child.start)

    def keep(self, child: Child) -> None:
        """From now on it is started again whenever it has ended."""
        self.do(lambda: self._kept.append(child))

    def let_go(self, *children: Child) -> None:
        """No longer; all of them when none is named."""

        def leave() -> None:
            self._kept = [child for child in self._kept if children and child not in children]

        self.do(leave)

    def __enter__(self) -> "Keeper":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending = True
        self._thread.join()

    def _run(self) -> None:
        while not self._ending:
            with suppress(Empty):
                self._wishes.get(timeout=LOOK_SECONDS)()
            for child in self._kept:
                if not child.runs():
                    self.restarts[child.name] += 1
                    child.start()
