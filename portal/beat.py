"""Signs of life for whoever started this process: a file whose time moves on, named by BEAT_FILE; bytes in a pipe."""

import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

VARIABLE = "BEAT_FILE"
BEAT_SECONDS = 1.0
SILENT_SECONDS = 10.0  # a process that is stopped, starved of everything, or whose loop does not go round
START_SECONDS = 90.0  # until the first beat


_watched = threading.local()


def while_waiting(say: Callable[[], None] | None) -> None:
    """Have it called now and then while this thread waits for a server, within a bound: it does not hang then."""
    _watched.say = say


def waits() -> None:
    """This thread waits for a server, and knows for how long."""
    if say := getattr(_watched, "say", None):
        say()


def tell(pipe: int) -> None:
    """A sign of life through a pipe that does not block. Without anybody at its other end this process ends."""
    try:
        os.write(pipe, b".")
    except BlockingIOError:  # nobody reads for long: they will
        pass
    except OSError:
        os._exit(1)


class Beat:
    """Without a file nothing is written. A process whose work is a loop touches it at each turn, from the loop itself:
    a thread of its own would beat on while the loop hangs."""

    def __init__(self, file: Path | None) -> None:
        self._file = file

    @classmethod
    def of_environment(cls) -> "Beat":
        name = os.environ.get(VARIABLE)
        return cls(Path(name) if name else None)

    def touch(self) -> None:
        if self._file:
            with suppress(OSError):  # a full disk is no reason to stop
                self._file.touch()

    def start(self) -> None:
        """Beat from a thread of its own: for what is watched in another way, as whoever stops it has a deadline."""
        if self._file:
            threading.Thread(target=self._run, name="beat", daemon=True).start()

    def _run(self) -> None:
        while True:
            self.touch()
            time.sleep(BEAT_SECONDS)


class Listening:
    """For whoever started the process, from its start on."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.started()

    def started(self) -> None:
        """It starts anew."""
        self._file.unlink(missing_ok=True)
        self._last, self._heard_at = 0, time.monotonic()

    def is_silent(self) -> bool:
        """Whether it has not been heard for too long. By this machine's steady clock: the files' own may be set."""
        now = time.monotonic()
        with suppress(OSError):
            if (last := self._file.stat().st_mtime_ns) != self._last:
                self._last, self._heard_at = last, now
        return now - self._heard_at > (SILENT_SECONDS if self._last else START_SECONDS)
