"""All connections of a process: who is cut off because time is up, and who because there are too many."""

import time
from collections import defaultdict
from functools import lru_cache
from typing import TYPE_CHECKING

from portal.front import terms
from portal.remote_address import form
from portal.services.messages import network

if TYPE_CHECKING:
    from portal.front.connection import Connection


@lru_cache(maxsize=4096)
def network_of(client: str) -> str:
    """The name by which a client is counted."""
    return network(form(client))


class Crowd:
    """Used by the event loop alone."""

    def __init__(self) -> None:
        self.connections: dict[Connection, None] = {}  # the oldest first
        self._unfinished: dict[str, dict[Connection, float]] = defaultdict(dict)

    def came(self, connection: "Connection") -> None:
        """Room is made for whoever comes, by those who have been silent the longest."""
        if len(self.connections) >= terms.CONNECTIONS:
            silent = (one for one in self.connections if one.is_waiting)
            if oldest := min(silent, key=lambda one: one.since, default=None):
                oldest.cut()
        self.connections[connection] = None

    def went(self, connection: "Connection") -> None:
        self.connections.pop(connection, None)

    def begins(self, connection: "Connection", client: str) -> str:
        """Count a request that has not come in full; answers the name it is counted by."""
        name = network_of(client)
        others, now = self._unfinished[name], time.monotonic()
        if len(others) >= terms.UNFINISHED:
            oldest, since = next(iter(others.items()))
            if now - since > terms.YOUNG_SECONDS:
                oldest.late()
        self._unfinished[name][connection] = now
        return name

    def ends(self, connection: "Connection", name: str) -> None:
        """It has come in full, or never will."""
        others = self._unfinished.get(name, {})
        others.pop(connection, None)
        if not others:
            self._unfinished.pop(name, None)

    def unfinished(self, name: str) -> int:
        """How many requests of a network are still coming in; any thread may ask."""
        return len(self._unfinished.get(name, ()))

    def look(self, now: float) -> None:
        """Once a second: end what is late or slow, and what holds most where all hold too much."""
        for connection in list(self.connections):
            connection.look(now)
        held = {connection: connection.held for connection in self.connections}
        total = sum(held.values())
        for connection in sorted(held, key=held.__getitem__, reverse=True):
            if total <= terms.HELD_BYTES:
                return
            total -= held[connection]
            connection.cut()
