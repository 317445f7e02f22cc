"""Places in this process for what is scarce: so many at work, of them a share for each owner, and a short queue."""

import fcntl
import os
import threading
import time
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from pathlib import Path

from portal.errors import PortalError, TooMany, Unavailable
from portal.limits import Share


class _Waiter:
    def __init__(self, owner: Hashable) -> None:
        self.owner = owner
        self.called = threading.Event()
        self.refusal: PortalError | None = None


class Places:
    """The places of one kind of work. Refusals carry `code` and `retry_after` seconds; the param `reason` is `own`
    where it is the owner's own work that fills the share (`TooMany`), else others' does (`Unavailable`).

    In the queue goes first who has the least at work, then who came first; a full one lets go the last of whoever
    has most in it, so that one owner, however many requests they send, takes up no other's place.
    """

    def __init__(self, code: str, share: Share, *, retry_after: int) -> None:
        self._code, self._share, self._retry_after = code, share, retry_after
        self._lock = threading.Lock()
        self._at_work: dict[Hashable, int] = {}
        self._waiting: list[_Waiter] = []

    def take(self, owner: Hashable) -> Callable[[], None]:
        """A place; what gives it back may be called twice. Raises `TooMany` or `Unavailable`."""
        waiter = _Waiter(owner)
        with self._lock:
            self._make_room(waiter)
            self._waiting.append(waiter)
            self._call_next()
        if not waiter.called.wait(self._share.seconds):
            with self._lock:
                if not waiter.called.is_set():
                    self._waiting.remove(waiter)
                    waiter.refusal = self._refusal(owner)
        if waiter.refusal:
            raise waiter.refusal
        return self._giving_back(owner)

    @contextmanager
    def place(self, owner: Hashable) -> Iterator[None]:
        """A place for as long as this lasts. Raises as `take` does."""
        give_back = self.take(owner)
        try:
            yield
        finally:
            give_back()

    def _make_room(self, coming: _Waiter) -> None:
        """In the queue, if who comes has to wait. Raises the refusal if there is none for them."""
        if self._can_start(coming) and not any(self._can_start(other) for other in self._waiting):
            return
        own = self._queued(coming.owner)
        if own >= self._share.own_queue:
            raise self._refusal(coming.owner)
        if len(self._waiting) < self._share.queue:
            return
        last = max(reversed(self._waiting), key=lambda waiter: self._queued(waiter.owner))
        if self._queued(last.owner) <= own + 1:
            raise self._refusal(coming.owner)
        self._waiting.remove(last)
        last.refusal = self._refusal(last.owner)
        last.called.set()

    def _call_next(self) -> None:
        while able := [waiter for waiter in self._waiting if self._can_start(waiter)]:
            chosen = min(able, key=lambda waiter: self._at_work.get(waiter.owner, 0))
            self._waiting.remove(chosen)
            self._at_work[chosen.owner] = self._at_work.get(chosen.owner, 0) + 1
            chosen.called.set()

    def _can_start(self, waiter: _Waiter) -> bool:
        return sum(self._at_work.values()) < self._share.places and self._at_work.get(waiter.owner, 0) < self._share.own

    def _queued(self, owner: Hashable) -> int:
        return sum(waiter.owner == owner for waiter in self._waiting)

    def _refusal(self, owner: Hashable) -> PortalError:
        if self._at_work.get(owner, 0) >= self._share.own or self._queued(owner) >= self._share.own_queue:
            return TooMany(self._code, retry_after=self._retry_after, reason="own")
        return Unavailable(self._code, retry_after=self._retry_after)

    def _giving_back(self, owner: Hashable) -> Callable[[], None]:
        held = [owner]

        def give_back() -> None:
            with self._lock:
                if not held:
                    return
                held.clear()
                self._at_work[owner] -= 1
                if not self._at_work[owner]:
                    del self._at_work[owner]
                self._call_next()

        return give_back


class Alone:
    """One at a time for each owner (a whole number), over all processes of this machine that know the file.

    Within a process something else must keep an owner's work apart, as `Places` with one of their own do.
    """

    POLL_SECONDS = 0.01

    def __init__(self, code: str, *, seconds: float, retry_after: int) -> None:
        self._code, self._seconds, self._retry_after = code, seconds, retry_after
        self._files: dict[Path, int] = {}

    @contextmanager
    def on_machine(self, path: Path, owner: int) -> Iterator[None]:
        """Waits for other processes. Raises `TooMany`."""
        file = self._files.get(path) or self._files.setdefault(path, self._opened(path))
        until = time.monotonic() + self._seconds
        while not self._locked(file, owner):
            if time.monotonic() > until:
                raise TooMany(self._code, retry_after=self._retry_after, reason="own")
            time.sleep(self.POLL_SECONDS)
        try:
            yield
        finally:
            fcntl.lockf(file, fcntl.LOCK_UN, 1, owner)

    @staticmethod
    def _opened(path: Path) -> int:
        """Never closed: to close any descriptor of a file gives back all that the process has locked in it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    @staticmethod
    def _locked(file: int, owner: int) -> bool:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, owner)
        except BlockingIOError:
            return False
        return True
