"""One process that we start, watch and stop, with all it started itself."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from signal import Signals

from portal.beat import Listening
from portal.local.identity import OURSELVES, Identity
from portal.local.refusals import Refused

Pause = Callable[[float], None]
_DONE = object()
LOG_LIMIT = 5 * 1024 * 1024  # bytes; one older part of the same size is kept


def _nothing() -> None: ...


@dataclass(eq=False)
class Child:
    """Start it from the main thread: Linux ties `death` to the thread that started the process.

    `stopping` are signals with the seconds each may take; SIGKILL for the process group comes last. `clear` removes
    what an earlier process left behind, before each start and after a kill. `input` is fed to standard input. `beat` is
    where it gives signs of life.
    """

    name: str
    argv: Sequence[str | Path]
    log: Path
    env: Mapping[str, str] | None = None
    cwd: Path | None = None
    ready: Callable[[int], bool] = bool
    stopping: Sequence[tuple[Signals, float]] = ((signal.SIGTERM, 2.0),)
    death: Signals = signal.SIGKILL
    identity: Identity = OURSELVES
    clear: Callable[[], None] = _nothing
    input: str | None = None
    beat: Listening | None = None
    started_at: float = 0.0
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)
    _log_from: int = 0

    def start(self) -> None:
        """Start it; raises OSError or Refused."""
        self.clear()
        self.trim_log()
        if self.beat:
            self.beat.started()
        with open(self.log, "ab") as log:
            self._log_from = log.tell()
            try:
                self._process = subprocess.Popen(
                    [str(part) for part in self.argv],
                    stdin=subprocess.DEVNULL if self.input is None else subprocess.PIPE,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    cwd=self.cwd,
                    env=self.env,
                    # A session of its own: Ctrl-C in the terminal must reach us alone, the order of stopping is ours.
                    start_new_session=True,
                    **self.identity.popen(self.death),
                )
            except subprocess.SubprocessError as error:
                raise Refused(f"{self.name} could not be started: {error}") from error
        self.started_at = time.monotonic()
        if self.input is not None and self._process.stdin:
            with suppress(BrokenPipeError), self._process.stdin as pipe:
                pipe.write(self.input.encode())

    @property
    def pid(self) -> int | None:
        """Of the process that runs or ran last."""
        return self._process.pid if self._process else None

    @property
    def returncode(self) -> int | None:
        return self._process.returncode if self._process else None

    def runs(self) -> bool:
        """Whether it runs. When it has ended, what it left in its process group is killed."""
        if self._process is None or self._process.returncode is not None:
            return False
        if self._process.poll() is None:
            return True
        self._kill_group()
        return False

    def is_ready(self) -> bool:
        return self.runs() and self._process is not None and self.ready(self._process.pid)

    def kill_if_silent(self) -> bool:
        """Kill it, with all it started, if it runs but gives no sign of life; whether that was so."""
        if self.beat is None or self._process is None or not self.beat.is_silent() or not self.runs():
            return False
        self._kill_group()
        self._process.wait()
        return True

    def ending(self) -> str:
        """How it ended, for a person."""
        code = self.returncode
        if code is not None and code < 0:
            with suppress(ValueError):
                return f"was ended by {Signals(-code).name}"
        return f"ended with exit code {code}"

    def last_lines(self, count: int = 6) -> list[str]:
        """The end of what this process itself has logged."""
        with suppress(OSError), open(self.log, "rb") as log:
            size = log.seek(0, os.SEEK_END)
            start = self._log_from if self._log_from <= size else 0
            log.seek(max(start, size - 8192))
            lines = log.read().decode(errors="replace").splitlines()
            return [line.rstrip()[:300] for line in lines if line.strip()][-count:]
        return []

    def report(self) -> str:
        """How it ended, its last lines and where the rest is."""
        return f"{self.name} {self.ending()}.\n{self.log_excerpt()}"

    def log_excerpt(self) -> str:
        """Its last lines and where the rest is, indented."""
        return "\n".join(f"    {line}" for line in (*self.last_lines(), f"Log: {self.log}"))

    def trim_log(self) -> None:
        """Keep the log bounded. The file is emptied in place: the child appends to it."""
        with suppress(OSError):
            if self.log.stat().st_size > LOG_LIMIT:
                shutil.copyfile(self.log, self.log.with_suffix(".log.1"))
                os.truncate(self.log, 0)

    def wind_down(self, deadline: float) -> Iterator[None]:
        """Ask, then force it to end; yields while it still runs. After `deadline` (monotonic) nobody is asked."""
        for number, seconds in self.stopping:
            if not self.runs() or self._process is None:
                return
            self._process.send_signal(number)
            until = min(time.monotonic() + seconds, deadline)
            while time.monotonic() < until:
                if not self.runs():
                    return
                yield
        while self.runs():
            self._kill_group()
            yield
        self.clear()

    def _kill_group(self) -> None:
        if self._process is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)


def stop(children: Iterable[Child], deadline: float, pause: Pause = time.sleep) -> None:
    """Stop these together and wait until they are gone."""
    windings = [child.wind_down(deadline) for child in children]
    while windings := [winding for winding in windings if next(winding, _DONE) is not _DONE]:
        pause(0.01)


def run_to_end(child: Child, pause: Pause = time.sleep) -> None:
    """Run a child that ends by itself; raises Refused with its last lines unless it succeeds."""
    child.start()
    try:
        while child.runs():
            pause(0.01)
    finally:
        stop([child], time.monotonic() + 2, time.sleep)
    if child.returncode != 0:
        raise Refused(child.report())
