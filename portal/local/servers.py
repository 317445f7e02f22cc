"""PostgreSQL and Valkey as children of ours, for `make run` and for tests.

with throwaway(folder) as servers:
    servers.postgres.url, servers.redis_url
"""

import re
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from portal.local import identity, leftovers
from portal.local.binaries import postgres_folder, valkey_program
from portal.local.child import Child, Pause, run_to_end, stop
from portal.local.ports import free_port
from portal.local.refusals import Refused

USER = DATABASE = "portal"
_READY_WITHIN = 120.0  # seconds; recovery after a crash can take its time
_FORGETFUL = (
    "fsync=off",
    "full_page_writes=off",
    "synchronous_commit=off",
    "autovacuum=off",
)


class _Server:
    child: Child
    url: str

    def prepare(self, pause: Pause = time.sleep, /) -> None: ...

    def start(self) -> None:
        """Prepare, start and wait until it answers; raises Refused when it does not."""
        if not self.child.runs():
            self.prepare()
            self.child.start()
        until = time.monotonic() + _READY_WITHIN
        while not self.child.is_ready():
            if not self.child.runs() or time.monotonic() > until:
                self.stop()
                raise Refused(self.child.report())
            time.sleep(0.01)

    def stop(self, seconds: float = 10.0) -> None:
        """Stop it in order, by force after `seconds`."""
        stop([self.child], time.monotonic() + seconds)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


class Postgres(_Server):
    """PostgreSQL on 127.0.0.1 with its data in `folder`/pg. A throwaway one is quicker and survives no crash.

    `url` is for SQLAlchemy with psycopg2; database and superuser are both called `portal`. Raises Refused when the data
    cannot be used.
    """

    def __init__(
        self,
        folder: Path,
        password: str = "",
        *,
        throwaway: bool = False,
        logs: Path | None = None,
    ) -> None:
        self._programs = postgres_folder()
        self._folder, self.data = folder, folder / "pg"
        self._password = password or secrets.token_urlsafe(24)
        self._throwaway = throwaway
        self._log = (logs or folder) / "postgres.log"
        self.port = free_port()
        self.url = f"postgresql+psycopg2://{USER}:{self._password}@127.0.0.1:{self.port}/{DATABASE}"
        self._identity = identity.for_postgres(folder, self.data, self._programs / "postgres")
        settings = [
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=",
            # Statements hold what people typed and hashes of passwords.
            "log_min_error_statement=panic",
            "log_error_verbosity=terse",
            *(_FORGETFUL if throwaway else ()),
        ]
        self.child = self._program(
            "postgres",
            "postgres",
            [
                "-D",
                self.data,
                "-p",
                str(self.port),
                *(part for setting in settings for part in ("-c", setting)),
            ],
        )
        self.child.ready = self._is_ready
        self.child.clear = lambda: leftovers.end_postgres(self.data)
        # SIGINT ends the sessions of clients, SIGTERM would wait for them. SIGQUIT leaves recovery to the next start.
        self.child.stopping = ((signal.SIGINT, 8.0), (signal.SIGQUIT, 1.0))
        self.child.death = signal.SIGINT

    def prepare(self, pause: Pause = time.sleep, /) -> None:
        """Make the data folder unless it is there. It is named when it is whole: a killed start leaves no half one."""
        if self.data.exists():
            self._check()
            return
        new, password = self._folder / "pg.new", self._folder / "pg.password"
        leftovers.end_postgres(new)
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(mode=0o700)
        self._identity.own(new)
        password.touch(mode=0o600)
        password.write_text(self._password)
        self._identity.own(password)
        try:
            run_to_end(self._initdb(new, password), pause)
            fsync = "off" if self._throwaway else "on"
            single = self._program(
                "first database",
                "postgres",
                ["--single", "-D", new, "-c", f"fsync={fsync}", "postgres"],
            )
            single.input = f"CREATE DATABASE {DATABASE};\n"
            run_to_end(single, pause)
        finally:
            password.unlink(missing_ok=True)
        new.rename(self.data)

    def _initdb(self, data: Path, password: Path) -> Child:
        # The locale of a deployment too: sorts by code point, knows the case of all letters, needs nothing installed.
        builtin = "--locale-provider=builtin --builtin-locale=C.UTF-8 --locale=C"
        options = f"-U {USER} --auth=scram-sha-256 --no-instructions -E UTF8 "
        options += builtin if self._major() >= 17 else "--locale=C.UTF-8"
        options += " --no-sync" if self._throwaway else ""
        return self._program("initdb", "initdb", ["-D", data, f"--pwfile={password}", *options.split()])

    def _program(self, name: str, program: str, arguments: Sequence[str | Path]) -> Child:
        argv = [self._programs / program, *arguments]
        return Child(name, argv, self._log, identity=self._identity, cwd=Path("/"))

    def _check(self) -> None:
        try:
            made_by = (self.data / "PG_VERSION").read_text().strip()
        except FileNotFoundError:
            made_by = ""
        if not made_by or not (self.data / "global/pg_control").exists():
            raise Refused(
                f"{self.data} is not a whole PostgreSQL folder; put a backup there, or move it away to begin anew."
            )
        if made_by != str(self._major()):
            raise Refused(
                f"{self.data} was made by PostgreSQL {made_by}, this is {self._major()}; set PORTAL_PG_BINDIR."
            )

    def _major(self) -> int:
        answer = subprocess.run(
            [self._programs / "postgres", "--version"],
            capture_output=True,
            text=True,
            check=False,
        ).stdout
        if not (number := re.search(r"\) (\d+)", answer)):
            raise Refused(f"{self._programs / 'postgres'} does not run here.")
        return int(number[1])

    def _is_ready(self, pid: int) -> bool:
        # A port that answers could be another server's: the file of our own process says so for sure.
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
            return int(lines[0]) == pid and lines[7].strip() == "ready"
        except (OSError, ValueError, IndexError):
            return False


