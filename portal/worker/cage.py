"""A process of its own for what an attempt does with a stranger's file: whatever becomes of it, only its task ends.

It is forked, so that it costs milliseconds and needs nothing sent; it has limits of memory and time, and talks to the
worker through a pipe. What was weighed: docs/adr/0016-each-attempt-in-a-cage.md.
"""

import ctypes
import gc
import os
import resource
import signal
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from queue import SimpleQueue
from typing import Any, NoReturn, TypeVar

from loguru import logger

from portal.engine.meter import Meter, Reading
from portal.engine.stop import Stop
from portal.errors import Fault, Stopped

T = TypeVar("T")

MB = 1024**2
LOOK_SECONDS = 0.02  # between two looks at what it holds
TELL_SECONDS = 0.2  # between two words of how far it is
STOP_SECONDS = 1.5  # for work that was asked to stop; then it is killed
RATE = 128 * 1024  # bytes of the file for which it gets another second
PATIENCE = 4  # so many times that by the clock: others may need the processors, too
UNTOUCHED_MB = 1024  # what may be mapped beyond the limit: libraries reserve more than they touch
LIKELY = 0.7  # of its memory: who dies holding more died of it
_PAGE = os.sysconf("SC_PAGE_SIZE")
_TICKS = os.sysconf("SC_CLK_TCK")
_PR_SET_PDEATHSIG = 1
_FOR_THE_WORKER = (signal.SIGINT, signal.SIGTERM)  # who ends what it has begun; they come to the whole group


@dataclass(frozen=True)
class Bounds:
    """What it may hold beyond what the worker itself does; seconds of a processor that a file of no size may take, and
    seconds by the clock until the file is here."""

    memory_mb: int
    seconds: float
    wait: float = 3600


class Inside:
    """The worker, as the work in the cage sees it."""

    def __init__(self, pipe: Connection) -> None:
        self.stop, self.meter = Stop(), Meter()
        self._pipe, self._sending = pipe, threading.Lock()
        self._answers = SimpleQueue[Exception | None]()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._talk, name="cage", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def end(self, how: str, what: Any) -> None:
        self._ended.set()
        self._thread.join()
        self._send("at", self.meter.read())
        self._send(how, what)

    def ask(self, count: int) -> None:
        """What the worker's `allow` says of so many bytes: it may raise."""
        self._send("ask", count)
        if refusal := self._answers.get():
            raise refusal

    def measured(self, size: int) -> None:
        """The file is here, with so many bytes: from now on the time counts that it may take."""
        self._send("measured", size)

    def _send(self, kind: str, what: Any) -> None:
        with self._sending:
            self._pipe.send((kind, what))

    def _talk(self) -> None:
        said = None
        while not self._ended.is_set():
            try:
                if self._pipe.poll(TELL_SECONDS / 4 if said is None else TELL_SECONDS):
                    kind, what = self._pipe.recv()
                    if kind == "stop":
                        self.stop.set()
                    else:
                        self._answers.put(what)
                if (reading := self.meter.read()) != said:
                    self._send("at", reading)
                    said = reading
            except (EOFError, OSError):  # the worker is gone
                os._exit(1)


