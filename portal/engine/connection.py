"""HTTP connections that go to an address that was checked, and can be cut from another thread."""

import http.client
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType
from typing import Self

from portal.engine.guard import Address, Sockaddr
from portal.errors import Blocked


class Watch:
    """Shuts a socket down when its time is over: the only way to end a read that trickles on for ever."""

    def __init__(self, max_seconds: float) -> None:
        self.expired = False
        self._end = time.monotonic() + max_seconds
        self._until = self._end
        self._socket: socket.socket | None = None
        self._cut = self._closed = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._wait, name="watch", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, tb: TracebackType | None
    ) -> None:
        with self._changed:
            self._closed = True
            self._socket = None
            self._changed.notify()
        self._thread.join()

    @property
    def overran(self) -> bool:
        """Whether the time for everything is over, not only for this step."""
        return time.monotonic() >= self._end

    def guard(self, sock: socket.socket) -> None:
        """From now on this is the socket to cut. Raises OSError when it is time to cut already."""
        with self._changed:
            self._socket = sock
            if self._cut:
                raise ConnectionAbortedError

    def allow(self, seconds: float) -> None:
        """Start a new step that may take this long."""
        with self._changed:
            self._until = min(self._end, time.monotonic() + seconds)
            self._changed.notify()

    def renew(self) -> None:
        """A step that took too long has been given up: the next may begin. The time for everything runs on."""
        with self._changed:
            if self._thread.is_alive() and not self.expired:
                return
            self.expired = self._cut = False
            self._socket = None
            self._until = self._end
            self._thread = threading.Thread(target=self._wait, name="watch", daemon=True)
            self._thread.start()

    def cut(self) -> None:
        """Break off whatever the socket is doing, and whatever the next one would do."""
        with self._changed:
            self._cut = True
            if self._socket is not None:
                _shutdown(self._socket)

    def _wait(self) -> None:
        with self._changed:
            while not self._closed:
                left = self._until - time.monotonic()
                if left > 0:
                    self._changed.wait(left)
                    continue
                self.expired = self._cut = True
                if self._socket is not None:
                    _shutdown(self._socket)
                return


class Connection(http.client.HTTPConnection):
    """One request to one of the checked addresses; the host name is used for the Host header and for TLS alone."""

    def __init__(self, address: Address, sockaddrs: Sequence[Sockaddr], watch: Watch, connect_seconds: float) -> None:
        super().__init__(address.host, address.port)
        self._address, self._sockaddrs, self._watch = address, sockaddrs, watch
        self._connect_seconds = connect_seconds

    def connect(self) -> None:
        self._watch.allow(self._connect_seconds * len(self._sockaddrs) + 1)
        self.sock = self._dial()
        self._watch.allow(2 * self._connect_seconds)
        if self._address.scheme == "https":
            plain = self.sock
            try:
                # Not in wrap_socket(), where nobody could cut it: the plain socket is empty, the new one not known yet.
                self.sock = ssl.create_default_context().wrap_socket(
                    plain,
                    server_hostname=self._address.host,
                    do_handshake_on_connect=False,
                    suppress_ragged_eofs=False,  # an end that TLS did not announce is a break
                )
                self._watch.guard(self.sock)
                self.sock.do_handshake()
            except BaseException:
                plain.close()
                self.sock.close()
                raise

    def _dial(self) -> socket.socket:
        problem: OSError = OSError("no address")
        for family, sockaddr in self._sockaddrs:
            sock = socket.socket(family, socket.SOCK_STREAM)
            try:
                sock.settimeout(self._connect_seconds)
                self._watch.guard(sock)
                sock.connect(sockaddr)
                if not _same_host(sock.getpeername()[0], sockaddr[0]):
                    raise Blocked("url_not_allowed", "peer", self._address.host, str(sock.getpeername()[0]))
                sock.settimeout(None)
                return sock
            except OSError as failure:
                problem = failure
                sock.close()
            except BaseException:
                sock.close()
                raise
        raise problem


def _same_host(peer: str, meant: str) -> bool:
    return ipaddress.ip_address(peer.partition("%")[0]) == ipaddress.ip_address(meant.partition("%")[0])


def _shutdown(sock: socket.socket) -> None:
    # Not sock.shutdown(): that of a TLS socket drops its TLS state under the thread that is reading.
    with suppress(OSError):
        socket.socket.shutdown(sock, socket.SHUT_RDWR)
