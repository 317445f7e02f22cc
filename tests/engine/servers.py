"""A loopback HTTP server whose every byte a test decides."""

import gzip
import socket
import socketserver
import ssl
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

Handler = Callable[[socket.socket, str], object]


class Site:
    """Answers each path with what it was given: a body, or a function that gets the socket and the request's head."""

    def __init__(self, host: str = "127.0.0.1", context: ssl.SSLContext | None = None) -> None:
        self.requests: list[str] = []
        self.released = threading.Event()
        self._handlers: dict[str, Handler] = {}
        site = self

        class Answer(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                try:
                    sock = context.wrap_socket(self.request, server_side=True) if context else self.request
                except OSError:
                    return  # the client did not like the certificate
                with sock:
                    site._answer(sock)

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            request_queue_size = 64

        self._server = Server((host, 0), Answer)
        self._scheme = "https" if context else "http"
        self.host, self.port = host, int(self._server.server_address[1])

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.released.set()
        self._server.shutdown()
        self._server.server_close()

    def url(self, path: str) -> str:
        return f"{self._scheme}://{self.host}:{self.port}{path}"

    def on(self, path: str, handler: Handler) -> str:
        """Let `handler` answer; returns the address."""
        self._handlers[path] = handler
        return self.url(path)

    def file(self, path: str, body: bytes, status: str = "200 OK", **headers: str) -> str:
        """Let the path answer with a body and its true length; header names are written with underscores."""
        return self.on(path, lambda sock, _: _send(sock, head(status, Content_Length=str(len(body)), **headers) + body))

    def redirect(self, path: str, to: str, status: str = "302 Found") -> str:
        return self.file(path, b"", status, Location=to)

    def _answer(self, sock: socket.socket) -> None:
        request = self._head(sock)
        if request:
            self.requests.append(request)
            self._handlers[request.split(" ", 2)[1]](sock, request)

    @staticmethod
    def _head(sock: socket.socket) -> str:
        received = b""
        while b"\r\n\r\n" not in received:
            piece = sock.recv(65536)
            if not piece:
                return ""
            received += piece
        return received.decode("latin-1")


def head(status: str = "200 OK", **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8")


def _send(sock: socket.socket, data: bytes) -> None:
    try:
        sock.sendall(data)
    except OSError:
        return  # the client had enough


def gz(data: bytes) -> bytes:
    """Gzip without the time, which would give a test another name in each process."""
    return gzip.compress(data, mtime=0)
