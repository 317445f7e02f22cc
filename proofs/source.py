"""A data server of a proof's own: small CSV files that come at once or drip, and how often each was asked for."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

DRIP_SECONDS = 0.1


class Source:
    """Files by path, on `port`; `hits` counts requests by path as they arrive, `asker` is the port of the last one."""

    def __init__(self) -> None:
        self.hits: Counter[str] = Counter()
        self.asker: dict[str, int] = {}
        self._files: dict[str, tuple[bytes, float]] = {}
        self._lock, self._closing = threading.Lock(), threading.Event()
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        self.port = int(self._server.server_address[1])

    def csv(self, path: str, rows: int = 1, seconds: float = 0.0) -> str:
        """Offer a file of so many rows whose transfer takes so long; its address."""
        lines = ["number,word", *(f"{n},word {n}" for n in range(rows))]
        self._files[path] = ("\n".join(lines) + "\n").encode(), seconds
        return f"http://127.0.0.1:{self.port}{path}"

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """Called by the server, in a thread for each request."""
        with self._lock:
            self.asker[request.path] = request.client_address[1]
            self.hits[request.path] += 1
        content, seconds = self._files.get(request.path, (None, 0.0))
        if content is None:
            request.send_error(404)
            return
        request.send_response(200)
        request.send_header("Content-Type", "text/csv")
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        parts = max(1, min(round(seconds / DRIP_SECONDS), len(content)))
        for n in range(parts):
            if seconds and self._closing.wait(seconds / parts):
                return
            request.wfile.write(content[len(content) * n // parts : len(content) * (n + 1) // parts])

    def run(self) -> None:
        self._server.serve_forever(poll_interval=0.05)

    def close(self) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, request: object, client_address: object) -> None:
        """Who asked was killed, or does not want the rest."""


def _handler(source: Source) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            source.answer(self)

        def log_message(self, *_: object) -> None: ...

    return Handler


@contextmanager
def serving() -> Iterator[Source]:
    """A server for as long as it is needed."""
    source = Source()
    threading.Thread(target=source.run, name="source", daemon=True).start()
    try:
        yield source
    finally:
        source.close()
