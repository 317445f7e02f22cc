"""Many callers at once, and what the web holds meanwhile."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPException
from pathlib import Path

from proofs.crowd import BACKGROUND
from proofs.fleet import Fleet


@contextmanager
def crowd(count: int, each: Callable[[int], object]) -> Iterator[None]:
    """So many threads that do it again and again, each with its number."""
    ending = threading.Event()

    def run(n: int) -> None:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), BACKGROUND)
        while not ending.is_set():
            with suppress(OSError, HTTPException):
                each(n)

    threads = [threading.Thread(target=run, args=(n,), daemon=True) for n in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ending.set()
        for thread in threads:
            thread.join(60)


class Memory:
    """How much memory of their own the web's processes hold, and by how much one of them grew at the most while it was
    watched. Pages of a library's file, of which each process has its first view some time, are not counted.
    """

    def __init__(self, f: Fleet) -> None:
        self._pids = f.children_of(f.webs[0])
        self._before = {pid: self._megabytes(pid) for pid in self._pids}
        self.grown = 0.0

    @staticmethod
    def _megabytes(pid: int) -> float:
        _, resident, shared = map(int, Path(f"/proc/{pid}/statm").read_text().split()[:3])
        return (resident - shared) * 4096 / 1024**2

    @contextmanager
    def watched(self) -> Iterator[None]:
        ending = threading.Event()

        def watch() -> None:
            while not ending.wait(0.01):
                grown = [self._megabytes(pid) - before for pid, before in self._before.items()]
                self.grown = max(self.grown, *grown)

        thread = threading.Thread(target=watch, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ending.set()
            thread.join()
