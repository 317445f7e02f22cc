"""A web that is told to stop answers what is at hand: what waits, uploads and downloads under way; then it ends."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from apiflask import APIFlask

from portal.front import terms
from tests.front.conftest import Answer, Front, started, until_closed

HOST = b"Host: localhost\r\n"
ASSET = b"GET /static/vendor/redoc-2.5.4/redoc.standalone.js HTTP/1.1\r\n" + HOST
FORM = b"POST /login HTTP/1.1\r\n" + HOST + b"Content-Type: application/x-www-form-urlencoded\r\n"


@pytest.fixture
def own(whole_app: APIFlask, tmp_path: Path) -> Iterator[Front]:
    with started(whole_app.extensions["settings"], tmp_path) as running:
        yield running


def ended(front: Front, seconds: float = terms.STOP_SECONDS + 3) -> int:
    return front.process.wait(seconds)


def stopped(front: Front) -> None:
    """It has heard that it is to stop: it closes what is idle."""
    with closing(front.connect()) as idle:
        idle.sendall(b"GET /health/live HTTP/1.1\r\n" + HOST + b"\r\n")
        assert idle.recv(1000).startswith(b"HTTP/1.1 200")
        front.process.terminate()
        assert until_closed(idle) == b""


def begun(front: Front) -> socket.socket:
    """A form whose body is being read."""
    sock = front.connect()
    sock.sendall(FORM + b"Expect: 100-continue\r\nContent-Length: 9\r\n\r\n")
    assert sock.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
    sock.sendall(b"usern")
    return sock


def test_idle_connections_do_not_keep_it(own: Front) -> None:
    with ExitStack() as stack:
        for _ in range(20):
            sock = stack.enter_context(closing(own.connect()))
            sock.sendall(b"GET /health/live HTTP/1.1\r\n" + HOST + b"\r\n")
            assert sock.recv(1000).startswith(b"HTTP/1.1 200")
        began = time.monotonic()
        own.process.terminate()
        assert ended(own) == 0
        assert time.monotonic() - began < terms.STOP_SECONDS


def test_a_download_under_way_is_whole(own: Front) -> None:
    whole = Answer(own.say(ASSET + b"Connection: close\r\n\r\n")).body
    assert len(whole) > 500_000
    with closing(own.connect()) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)
        sock.sendall(ASSET + b"\r\n")
        first = sock.recv(4096)
        stopped(own)
        assert own.process.poll() is None
        assert Answer(first + until_closed(sock)).body == whole
    assert ended(own) == 0


def test_a_body_under_way_is_answered(own: Front) -> None:
    with closing(begun(own)) as sock:
        stopped(own)
        sock.sendall(b"ame=")
        answer = Answer(until_closed(sock))
    assert answer.status in (200, 400, 422)
    assert answer.headers["connection"] == "close"
    assert ended(own) == 0


def test_what_waits_for_a_thread_is_answered(own: Front) -> None:
    answers: list[int] = []

    def hear(sock: socket.socket, heard: bytes = b"") -> None:
        answers.append(Answer(heard + until_closed(sock)).status)

    with ExitStack() as stack:
        socks = [stack.enter_context(closing(own.connect(f"127.0.0.{2 + n % 8}"))) for n in range(100)]
        for sock in socks:
            sock.sendall(b"GET /login HTTP/1.1\r\n" + HOST + b"\r\n")
        first = socks[0].recv(1)  # they were sent before it: they are read, and most of them wait
        own.process.terminate()
        threads = [threading.Thread(target=hear, args=(sock, first if not n else b"")) for n, sock in enumerate(socks)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
    assert answers == [200] * 100
    assert ended(own) == 0


def test_who_sends_nothing_more_does_not_keep_it(own: Front) -> None:
    (web,) = own.webs()
    with closing(begun(own)):
        stopped(own)
        assert ended(own) == 0
    assert not Path(f"/proc/{web}").exists()
    with pytest.raises(OSError):
        own.connect(seconds=2)
