"""A sign of life for whoever started this process: a file whose time moves on, named by BEAT_FILE."""

import os
import threading
import time
from contextlib import suppress
from pathlib import Path

VARIABLE = "BEAT_FILE"
BEAT_SECONDS = 1.0
SILENT_SECONDS = 10.0  # a process that is stopped or starved of everything; a busy one beats from a thread of its own
START_SECONDS = 90.0  # until the first beat
STEP_SECONDS = 45.0  # one step of its loop: longer than any statement may take


class Beat:
    """Without a file nothing is written. A process whose work is a loop says `turned` at each turn."""

    def __init__(self, file: Path | None) -> None:
        self._file, self._turned = file, time.monotonic()

    @classmethod
    def of_environment(cls) -> "Beat":
        name = os.environ.get(VARIABLE)
        return cls(Path(name) if name else None)

    def touch(self) -> None:
        if self._file:
            with suppress(OSError):  # a full disk is no reason to stop
                self._file.touch()

    def turned(self) -> None:
        """The loop goes round."""
        self._turned = time.monotonic()

    def start(self, *, loop: bool = False) -> "Beat":
        """Beat from a thread of its own; for a `loop`, as long as that goes round."""
        if self._file:
            threading.Thread(target=self._run, args=(loop,), name="beat", daemon=True).start()
        return self

    def _run(self, loop: bool) -> None:
        while not loop or time.monotonic() - self._turned < STEP_SECONDS:
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