class Valkey(_Server):
    """Valkey on 127.0.0.1 with its data in `folder`/valkey; a throwaway one writes nothing. `url` is for redis-py."""

    def __init__(
        self,
        folder: Path,
        password: str = "",
        *,
        throwaway: bool = False,
        logs: Path | None = None,
    ) -> None:
        self._password = password or secrets.token_urlsafe(24)
        self._throwaway = throwaway
        self._data, self._settings = folder / "valkey", folder / "valkey.conf"
        self.port = free_port()
        self.url = f"redis://:{self._password}@127.0.0.1:{self.port}/0"
        log = (logs or folder) / "valkey.log"
        self.child = Child(
            "valkey",
            [valkey_program(), self._settings],
            log,
            cwd=self._data,
            ready=self._is_ready,
        )
        self.child.death = signal.SIGTERM

    def prepare(self, _: Pause = time.sleep, /) -> None:
        """Write its settings, in a file because arguments can be read by all users."""
        self._data.mkdir(mode=0o700, exist_ok=True)
        self._settings.touch(mode=0o600)
        settings = {
            "bind": "127.0.0.1",
            "port": self.port,
            "requirepass": self._password,
            "appendonly": "no" if self._throwaway else "yes",
            "save": '""',
            # Messages for workers live here: being full must be an error, never a silent loss.
            "maxmemory-policy": "noeviction",
        }
        self._settings.write_text("".join(f"{name} {value}\n" for name, value in settings.items()))

    def _is_ready(self, _: int) -> bool:
        # Only our own server knows the password. Spoken by hand: importing redis-py takes longer than the start.
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1) as connection:
                connection.sendall(f"AUTH {self._password}\r\nPING\r\n".encode())
                answer = b""
                while answer.count(b"\r\n") < 2 and (more := connection.recv(256)):
                    answer += more
        except OSError:
            return False
        return answer == b"+OK\r\n+PONG\r\n"


class Servers(NamedTuple):
    """Both, running."""

    postgres: Postgres
    redis: Valkey


@contextmanager
def throwaway(folder: Path) -> Iterator[Servers]:
    """Both servers at once for a test run, gone afterwards; `folder` must be empty and is left to the caller."""
    redis = Valkey(folder, throwaway=True)
    redis.prepare()
    redis.child.start()
    try:
        with Postgres(folder, throwaway=True) as postgres, redis:
            yield Servers(postgres, redis)
    finally:
        redis.stop()
