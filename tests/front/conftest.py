"""The portal behind its front, really started; and sockets that say to it what no client library would."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from apiflask import APIFlask

from portal.config import Settings
from portal.local.ports import free_port
from proofs.fleet import name_of

ROOT = Path(__file__).parents[2]
SLOW_SECONDS = 2  # FETCH_STALL_SECONDS of these webs


class Answer:
    """Status, headers in lower case, body; `rest` is what came after it."""

    def __init__(self, raw: bytes, *, bare: bool = False) -> None:
        while raw.startswith(b"HTTP/1.1 100 "):
            raw = raw.partition(b"\r\n\r\n")[2]
        head, _, body = raw.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        self.status = int(first.split(" ")[1]) if first else 0
        self.headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        size = 0 if bare else int(self.headers.get("content-length", len(body)))
        self.body, self.rest = body[:size], body[size:]
        assert len(self.body) == size, raw[:2000]

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Front:
    """A running web."""

    def __init__(self, port: int, process: "subprocess.Popen[bytes]", settings: dict[str, str]) -> None:
        folder = Path(settings["INSTANCE_PATH"])
        self.port, self.process, self.incoming, self.log = port, process, folder / "incoming", folder / "web.log"

    def connect(self, source: str = "127.0.0.1", seconds: float = 20) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), seconds, source_address=(source, 0))

    def say(self, *parts: bytes, half: bool = False) -> bytes:
        """All that is answered until the connection is closed from there, or nothing comes for long."""
        with closing(self.connect()) as sock:
            for part in parts:
                try:
                    sock.sendall(part)
                except OSError:  # it has heard enough
                    break
            if half:
                sock.shutdown(socket.SHUT_WR)
            return until_closed(sock)

    def get(self, path: str) -> Answer:
        return Answer(self.say(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()))

    def webs(self) -> list[int]:
        """The processes that serve."""
        return [pid for pid in self.children() if name_of(pid) != "looks"]

    def looks(self) -> list[int]:
        """The processes that look at rows for them."""
        return [pid for pid in self.children() if name_of(pid) == "looks"]

    def children(self) -> list[int]:
        return [
            int(pid) for pid in Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        ]

    def files(self) -> list[str]:
        """What lies in its folder, or is open there without a name."""
        named = [path.name for path in self.incoming.iterdir()] if self.incoming.exists() else []
        links = [link for pid in self.webs() for link in Path(f"/proc/{pid}/fd").iterdir()]
        return named + [name for link in links if str(self.incoming) in (name := _target(link))]


def _target(link: Path) -> str:
    try:
        return str(link.readlink())
    except OSError:
        return ""


def until_closed(sock: socket.socket) -> bytes:
    heard = b""
    try:
        while piece := sock.recv(65_536):
            heard += piece
    except OSError:
        pass
    return heard


def until(condition: Any, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def environment(settings: Settings, **more: str) -> dict[str, str]:
    """Of a process with these settings."""
    given: dict[str, str] = {}
    for name in settings.model_fields_set:
        value = getattr(settings, name)
        value = value.get_secret_value() if hasattr(value, "get_secret_value") else value
        given[name.upper()] = ",".join(value) if isinstance(value, list) else str(value)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "COV"))}
    return {**inherited, **given, "FETCH_STALL_SECONDS": str(SLOW_SECONDS), **more}


@contextmanager
def started(settings: Settings, folder: Path, *options: str, **more: str) -> Iterator[Front]:
    """A web, until it has answered and as long as wanted."""
    env, port = environment(settings, INSTANCE_PATH=str(folder), **more), free_port()
    argv = [sys.executable, "-m", "portal.front", "--port", str(port), *options]
    with (folder / "web.log").open("wb") as log:
        process = subprocess.Popen(argv, cwd=ROOT, env=env, stdout=log, stderr=log)
    front = Front(port, process, env)
    try:
        until(lambda: process.poll() is not None or _lives(front), 60)
        assert process.poll() is None, (folder / "web.log").read_text()
        yield front
    finally:
        process.terminate()
        process.wait(20)


def _lives(front: Front) -> bool:
    try:
        return front.get("/health/live").status == 200
    except OSError:
        return False


@pytest.fixture(scope="package")
def front(whole_app: APIFlask, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    with started(whole_app.extensions["settings"], tmp_path_factory.mktemp("front")) as running:
        yield running
