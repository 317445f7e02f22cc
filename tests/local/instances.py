"""`make run` as a person has it, around stand-ins: started as a process, stopped by signals, as root and as nobody."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import pytest

from portal.local.identity import NOBODY
from portal.local.ports import free_port

STANDINS = Path(__file__).with_name("standins.py")
PACKAGES = Path(pytest.__file__).resolve().parents[1]
T = TypeVar("T")
_numbers = count()


def until(condition: Callable[[], T], seconds: float = 15.0) -> T:
    """The first true answer; fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (answer := condition()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)
    return answer


class Instance:
    """A folder to run in, and the run that goes on in it."""

    def __init__(self, folder: Path, as_nobody: bool) -> None:
        self.folder, self.port = folder, free_port()
        self._python, self._options = sys.executable, {}
        self._process: subprocess.Popen[bytes] | None = None
        if as_nobody:
            self._python = _python_for_nobody()
            self._options = {"user": NOBODY, "group": NOBODY, "extra_groups": []}

    def start(self, **env: str) -> "Instance":
        """Start without waiting."""
        given = {"PATH": os.environ["PATH"], "PORT": str(self.port), "PYTHONPATH": str(PACKAGES), **env}
        options: dict[str, Any] = self._options
        if self._process:
            self._process.wait()
        self._said = self.folder / f"said-{next(_numbers)}"
        with self._said.open("w") as said:
            self._process = subprocess.Popen(
                [self._python, STANDINS],
                cwd=self.folder,
                env=given,
                stdout=said,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                **options,
            )
        return self

    def up(self, **env: str) -> "Instance":
        """Start and wait until it has said that it is ready."""
        self.start(**env)
        self.reads("/dev/outbox?key=")
        return self

    @property
    def process(self) -> "subprocess.Popen[bytes]":
        assert self._process
        return self._process

    def reads(self, wanted: str) -> str:
        """All it has said, once it has said `wanted`."""
        until(lambda: wanted in self._said.read_text() or self.process.poll() is not None)
        said = self._said.read_text()
        assert wanted in said, said
        return said

    def ends(self, seconds: float = 10.0) -> tuple[int, str]:
        """Exit code and all it has said, once it and all its processes are gone."""
        code = self.process.wait(seconds)
        assert self.pids() == {}
        return code, self._said.read_text()

    def signal(self, number: signal.Signals) -> None:
        """Send it to the supervisor alone."""
        self.process.send_signal(number)

    def pids(self) -> dict[int, str]:
        """Every process that belongs to this folder, with its command line."""
        found = {}
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                mine = f"INSTANCE_PATH={self.folder}/".encode() in (process / "environ").read_bytes()
                if mine or str(self.folder) in command or str(self.folder) in str((process / "cwd").readlink()):
                    found[int(process.name)] = command
        return found

    def pid(self, name: str) -> int:
        """Of a child, as the supervisor noted it."""
        return int((self.folder / f"instance/run/{name}.pid").read_text().split()[0])

    def secrets(self) -> dict[str, str]:
        lines = (self.folder / "instance/secrets.env").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines)

    def database(self) -> str:
        """Its libpq address."""
        port = (self.folder / "instance/pg/postmaster.pid").read_text().splitlines()[3]
        return f"postgresql://portal:{self.secrets()['POSTGRES_PASSWORD']}@127.0.0.1:{port}/portal"

    def close(self) -> None:
        """Leave nothing behind, whatever the test did."""
        if self._process and self._process.poll() is None:
            self._process.terminate()
        for pid in self.pids():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if self._process:
            self._process.wait()


def _python_for_nobody() -> str:
    # The interpreter of the tests may be in a home that nobody else can enter.
    for python in (sys.executable, "/usr/bin/python3", "/usr/local/bin/python3"):
        check = [python, "-c", "import sys, dotenv, portal.local.run; sys.exit(sys.version_info < (3, 11))"]
        env = {"PYTHONPATH": f"{PACKAGES}:{STANDINS.parents[2]}"}
        with suppress(OSError):
            if not subprocess.run(
                check, env=env, user=NOBODY, group=NOBODY, extra_groups=[], capture_output=True, check=False
            ).returncode:
                return python
    pytest.skip("nobody can run no Python here")
