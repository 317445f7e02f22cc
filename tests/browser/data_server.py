"""A server with data to fetch: whole files, faulty ones, and files that come in pieces when a test says so."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PATIENCE = 30  # seconds after which a piece goes out unasked, so that a failed test leaves no thread behind


def table(rows: int) -> bytes:
    """A CSV with a Chinese column."""
    lines = [f"{n},城市 {n},{n / 7:.3f},2024-01-{n % 28 + 1:02}" for n in range(1, rows + 1)]
    return "\n".join(["id,城市,value,day", *lines, ""]).encode()


@dataclass
class Paced:
    """A file of known size in pieces of equal length: the first goes out at once, each other after `go_on()`."""

    url: str
    content: bytes
    pieces: int
    asked_for: threading.Event = field(default_factory=threading.Event)
    _turns: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(1))

    def is_asked_for(self) -> bool:
        """Wait until someone fetches it."""
        return self.asked_for.wait(PATIENCE)

    def go_on(self, pieces: int = 1) -> None:
        self._turns.release(pieces)

    def finish(self) -> None:
        self.go_on(self.pieces)

    def __iter__(self) -> Iterator[bytes]:
        self.asked_for.set()
        length = -(-len(self.content) // self.pieces)
        for start in range(0, len(self.content), length):
            self._turns.acquire(timeout=PATIENCE)
            yield self.content[start : start + length]


class DataServer:
    """What it serves, by path."""

    def __init__(self, host: str) -> None:
        self.host = host
        self.files: dict[str, tuple[str, bytes]] = {}
        self.paced: dict[str, Paced] = {}

    def add(self, path: str, content: bytes, kind: str = "text/csv") -> str:
        """Serve a whole file; answers its address."""
        self.files[path] = (kind, content)
        return f"http://{self.host}{path}"

    def add_paced(self, path: str, rows: int = 2000, pieces: int = 5) -> Paced:
        paced = Paced(f"http://{self.host}{path}", table(rows), pieces)
        self.paced[path] = paced
        return paced

    def missing(self, path: str) -> str:
        return f"http://{self.host}{path}"


@contextmanager
def serving() -> Iterator[DataServer]:
    """A running server on 127.0.0.1."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path in data.paced:
                paced = data.paced[self.path]
                self._begin(200, "text/csv", len(paced.content))
                self._send(paced)
            elif self.path in data.files:
                kind, content = data.files[self.path]
                self._begin(200, kind, len(content))
                self._send([content])
            else:
                self._begin(404, "text/plain", 0)

        def _begin(self, status: int, kind: str, length: int) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(length))
            self.end_headers()

        def _send(self, pieces: "Paced | list[bytes]") -> None:
            try:
                for piece in pieces:
                    self.wfile.write(piece)
                    self.wfile.flush()
            except OSError:
                """Whoever fetched went away: a cancelled task."""

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.block_on_close = False
    data = DataServer(f"127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield data
    finally:
        for paced in data.paced.values():
            paced.finish()
        server.shutdown()
        server.server_close()
        thread.join()
