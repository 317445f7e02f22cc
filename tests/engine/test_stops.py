"""Whatever a fetch is blocked in, it is broken off within a moment."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from portal.engine import broken_rows
from portal.engine.csv_dialect import Dialect
from portal.engine.download import Limits, download
from portal.engine.fetch import Fetched
from portal.engine.guard import Policy
from portal.engine.meter import Meter
from portal.engine.stop import Stop
from portal.errors import Stopped
from tests.engine.servers import Site, gz

Fetch = Callable[..., Fetched]
SLOW = Limits(connect_seconds=20)


@contextmanager
def broken_off(stop: Stop, once: threading.Event, seconds: float = 1) -> Iterator[None]:
    """What is inside is told to stop when the event comes, and ends as stopped in less than so many seconds."""
    told: list[float] = []

    def tell() -> None:
        once.wait(10)
        told.append(time.monotonic())
        stop.set()

    threading.Thread(target=tell, daemon=True).start()
    with pytest.raises(Stopped):
        yield
    assert time.monotonic() - told[0] < seconds


class Stopping(Meter):
    """Sets `stop` when a step begins, in the thread that does the work: so the step cannot be over before."""

    def __init__(self, stop: Stop, code: str) -> None:
        self._stop, self._awaited = stop, code
        super().__init__()

    def step(self, code: str, span: tuple[int, int]) -> None:
        super().step(code, span)
        if code == self._awaited:
            self._stop.set()


def test_a_tls_handshake_that_is_not_answered(tmp_path: Path, stop: Stop) -> None:
    greeted = threading.Event()

    def answer(server: socket.socket) -> None:
        sock, _ = server.accept()
        with sock:
            sock.recv(100)
            greeted.set()
            while sock.recv(100):
                pass

    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        threading.Thread(target=answer, args=(server,), daemon=True).start()
        policy = Policy(frozenset({("127.0.0.1", port)}))
        with broken_off(stop, greeted):
            url = f"https://127.0.0.1:{port}/"
            download(url, tmp_path / "f", policy=policy, limits=SLOW, stop=stop, report=lambda *_: None)


def test_a_name_that_is_not_resolved(tmp_path: Path, stop: Stop, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, answered = threading.Event(), threading.Event()

    def getaddrinfo(*_: Any, **__: Any) -> list[Any]:
        asked.set()
        answered.wait(10)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    with broken_off(stop, asked):
        policy = Policy(frozenset({("data.example", 80)}))
        url = "http://data.example/x"
        download(url, tmp_path / "f", policy=policy, limits=SLOW, stop=stop, report=lambda *_: None)
    answered.set()


def test_a_second_address_is_not_tried(tmp_path: Path, stop: Stop, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first is refused after the stop; the second would answer."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        addresses = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port)) for host in ("127.0.0.2", "127.0.0.1")]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: addresses)
        connect = socket.socket.connect

        def stopped_meanwhile(self: socket.socket, address: Any) -> None:
            stop.set()
            connect(self, address)

        monkeypatch.setattr(socket.socket, "connect", stopped_meanwhile)
        policy = Policy(frozenset({("data.example", port)}))
        url = f"http://data.example:{port}/x"
        with pytest.raises(Stopped):
            download(url, tmp_path / "f", policy=policy, limits=SLOW, stop=stop, report=lambda *_: None)
        server.settimeout(0.2)
        with pytest.raises(TimeoutError):
            server.accept()


@pytest.mark.parametrize("code", ["connecting", "downloading", "unpacking", "converting", "profiling", "storing"])
def test_each_step(site: Site, fetch: Fetch, stop: Stop, tmp_path: Path, code: str) -> None:
    url = site.file("/x", gz(b"a,b,c,d\n" + b"1,x,2026-01-01,2.5\n" * 4000))
    meter = Stopping(stop, code)
    with pytest.raises(Stopped):
        fetch(url, meter=meter)
    assert meter.read().code == {"downloading": "stalled"}.get(code, code)


def test_the_search_for_a_broken_row(tmp_path: Path, stop: Stop) -> None:
    source = tmp_path / "source"
    source.write_text("a,b\n" + "1,2\n" * 5000 + "3\n")
    stop.set()
    with pytest.raises(Stopped):
        broken_rows.of_csv(source, Dialect(",", '"', True, ("a", "b"), ((), ()), 0), stop, lambda _: None)


def test_the_search_for_a_broken_line(tmp_path: Path, stop: Stop) -> None:
    source = tmp_path / "source"
    source.write_text('{"a":1}\n' * 100 + "x\n")
    stop.set()
    with pytest.raises(Stopped):
        broken_rows.of_ndjson(source, stop, lambda _: None)