class Cage:
    """One piece of work; `read()` says how far it is, to whoever asks."""

    def __init__(
        self,
        bounds: Bounds,
        stop: Stop,
        allow: Callable[[int], object] = lambda count: None,
        quiet: AbstractContextManager[Any] | None = None,
    ) -> None:
        """`quiet` is held for the fork: no other thread of the worker may hold a lock meanwhile."""
        self._bounds, self._stop, self._allow = bounds, stop, allow
        self._quiet = quiet or nullcontext()
        self._reading = Reading(0, "", {})
        self._verdict: Fault | Stopped | None = None
        self._limits: tuple[float, float, float] | None = None  # seconds allowed; on the clock, and spent, from when on
        self._over, self._sending = threading.Event(), threading.Lock()
        self.peak_bytes = 0

    def read(self) -> Reading:
        return self._reading

    def run(self, work: Callable[[Inside], T]) -> T:
        """What the work returns (it must pickle). Raises what it raises: `Fault`, `Stopped`, `OSError`; or

        `Fault`: `too_much_memory`, `took_too_long`, `reader_crashed`; `RuntimeError` with the traceback of a bug.
        """
        self._began = time.monotonic()
        self._base = _held(os.getpid())
        ours, theirs = Pipe()
        self._pipe = ours
        with self._quiet, warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of threads: those there are hold nothing now
            before = signal.pthread_sigmask(signal.SIG_BLOCK, _FOR_THE_WORKER)  # until they are ignored in there
            self._pid = os.fork()
        if not self._pid:
            ours.close()
            _inside(theirs, work, self._bounds)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        theirs.close()
        watch = threading.Thread(target=self._watch, name="cage-watch", daemon=True)
        watch.start()
        try:
            how, what = self._listen()
        finally:
            self._over.set()
            watch.join()
            status = self._reaped()
            ours.close()
            logger.info("work ended: {:.1f} s, {} MB at most", time.monotonic() - self._began, self.peak_bytes // MB)
        if how == "done":
            return what  # type: ignore[no-any-return]
        if how == "raised":
            raise what
        if how == "broken":
            raise RuntimeError(f"in the cage:\n{what}")
        raise self._verdict or self._cause(status)

    def _listen(self) -> tuple[str, Any]:
        """Its last word; none if it died."""
        while True:
            try:
                kind, what = self._pipe.recv()
                if kind == "at":
                    self._reading = what
                elif kind == "measured":
                    self._limits = self._bounds.seconds + what / RATE, time.monotonic(), _spent(self._pid)
                elif kind == "ask":
                    self._tell("answer", self._asked(what))
                else:
                    return kind, what
            except (EOFError, OSError):
                return "", None

    def _asked(self, count: int) -> Exception | None:
        try:
            self._allow(count)
        except Fault as fault:
            return fault
        return None

    def _tell(self, kind: str, what: Any = None) -> None:
        with self._sending, suppress(OSError):
            self._pipe.send((kind, what))

    def _watch(self) -> None:
        told: float | None = None
        while not self._over.wait(LOOK_SECONDS):
            grown = _held(self._pid) - self._base
            self.peak_bytes = max(self.peak_bytes, grown)
            now = time.monotonic()
            if grown > self._bounds.memory_mb * MB:
                self._kill(Fault("too_much_memory", limit=self._bounds.memory_mb * MB))
            elif seconds := self._overdrawn(now):
                self._kill(Fault("took_too_long", seconds=round(seconds)))
            elif told is None and self._stop.is_set():
                told = now
                self._tell("stop")
            elif told is not None and now - told > STOP_SECONDS:
                self._kill(Stopped())

    def _overdrawn(self, now: float) -> float | None:
        """The seconds it had, once they are spent."""
        if not (limits := self._limits):
            return self._bounds.wait if now - self._began > self._bounds.wait else None
        seconds, since, before = limits
        is_over = _spent(self._pid) - before > seconds or now - since > seconds * PATIENCE
        return seconds if is_over else None

    def _kill(self, verdict: Fault | Stopped) -> None:
        self._verdict = self._verdict or verdict
        os.kill(self._pid, signal.SIGKILL)  # nobody has reaped it yet: the id is still its own

    def _reaped(self) -> int:
        """Its exit code, after it has ended."""
        until = time.monotonic() + 1
        while time.monotonic() < until:
            pid, status = os.waitpid(self._pid, os.WNOHANG)
            if pid:
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.005)
        os.kill(self._pid, signal.SIGKILL)
        return os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])

    def _cause(self, code: int) -> Fault | Stopped:
        """Why it died, if not by us. What kills without a word is the kernel, where memory is short."""
        if self._stop.is_set():
            return Stopped()
        logger.error("the work died: exit code {}", code)
        memory = self._bounds.memory_mb * MB
        if code == -signal.SIGKILL or self.peak_bytes > LIKELY * memory:
            return Fault("too_much_memory", limit=memory)
        return Fault("reader_crashed")


def _inside(pipe: Connection, work: Callable[[Inside], Any], bounds: Bounds) -> NoReturn:
    try:
        gc.freeze()  # what belongs to the worker is not ours to collect
        _shut_in(bounds)
        inside = Inside(pipe)
        inside.start()
        try:
            inside.end("done", work(inside))
        except (Fault, Stopped, OSError) as problem:
            inside.end("raised", problem)
        except MemoryError:
            inside.end("raised", Fault("too_much_memory", limit=bounds.memory_mb * MB))
        except BaseException:  # noqa: BLE001  # whatever it is goes to the worker's log
            inside.end("broken", traceback.format_exc())
    finally:
        os._exit(0)


def _shut_in(bounds: Bounds) -> None:
    """Limits that the kernel keeps, should nobody look in time; and no life without the worker."""
    for number in _FOR_THE_WORKER:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _FOR_THE_WORKER)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    most = _mapped() + (bounds.memory_mb + UNTOUCHED_MB) * MB
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")


def _held(pid: int) -> int:
    """Bytes of memory that are not of files; 0 where that cannot be known."""
    try:
        resident, shared = Path(f"/proc/{pid}/statm").read_bytes().split()[1:3]
    except (OSError, ValueError):
        return 0
    return (int(resident) - int(shared)) * _PAGE


def _spent(pid: int) -> float:
    """Seconds of processors; 0 where that cannot be known."""
    try:
        user, system = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[11:13]
    except (OSError, ValueError):
        return 0.0
    return (int(user) + int(system)) / _TICKS


def _mapped() -> int:
    """Bytes that this process may write to and shares with nobody, touched or not."""
    with open("/proc/self/status", encoding="ascii") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmData"))
