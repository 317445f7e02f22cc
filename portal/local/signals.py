"""Waiting that a signal ends at once: a stop that is asked for, or a child that has ended."""

import os
import select
import signal
import time
from types import FrameType, TracebackType
from typing import Any, Self

from portal.local.refusals import StopAsked

_STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Signals:
    """While inside, SIGINT, SIGTERM and SIGHUP only set `asked`, and `pause` raises StopAsked for them.

    `insisted` is set by a later Ctrl-C. What arrives together is one wish: a group and its leader are often both told.
    """

    def __init__(self) -> None:
        self.asked = self.insisted = False
        self._asked_at = 0.0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        self._read, self._write = os.pipe()
        for end in (self._read, self._write):
            os.set_blocking(end, False)
        self._wakeup = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        for number in _STOPPING:
            if number == signal.SIGHUP and signal.getsignal(number) == signal.SIG_IGN:
                continue  # nohup: meant to outlive the terminal
            self._before[number] = signal.signal(number, self._note)
        # A handler of any kind is what makes the end of a child wake us up.
        self._before[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda *_: None)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup)
        os.close(self._read)
        os.close(self._write)

    def pause(self, seconds: float) -> None:
        """Wait for a signal, at most so long; raises StopAsked when a stop was asked for."""
        self.rest(seconds)
        if self.asked:
            raise StopAsked

    def rest(self, seconds: float) -> None:
        """Wait for a signal, at most so long."""
        if select.select([self._read], [], [], max(0.0, seconds))[0]:
            os.read(self._read, 4096)

    def _note(self, number: int, _: FrameType | None) -> None:
        now = time.monotonic()
        if not self.asked:
            self.asked, self._asked_at = True, now
        elif number == signal.SIGINT and now - self._asked_at > 0.5:
            self.insisted = True
