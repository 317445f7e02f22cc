"""Is the portal well: each part is looked at in a thread of its own, so that one that hangs holds nobody up."""

import threading
import time
from collections.abc import Callable
from typing import Any

import psycopg2
from flask import Flask, current_app
from redis.exceptions import ResponseError
from sqlalchemy.exc import SQLAlchemyError

from portal.errors import Fault
from portal.extensions import RedisError, gateways, redis
from portal.services import processes, queue, store_identity

ANSWER_SECONDS = 0.8
FRESH_SECONDS = 1.0  # strangers may ask as often as they like: what was found is told for so long
KNOWN_SECONDS = 3.0  # and for so long while the next look takes its time: slow is not down
LOW_BYTES = 2 * 1024**3

_RECORD, _TROUBLE, _MARK = "record", "trouble", "mark"  # for ourselves, nobody is told

Told = dict[str, Any]


class _Part:
    """One look at a time; whoever asks meanwhile waits for the same."""

    def __init__(self, app: Flask, look: Callable[[], Told], otherwise: Told) -> None:
        self._app, self._look, self._otherwise = app, look, otherwise
        self._news = threading.Condition()
        self._found: Told = {}
        self._found_at = float("-inf")
        self._is_looking = False

    def begin(self) -> None:
        """Have a thread look, unless one does or has just done so."""
        with self._news:
            if self._is_looking or self._age() < FRESH_SECONDS:
                return
            self._is_looking = True
        try:
            threading.Thread(target=self._work, name="health", daemon=True).start()
        except RuntimeError:  # no more threads: the next who asks tries again
            with self._news:
                self._is_looking = False

    def told(self, until: float) -> Told:
        """What was found, at the latest at `until` (monotonic seconds)."""
        with self._news:
            self._news.wait_for(lambda: not self._is_looking, max(0.0, until - time.monotonic()))
            return self._found if self._age() < KNOWN_SECONDS else self._otherwise

    def _age(self) -> float:
        return time.monotonic() - self._found_at

    def _work(self) -> None:
        found = self._otherwise
        try:
            with self._app.app_context():
                found = self._look()
        finally:
            with self._news:
                self._found, self._found_at, self._is_looking = found, time.monotonic(), False
                self._news.notify_all()


def _postgresql() -> Told:
    try:
        workers, dispatchers = processes.alive("worker"), processes.alive("dispatcher")
        return {
            "postgresql": "ok",
            "queue": queue.health(),
            "workers": {"alive": len(workers), "slots": sum(worker.slots for worker in workers)},
            "dispatchers": {"alive": len(dispatchers)},
            _RECORD: store_identity.recorded(),
            _TROUBLE: processes.have_trouble(),
        }
    except (SQLAlchemyError, psycopg2.Error):
        return {"postgresql": "down"}


def _redis() -> Told:
    try:
        redis().set("health", "1", ex=10)
    except ResponseError:  # it answers, but takes nothing in: its memory or its disk is full
        return {"redis": "full"}
    except RedisError:
        return {"redis": "down"}
    return {"redis": "ok"}


def _store() -> Told:
    try:
        free = gateways().store.free_bytes()
        return {"store": {"writable": True, "free_bytes": free}, _MARK: gateways().store.mark()}
    except Fault:
        return {"store": {"writable": False, "free_bytes": None}}


def _parts(app: Flask) -> list[_Part]:
    silent: Told = {"store": {"writable": False, "free_bytes": None}}
    return [
        _Part(app, _postgresql, {"postgresql": "down"}),
        _Part(app, _redis, {"redis": "down"}),
        _Part(app, _store, silent),
    ]


def look() -> Told:
    """Each part by name, `problems` as short codes, and a `status`: ready, degraded, or unavailable."""
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
    parts: list[_Part] = app.extensions.get("health") or app.extensions.setdefault("health", _parts(app))
    until = time.monotonic() + ANSWER_SECONDS
    for part in parts:
        part.begin()
    found = {name: value for part in parts for name, value in part.told(until).items()}
    problems = _problems(found)
    for name in (_RECORD, _TROUBLE, _MARK):
        found.pop(name, None)
    status = "unavailable" if "postgresql_down" in problems else "degraded" if problems else "ready"
    return {"status": status, "problems": problems, **found}


def _problems(found: Told) -> list[str]:
    store, free, record = found["store"], found["store"]["free_bytes"], found.get(_RECORD)
    told = {
        "postgresql_down": found["postgresql"] == "down",
        f"redis_{found['redis']}": found["redis"] != "ok",
        "workers_none": found.get("workers", {}).get("alive") == 0,
        "dispatchers_none": found.get("dispatchers", {}).get("alive") == 0,
        "store_not_writable": not store["writable"],
        "store_low": free is not None and free < LOW_BYTES,
        "store_foreign": _is_foreign(found),
        "store_orphans": record is not None and record.orphans is not None,
    }
    return [code for code, is_so in told.items() if is_so]


def _is_foreign(found: Told) -> bool:
    """The store of this process, or of a worker or dispatcher that says so."""
    if found.get(_TROUBLE):
        return True
    if _RECORD not in found or _MARK not in found:
        return False
    # The halves were read at the same time: that one is newer says nothing.
    return store_identity.reason_of(found[_MARK], found[_RECORD]) not in ("", "new", "older")
