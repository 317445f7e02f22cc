"""Serves the files of a folder as a server of data does: Range, ETag, sendfile. `python -m proofs.files FOLDER PORT`

`?rate=N` sends at most so many bytes a second. `/sent/NAME` answers how many bytes of a file went out, headers apart.
"""

import os
import re
import sys
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socket import SO_SNDBUF, SOL_SOCKET
from urllib.parse import parse_qs, urlsplit

PIECE = 128 * 1024
RANGE = re.compile(r"bytes=(\d+)-(\d*)$")


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    folder = Path()
    sent: Counter[str] = Counter()
    lock = threading.Lock()

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        name, rate = Path(parts.path).name, float(parse_qs(parts.query).get("rate", ["0"])[0])
        if parts.path.startswith("/sent/"):
            self._answer(200, str(self.sent[name]).encode())
            return
        path = self.folder / name
        if not name or not path.is_file():
            self._answer(404, b"")
            return
        size, etag = path.stat().st_size, f'"{path.stat().st_mtime_ns:x}"'
        asked = RANGE.match(self.headers.get("Range", ""))
        start = int(asked[1]) if asked and self.headers.get("If-Range", etag) == etag else 0
        if start and start >= size:
            self._answer(416, b"", **{"Content-Range": f"bytes */{size}"})
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
        for header, value in {"Content-Length": str(size - start), "ETag": etag, "Accept-Ranges": "bytes"}.items():
            self.send_header(header, value)
        self.end_headers()
        self._send(path, name, start, size, rate)

    def _send(self, path: Path, name: str, start: int, size: int, rate: float) -> None:
        self.wfile.flush()
        if rate:  # what waits in the socket counts as sent
            self.connection.setsockopt(SOL_SOCKET, SO_SNDBUF, PIECE)
        began, position = time.monotonic(), start
        with path.open("rb") as file:
            while position < size:
                try:
                    went = os.sendfile(self.connection.fileno(), file.fileno(), position, PIECE if rate else 1 << 22)
                except OSError:
                    return
                position += went
                with self.lock:
                    self.sent[name] += went
                if rate:
                    time.sleep(max(0.0, began + (position - start) / rate - time.monotonic()))

    def _answer(self, status: int, content: bytes, **headers: str) -> None:
        self.send_response(status)
        for header, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(header, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None: ...


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Who asked was killed."""


if __name__ == "__main__":
    Handler.folder = Path(sys.argv[1])
    Server(("127.0.0.1", int(sys.argv[2])), Handler).serve_forever(poll_interval=0.05)
