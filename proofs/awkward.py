"""Servers for fetches to hang in: that drip, that never answer, that are quick and large."""

import gzip
import random
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import NamedTuple

MIB = 1024**2
DRIP_SECONDS = 0.1
ROWS = 1000  # of the file that is fetched beside


class Awkward(NamedTuple):
    """Addresses by what happens to who fetches them, and the hosts to allow."""

    urls: dict[str, str]
    beside: str
    hosts: str


def _csv(size: int) -> Iterator[bytes]:
    draw = random.Random(4)
    block = b"".join(
        b"%d,%d.%02d,2026-01-%02d\n" % (n, draw.randrange(10**6), n % 100, n % 28 + 1) for n in range(40_000)
    )
    yield b"id,amount,day\n"
    yield from [block] * (size // len(block))


def _ndjson(size: int) -> Iterator[bytes]:
    block = b"".join(b'{"id":%d,"name":"name %d","of":{"a":%d,"b":[1,2]}}\n' % (n, n, n % 7) for n in range(20_000))
    yield from [block] * (size // len(block))


def _gzip(size: int) -> Iterator[bytes]:
    """One member for each block: a file as long as it likes, packed twice."""
    blocks = _csv(size)
    yield gzip.compress(next(blocks))
    block = next(blocks)
    packed = gzip.compress(block, 1)
    yield from [packed] * (size // len(block))


@contextmanager
def awkward(csv: int, packed: int, ndjson: int) -> Iterator[Awkward]:
    """Files of about so many bytes, unpacked; all servers are gone afterwards."""
    closing = threading.Event()
    beside = b"number,word\n" + b"".join(b"%d,word %d\n" % (n, n) for n in range(ROWS))

    def quick(pieces: Callable[[], Iterator[bytes]]) -> Callable[[socket.socket], None]:
        made = list(pieces())  # the pieces are the same block again and again
        length = sum(map(len, made))

        def answer(sock: socket.socket) -> None:
            _begin(sock, length)
            for piece in made:
                sock.sendall(piece)

        return answer

    def drip(content: bytes, seconds: float) -> Callable[[socket.socket], None]:
        def answer(sock: socket.socket) -> None:
            _begin(sock, len(content))
            parts = round(seconds / DRIP_SECONDS)
            for n in range(parts):
                if closing.wait(DRIP_SECONDS):
                    return
                sock.sendall(content[len(content) * n // parts : len(content) * (n + 1) // parts])

        return answer

    answers = {
        "/drip": drip(beside * 100, 60),
        "/csv": quick(lambda: _csv(csv)),
        "/gzip": quick(lambda: _gzip(packed)),
        "/ndjson": quick(lambda: _ndjson(ndjson)),
        "/beside": drip(beside, 1),
    }
    with ExitStack() as servers:
        talks = servers.enter_context(_serving(lambda sock: answers[_path(sock)](sock)))
        silent = servers.enter_context(_serving(lambda sock: _listen(sock, closing)))
        full = servers.enter_context(_full())
        urls = {name[1:]: f"http://127.0.0.1:{talks}{name}" for name in answers}
        urls |= {"silent": f"http://127.0.0.1:{silent}/", "handshake": f"https://127.0.0.1:{silent}/"}
        urls |= {"connect": f"http://127.0.0.1:{full}/"}
        yield Awkward(urls, urls.pop("beside"), ",".join(f"127.0.0.1:{port}" for port in (talks, silent, full)))
        closing.set()


def _begin(sock: socket.socket, length: int) -> None:
    sock.sendall(f"HTTP/1.1 200 OK\r\nContent-Type: text/csv\r\nContent-Length: {length}\r\n\r\n".encode())


def _path(sock: socket.socket) -> str:
    received = b""
    while b"\r\n\r\n" not in received:
        received += sock.recv(65536) or b"\r\n\r\n"
    return received.split(b" ", 2)[1].decode()


def _listen(sock: socket.socket, closing: threading.Event) -> None:
    """Hear everything, say nothing."""
    sock.settimeout(0.5)
    while not closing.is_set():
        try:
            if not sock.recv(65536):
                return
        except TimeoutError:
            continue


@contextmanager
def _serving(answer: Callable[[socket.socket], None]) -> Iterator[int]:
    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            answer(self.request)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        request_queue_size = 256

        def handle_error(self, request: object, client_address: object) -> None:
            """Who asked does not want the rest."""

    with Server(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield int(server.server_address[1])
        server.shutdown()


@contextmanager
def _full() -> Iterator[int]:
    """A port whose queue is full: nobody is refused, nobody comes in."""
    with ExitStack() as sockets:
        listening = sockets.enter_context(socket.socket())
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        for _ in range(2):
            waiting = sockets.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listening.getsockname())
        yield int(listening.getsockname()[1])
