"""How a running piece of work is told to stop, also while it is blocked in a read or a long query."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from portal.errors import Stopped


class Stop:
    """Set once from another thread; `check()` raises, `interrupting()` breaks a blocking call off."""

    def __init__(self) -> None:
        self._set = threading.Event()
        self._lock = threading.Lock()
        self._interrupts: list[Callable[[], object]] = []

    def set(self) -> None:
        """Ask the work to stop and break off what it is blocked in."""
        with self._lock:
            self._set.set()
            interrupts = list(self._interrupts)
        for interrupt in interrupts:
            interrupt()

    def is_set(self) -> bool:
        return self._set.is_set()

    def check(self) -> None:
        """Raise `Stopped` once `set()` was called."""
        if self._set.is_set():
            raise Stopped

    @contextmanager
    def interrupting(self, interrupt: Callable[[], object]) -> Iterator[None]:
        """While inside, `set()` also calls `interrupt` (close a socket, interrupt a query).

        Whatever the broken-off call raises is turned into `Stopped`.
        """
        with self._lock:
            self.check()
            self._interrupts.append(interrupt)
        try:
            yield
        except Exception:
            self.check()
            raise
        finally:
            with self._lock:
                self._interrupts.remove(interrupt)
