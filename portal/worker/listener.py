"""Waits until PostgreSQL says something on a channel."""

import select
from typing import Any

import psycopg2

from portal.config import CONNECTION
from portal.extensions import settings


class Listener:
    """One connection that listens, made anew after it broke."""

    def __init__(self, channel: str, name: str) -> None:
        self._channel, self._name = channel, name
        self._connection: Any = None

    def connect(self) -> None:
        """Listen, if it does not yet; raises psycopg2.Error. Needs the application's context."""
        if self._connection is None or self._connection.closed:
            dsn = settings().database_url.replace("+psycopg2", "", 1)
            self._connection = psycopg2.connect(dsn, application_name=self._name, **CONNECTION)
            self._connection.autocommit = True
            with self._connection.cursor() as cursor:
                cursor.execute(f"LISTEN {self._channel}")

    def drop(self) -> None:
        self._connection = None

    def wait(self, seconds: float, *others: int) -> None:
        """Until something is said, one of the other file descriptors can be read, or the time has passed."""
        watched = [*others, *([self._connection] if self._connection else [])]
        ready, _, _ = select.select(watched, [], [], seconds)
        if self._connection in ready:
            try:
                self._connection.poll()
                self._connection.notifies.clear()
            except psycopg2.Error:
                self.drop()
