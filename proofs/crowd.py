"""Two crowds for proofs/front.py: strangers who hold connections open, and honest people who time their answers."""

import os
import select
import selectors
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Self

ROOT = Path(__file__).parent.parent
HOST = b"Host: localhost\r\n"
FORM = b"POST /login HTTP/1.1\r\n" + HOST + b"Content-Type: application/x-www-form-urlencoded\r\n"
JSON = b"POST /api/v1/auth/login HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\n"
MULTIPART = b"POST /register HTTP/1.1\r\n" + HOST + b"Content-Type: multipart/form-data; boundary=b\r\n"
UPLOAD = b"POST /api/v1/uploads?name=a.csv HTTP/1.1\r\n" + HOST + b"Authorization: Bearer none\r\n"
PART = b'--b\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n'
DRIP_SECONDS = 1.0
PAUSE_SECONDS = 0.15  # of an honest person, between two requests
AGAIN_SECONDS = 20.0  # who is cut off is back after about so long

# What is sent at once, and what then each second.
KINDS: dict[str, tuple[bytes, bytes]] = {
    "silent": (b"", b""),
    "half a request line": (b"GET /lo", b""),
    "headers only, a byte a second": (b"GET /login HTTP/1.1\r\n" + HOST, b"X"),
    "a body that never comes": (FORM + b"Content-Length: 10\r\n\r\n", b""),
    "a body, a byte a second": (JSON + b"Content-Length: 262144\r\n\r\n{", b" "),
    "chunks without end": (JSON + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
    "a chunk that never comes": (FORM + b"Transfer-Encoding: chunked\r\n\r\nffff\r\n", b""),
    "a form with a file": (MULTIPART + b"Content-Length: 200000\r\n\r\n" + PART, b"x" * 1000),
    "an upload of 2 GiB": (UPLOAD + b"Content-Length: 2147483648\r\n\r\n", b"x" * 65_536),
    "a form of 2 GiB": (b"POST /uploads/ HTTP/1.1\r\n" + HOST + b"Content-Length: 2147483648\r\n\r\n", b"x" * 65_536),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9), bytes(9)),
    "an upgrade to HTTP/2": (
        b"GET / HTTP/1.1\r\n"
        + HOST
        + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n",
        b"",
    ),
    "TLS": (bytes.fromhex("16030100c8010000c40303"), b"x"),
    "broken": (b"\0\1\2\3\r\n\r\n", b"\0"),
    "expects to be asked": (FORM + b"Expect: 100-continue\r\nContent-Length: 100\r\n\r\n", b""),
    "two lengths": (FORM + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n", b""),
    "reads nothing": (b"GET /static/vendor/redoc-2.5.4/redoc.standalone.js HTTP/1.1\r\n" + HOST + b"\r\n", b""),
}
HANG = {"hang": (b"GET /hang HTTP/1.1\r\n" + HOST + b"\r\n", b"")}


BACKGROUND = 19  # their work is done on machines of their own, and takes nothing of the portal's


