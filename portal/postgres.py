"""Waits for PostgreSQL so that a server which is frozen, or behind a wire that swallows everything, holds nobody up.

libpq has no deadline for an answer, so psycopg2 is told to wait here. What keeps silent for a second may be a slow
statement: the server is asked on a connection of its own whether it lives. While it does not answer that, whoever wants
something of it is refused at once; when it does, everything goes on by itself.
"""

import select
import socket
import time
from dataclasses import dataclass
from typing import Any

from flask import has_request_context
from psycopg2 import DatabaseError, InterfaceError, OperationalError, errors, extensions
from sqlalchemy import exc

from portal import beat

SILENT_SECONDS, LOOK_SECONDS = 1.0, 0.25  # without a sign of life, until the server is asked for one; then again
ASK_SECONDS = 1.0  # it may take to give one
KNOWN_SECONDS = 1.0  # for so long the answer stands
CONNECT_SECONDS = 4.0
# Somebody waits for the answer. Elsewhere statement_timeout ends what takes too long, in the server.
REQUEST_SECONDS = 12.0

# A client's first words when it wants TLS; the server answers with one letter before it asks who is there.
_HELLO = (8).to_bytes(4, "big") + (80877103).to_bytes(4, "big")


@dataclass
class _Server:
    host: str
    port: int
    is_silent: bool = False
    asked_at: float = -KNOWN_SECONDS

    def answers(self) -> bool:
        """Whether it gives a sign of life: one thread asks, the others go by what is known."""
        if time.monotonic() - self.asked_at >= KNOWN_SECONDS:
            self.asked_at = time.monotonic()
            self.is_silent = not self._ask()
            self.asked_at = time.monotonic()
        return not self.is_silent

    def _ask(self) -> bool:
        try:
            with self._connected() as asking:
                asking.sendall(_HELLO)
                return bool(asking.recv(1))
        except OSError:
            return False

    def _connected(self) -> socket.socket:
        if not self.host.startswith("/"):
            return socket.create_connection((self.host, self.port), ASK_SECONDS)
        asking = socket.socket(socket.AF_UNIX)
        asking.settimeout(ASK_SECONDS)
        asking.connect(f"{self.host}/.s.PGSQL.{self.port}")
        return asking


_servers: dict[tuple[str, int], _Server] = {}


def _server_of(connection: Any) -> _Server:
    info = connection.info
    place = info.host or "localhost", int(info.port or 5432)
    return _servers.setdefault(place, _Server(*place))


def _wait(connection: Any) -> None:
    """What psycopg2 calls instead of blocking; when this raises, it closes the connection."""
    server = _server_of(connection)
    if server.is_silent and not server.answers():
        raise OperationalError("the server keeps silent")
    until = time.monotonic() + _patience(connection)
    while (wanted := connection.poll()) != extensions.POLL_OK:
        pause = SILENT_SECONDS
        while not _ready(connection.fileno(), wanted, min(pause, until - time.monotonic())):
            if time.monotonic() >= until:
                raise OperationalError("no answer in time")
            if not server.answers():
                raise OperationalError("the server keeps silent")
            beat.waits()
            pause = LOOK_SECONDS


def _patience(connection: Any) -> float:
    if connection.status == extensions.STATUS_SETUP:
        return CONNECT_SECONDS
    return REQUEST_SECONDS if has_request_context() else float("inf")


def _ready(descriptor: int, wanted: int, seconds: float) -> bool:
    poller = select.poll()  # select.select cannot take a descriptor beyond 1023
    poller.register(descriptor, select.POLLIN if wanted == extensions.POLL_READ else select.POLLOUT)
    return bool(poller.poll(max(0.0, seconds) * 1000))


def outage(error: Exception) -> str | None:
    """The code of what is wrong with the server, if that is why something failed; None when it is our mistake."""
    cause = getattr(error, "orig", error)
    if isinstance(cause, errors.DiskFull):
        return "storage_full"
    away = (OperationalError, InterfaceError, errors.ReadOnlySqlTransaction, exc.TimeoutError, exc.PendingRollbackError)
    # psycopg2 has no better name for some ways in which a connection ends.
    lost = getattr(error, "connection_invalidated", False) or type(cause) is DatabaseError
    return "database_unavailable" if isinstance(cause, away) or lost else None


def install() -> None:
    """For every connection that psycopg2 makes in this process; safe to call again."""
    extensions.set_wait_callback(_wait)
