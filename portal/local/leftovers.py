"""Processes of an earlier run that was killed: found for sure, and ended before anything is started again."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from signal import Signals

from portal.local.child import Child, Pause
from portal.local.refusals import Refused

_PROC = Path("/proc")


@dataclass(frozen=True)
class Noted:
    """A process we started. `birth` tells it from a later one with its pid, `first` is the signal to begin with."""

    pid: int
    first: Signals
    birth: str

    @property
    def runs(self) -> bool:
        return _birth(self.pid) == self.birth

    def send(self, number: Signals) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(self.pid, number)

    def kill_group(self) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)


def remember(folder: Path, child: Child) -> None:
    """Note in `folder` which process a child is. On a full disk it stays unnoted: better than not running."""
    if child.pid is not None:
        line = f"{child.pid} {int(child.stopping[0][0])} {_birth(child.pid)}"
        with suppress(OSError):
            (folder / f"{child.name}.pid").write_text(line)


def forget(folder: Path) -> None:
    """All noted processes are gone."""
    for note in folder.glob("*.pid"):
        note.unlink(missing_ok=True)


def noted(folder: Path) -> list[Noted]:
    """What was noted in `folder`, running or not."""
    found = []
    for note in folder.glob("*.pid"):
        with suppress(OSError, ValueError):
            pid, number, birth = note.read_text().split(" ", 2)
            found.append(Noted(int(pid), Signals(int(number)), birth))
    return [process for process in found if process.birth]


def end(processes: Sequence[Noted], pause: Pause = time.sleep) -> None:
    """End those that still run; raises Refused when one cannot be ended."""
    running = [process for process in processes if process.runs]
    for process in running:
        process.send(process.first)
    if _gone(lambda: not any(process.runs for process in running), 8.0, pause):
        return
    for process in running:
        if process.runs:
            process.kill_group()
    if not _gone(lambda: not any(process.runs for process in running), 2.0, pause):
        pids = ", ".join(str(process.pid) for process in running if process.runs)
        raise Refused(f"Processes of an earlier run do not end: pid {pids}.")


def end_postgres(data: Path) -> None:
    """End every PostgreSQL process on this data folder; raises Refused when one stays.

    The sessions of a killed server can outlive it for a while and would keep a new one from starting.
    """
    for number, seconds in (
        (signal.SIGINT, 5.0),
        (signal.SIGQUIT, 2.0),
        (signal.SIGKILL, 2.0),
    ):
        pids = _postgres_on(data)
        if not pids:
            return
        for pid in pids:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)
        if _gone(lambda: not _postgres_on(data), seconds, time.sleep):
            return
    raise Refused(f"Another PostgreSQL uses {data}: pid {', '.join(map(str, _postgres_on(data)))}.")


def _postgres_on(data: Path) -> list[int]:
    if not _PROC.is_dir():
        return _postmaster(data)
    pids, data = [], data.resolve()
    for process in _PROC.glob("[0-9]*"):
        # Every PostgreSQL process works inside its data folder.
        with suppress(OSError):
            if (process / "comm").read_text().startswith("postgres") and (process / "cwd").readlink() == data:
                pids.append(int(process.name))
    return pids


def _postmaster(data: Path) -> list[int]:
    try:
        pid = int((data / "postmaster.pid").read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return []
    return [pid] if "postgres" in _ps(pid, "command") else []


def _birth(pid: int) -> str:
    """When a process began, in a form that only this process has; empty when it is gone or a zombie."""
    try:
        state, *fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
    except (OSError, ValueError):
        return "" if _PROC.is_dir() else _ps(pid, "lstart")
    return "" if state in "ZX" else f"{boot} {fields[18]}"


def _ps(pid: int, column: str) -> str:
    with suppress(OSError):
        done = subprocess.run(
            ["ps", "-o", f"{column}=", "-p", str(pid)],
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout.strip()
    return ""


def _gone(condition: Callable[[], bool], seconds: float, pause: Pause) -> bool:
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            return False
        pause(0.02)
    return True
