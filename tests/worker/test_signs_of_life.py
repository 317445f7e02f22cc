"""A worker or dispatcher whose process or main loop hangs ends within 15 s; one whose servers are away goes on."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from apiflask import APIFlask
from celery import Celery
from sqlalchemy import make_url

from portal.beat import SILENT_SECONDS, VARIABLE, Listening
from portal.extensions import db
from portal.services import processes
from tests.front.conftest import ROOT, environment, until
from tests.tcp_proxy import TcpProxy, tcp_proxy

REPLACED_WITHIN = 15.0
AWAY_SECONDS = 22.0
WORKER = "-m celery -A tests.worker.wedged worker -Q lonely -c 1 --without-gossip --without-mingle -n lonely@%h".split()


class Wires:
    """Between a program and its servers."""

    def __init__(self, redis: TcpProxy, postgres: TcpProxy, env: dict[str, str]) -> None:
        self.redis, self.postgres, self.env = redis, postgres, env


@pytest.fixture
def wires(app: APIFlask, tmp_path: Path) -> Iterator[Wires]:
    settings = app.extensions["settings"]
    database, broker = make_url(settings.database_url), urlsplit(settings.redis_url)
    with tcp_proxy(broker.port or 0) as redis, tcp_proxy(database.port or 0) as postgres:
        there = {
            "DATABASE_URL": database.set(port=postgres.port).render_as_string(hide_password=False),
            "REDIS_URL": settings.redis_url.replace(f":{broker.port}", f":{redis.port}"),
        }
        yield Wires(redis, postgres, environment(settings, INSTANCE_PATH=str(tmp_path), **there))


@contextmanager
def program(wires: Wires, tmp_path: Path, argv: list[str], *before: str) -> Iterator["subprocess.Popen[bytes]"]:
    """A process with a file for its beats; `before` are words that start it, such as a keeper's."""
    with (tmp_path / "log").open("wb") as log:
        env = {**wires.env, VARIABLE: str(tmp_path / "beat")}
        process = subprocess.Popen(
            [*before, sys.executable, *argv], cwd=ROOT, env=env, stdout=log, stderr=log, start_new_session=True
        )
    try:
        yield process
    finally:
        for child in (*children(process.pid), process.pid):
            try:
                os.killpg(child, signal.SIGKILL)
            except ProcessLookupError:
                continue
        process.wait(10)


def children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def dispatcher(tmp_path: Path) -> list[str]:
    return ["-m", "tests.worker.wedged", str(tmp_path / "wedge")]


@pytest.mark.parametrize("how", ["stopped", "its loop hangs"])
@pytest.mark.parametrize("kind", ["worker", "dispatcher"])
def test_what_hangs_ends(kind: str, how: str, wires: Wires, app: APIFlask, tmp_path: Path) -> None:
    argv = WORKER if kind == "worker" else dispatcher(tmp_path)
    with program(wires, tmp_path, argv, sys.executable, "-m", "portal.keepalive") as keeper:
        until(lambda: is_at_work(kind, app), 90)
        (kept,) = children(keeper.pid)
        began = time.monotonic()
        if how == "stopped":
            os.kill(kept, signal.SIGSTOP)
        elif kind == "worker":
            celery: Celery = app.extensions["celery"]
            celery.control.broadcast("wedge")
        else:
            (tmp_path / "wedge").touch()
        assert keeper.wait(40) == 1, (tmp_path / "log").read_text()
        assert time.monotonic() - began <= REPLACED_WITHIN
        assert not Path(f"/proc/{kept}").exists()
        assert "gives no sign of life" in (tmp_path / "log").read_text()


@pytest.mark.parametrize("mode", ["refuse", "hole"])
@pytest.mark.parametrize("server", ["redis", "postgres"])
@pytest.mark.parametrize("kind", ["worker", "dispatcher"])
def test_whose_servers_are_away_goes_on(
    kind: str, server: str, mode: str, wires: Wires, app: APIFlask, tmp_path: Path
) -> None:
    listening = Listening(tmp_path / "beat")
    with program(wires, tmp_path, WORKER if kind == "worker" else dispatcher(tmp_path)) as process:
        until(lambda: is_at_work(kind, app), 90)
        wire: TcpProxy = getattr(wires, server)
        wire.set(mode)  # type: ignore[arg-type]  # each is a Mode
        longest = heard(listening, process, tmp_path / "beat", AWAY_SECONDS)
        wire.set("pass")
        longest = max(longest, heard(listening, process, tmp_path / "beat", 3))
    assert longest < SILENT_SECONDS - 1, (tmp_path / "log").read_text()


def heard(listening: Listening, process: "subprocess.Popen[bytes]", beat: Path, seconds: float) -> float:
    """The longest time between two beats, in seconds."""
    deadline, last, longest = time.monotonic() + seconds, 0, 0.0
    since = time.monotonic()
    while time.monotonic() < deadline:
        assert process.poll() is None
        assert not listening.is_silent()
        if (beaten := beat.stat().st_mtime_ns) != last:
            last, since = beaten, time.monotonic()
        longest = max(longest, time.monotonic() - since)
        time.sleep(0.05)
    return longest


def is_at_work(kind: str, app: APIFlask) -> bool:
    """Seen by the others, so its loop goes round."""
    with app.app_context():
        there = bool(processes.alive(kind))
        db.session.rollback()
        return there