class Strangers:
    """So many connections are open at any time, as far as the web lets them; in a process of their own."""

    def __init__(self, port: int, count: int, addresses: int, kinds: Sequence[str] = ()) -> None:
        self.kinds = list(kinds or KINDS)
        self.opened = 0
        self._argv = [sys.executable, "-m", "proofs.crowd", *map(str, (port, count, addresses)), *self.kinds]

    def __enter__(self) -> Self:
        """They are all there, as far as they are let."""
        self._process = subprocess.Popen(self._argv, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout
        self._process.stdout.readline()
        return self

    def __exit__(self, *_: object) -> None:
        """All of them are gone; `opened` says how many there were in all."""
        said, _errors = self._process.communicate("stop")
        self.opened = int(said)


class _Crowd:
    def __init__(self, port: int, count: int, addresses: int, kinds: Sequence[str]) -> None:
        self._port, self._count, self._addresses = port, count, addresses
        self.kinds = {name: (KINDS | HANG)[name] for name in kinds}
        self.opened = 0
        self._open: dict[socket.socket, str] = {}
        self._selector = selectors.DefaultSelector()
        self._turns: deque[tuple[float, socket.socket]] = deque()

    def run(self) -> None:
        """Until something is said to it. Who is cut off comes back, but not all of them at once."""
        os.nice(BACKGROUND)
        began = time.monotonic()
        is_said = False
        while not select.select([sys.stdin], [], [], 0)[0]:
            allowed = self._count + int((time.monotonic() - began) * self._count / AGAIN_SECONDS)
            for _ in range(min(20, self._count - len(self._open), allowed - self.opened)):
                self._open_one()
            if self.opened >= self._count and not is_said:
                is_said = True
                print("all there", flush=True)
            for key, _ in self._selector.select(0.05):
                self._hear(key.fileobj)  # type: ignore[arg-type]  # we register sockets
            self._drip()
        for sock in list(self._open):
            self._close(sock)
        print(self.opened, flush=True)

    def _drip(self) -> None:
        """Send what those send each second whose second is over: each has a moment of its own."""
        now = time.monotonic()
        while self._turns and self._turns[0][0] <= now:
            _, sock = self._turns.popleft()
            if kind := self._open.get(sock):
                self._send(sock, self.kinds[kind][1])
                self._turns.append((now + DRIP_SECONDS, sock))

    def _open_one(self) -> None:
        sock = socket.socket()
        sock.setblocking(False)
        number = self.opened % self._addresses
        kind = list(self.kinds)[self.opened % len(self.kinds)]
        self.opened += 1
        with suppress(BlockingIOError):
            sock.bind((f"127.0.{1 + number // 200}.{1 + number % 200}", 0))
            sock.connect(("127.0.0.1", self._port))
        self._open[sock] = kind
        self._turns.append((time.monotonic() + DRIP_SECONDS, sock))
        self._selector.register(sock, selectors.EVENT_WRITE)

    def _hear(self, sock: socket.socket) -> None:
        kind = self._open.get(sock)
        if kind is None:
            return
        if self._selector.get_key(sock).events == selectors.EVENT_WRITE:  # it is connected
            if kind == "reads nothing":
                self._selector.unregister(sock)
            else:
                self._selector.modify(sock, selectors.EVENT_READ)
            self._send(sock, self.kinds[kind][0])
            return
        try:
            if sock.recv(65_536):
                return
        except BlockingIOError:
            return
        except OSError:
            pass
        self._close(sock)

    def _send(self, sock: socket.socket, data: bytes) -> None:
        try:
            if data and sock in self._open:
                sock.send(data)
        except BlockingIOError:
            pass
        except OSError:
            self._close(sock)

    def _close(self, sock: socket.socket) -> None:
        if self._open.pop(sock, None):
            with suppress(KeyError, ValueError):
                self._selector.unregister(sock)
            sock.close()


class Honest:
    """People who read pages, call the API and send forms, each in turn, timed, while they are `at_work`."""

    PATHS = (
        ("GET", "/health/ready", None, 200),
        ("GET", "/login", None, 200),
        ("POST", "/api/v1/auth/refresh", b"{}", 422),
        ("GET", "/api/v1/tasks", None, 401),
        ("GET", "/static/css/portal.css", None, 200),
    )

    def __init__(self, port: int, count: int) -> None:
        self._port, self._people = port, count
        self.errors: Counter[str] = Counter()
        self._seconds: list[float] = []

    @property
    def count(self) -> int:
        return len(self._seconds)

    @property
    def p99(self) -> float:
        times = sorted(self._seconds)
        return times[min(len(times) - 1, int(len(times) * 0.99))] if times else float("inf")

    @property
    def told(self) -> str:
        return f"median {statistics.median(self._seconds) * 1000:.1f} ms, p99 {self.p99 * 1000:.1f} ms"

    @contextmanager
    def at_work(self) -> Iterator[None]:
        ending = threading.Event()
        threads = [threading.Thread(target=self._person, args=(n, ending), daemon=True) for n in range(self._people)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            ending.set()
            for thread in threads:
                thread.join()

    def _person(self, number: int, ending: threading.Event) -> None:
        turn = number
        ending.wait(PAUSE_SECONDS * number / self._people)  # they do not come all at one moment
        while not ending.is_set():
            connection = HTTPConnection(
                "127.0.0.1", self._port, timeout=30, source_address=(f"127.1.0.{number + 1}", 0)
            )
            try:
                for _ in range(10):
                    self._ask(connection, turn)
                    turn += 1
                    if ending.wait(PAUSE_SECONDS):
                        break
            except (OSError, HTTPException) as error:
                self.errors[type(error).__name__] += 1
            finally:
                connection.close()

    def _ask(self, connection: HTTPConnection, turn: int) -> None:
        method, path, body, expected = self.PATHS[turn % len(self.PATHS)]
        began = time.monotonic()
        connection.request(method, path, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        answer.read()
        self._seconds.append(time.monotonic() - began)
        if answer.status != expected:
            self.errors[f"{path} {answer.status}"] += 1


if __name__ == "__main__":
    numbers = [int(word) for word in sys.argv[1:4]]
    _Crowd(numbers[0], numbers[1], numbers[2], sys.argv[4:]).run()
