"""A wire that can be cut: stands between a program and a server."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Literal

Mode = Literal["pass", "mute", "hole", "refuse"]


class TcpProxy:
    """Listens on `port` and hands everything on to the server's.

    `mute` swallows what the server says, `hole` what both say; a connection that has met one of them stays so for
    ever, as behind a firewall that forgot it. `refuse` ends all connections, old and new.
    """

    def __init__(self, server_port: int) -> None:
        self._server = ("127.0.0.1", server_port)
        self._mode: Mode = "pass"
        self._links: list[_Link] = []
        self._lock = threading.Lock()
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port = int(self._listening.getsockname()[1])
        threading.Thread(target=self._accept, name="proxy", daemon=True).start()

    def set(self, mode: Mode) -> None:
        """For the connections that are there, and for new ones until it is set again."""
        with self._lock:
            self._mode = mode
            for link in self._links:
                link.meet(mode)
            self._links = [link for link in self._links if not link.closed]

    def close(self) -> None:
        self.set("refuse")
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            with self._lock:
                link = _Link(client, self._mode)
                self._links.append(link)
            threading.Thread(target=link.run, args=(self._server,), name="link", daemon=True).start()


class _Link:
    def __init__(self, client: socket.socket, mode: Mode) -> None:
        self._client, self._server = client, socket.socket()
        self._swallowed: set[socket.socket] = set()
        self.closed = False
        self.meet(mode)

    def meet(self, mode: Mode) -> None:
        if mode == "refuse":
            self.close()
        elif mode != "pass":
            self._swallowed |= {self._server} | ({self._client} if mode == "hole" else set())

    def run(self, server: tuple[str, int]) -> None:
        try:
            self._server.connect(server)
        except OSError:
            self.close()
            return
        back = threading.Thread(target=self._pump, args=(self._server, self._client), name="link back", daemon=True)
        back.start()
        self._pump(self._client, self._server)
        back.join()

    def _pump(self, one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):
            while data := one.recv(65536):
                if one not in self._swallowed:
                    other.sendall(data)
            if one is self._server and one in self._swallowed:
                return  # its end is swallowed, too
        self.close()

    def close(self) -> None:
        self.closed = True
        for end in (self._client, self._server):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


@contextmanager
def tcp_proxy(server_port: int) -> Iterator[TcpProxy]:
    proxy = TcpProxy(server_port)
    try:
        yield proxy
    finally:
        proxy.close()
