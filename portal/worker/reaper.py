"""Brings back what died, and tidies. A thread of the dispatcher, for a store may be slow."""

import threading
import time
from collections.abc import Callable

from flask import Flask
from loguru import logger

from portal.extensions import db
from portal.services import (
    datasets,
    exports,
    keys,
    notices,
    processes,
    queue,
    sessions,
    storage,
    store_identity,
    tasks,
    tidying,
    uploads,
)
from portal.worker.store_watch import StoreWatch

EVERY_SECONDS = 3
TIDY_SECONDS = 3600
_PAST_RETENTION = (datasets.expire_old, exports.expire_old, uploads.forget_old)
_FORGOTTEN = (sessions.forget_old, keys.forget_old, processes.forget_old, tasks.forget_old, storage.forget_old)
_IN_THE_STORE = (tidying.sweep_orphans, tidying.empty_trash, tidying.clear_parts)


class Reaper:
    """One copy of the loop; any number may run, on any machine."""

    def __init__(self, app: Flask) -> None:
        self.store = StoreWatch()
        self._app = app
        self._stopping, self._tidied = threading.Event(), float("-inf")
        self._thread = threading.Thread(target=self.run, name="reaper", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()

    def run(self) -> None:
        while not self._stopping.is_set():
            with self._app.app_context():
                self.round()
            self._stopping.wait(EVERY_SECONDS)

    def round(self) -> None:
        """Everything once that is due."""
        bring_back()
        _done(self._tend)

    def _tend(self) -> None:
        """The store is looked at first: nothing is tidied that may not be this database's."""
        self.store.look()
        if not self.store.is_ours or store_identity.is_quiet():
            return
        remove_old()
        if time.monotonic() - self._tidied >= TIDY_SECONDS:
            tidy()
            self._tidied = time.monotonic()


def bring_back() -> None:
    """Bring back lost tasks, end late ones, have mails written: whatever the store is."""
    for step in (queue.put_back_lost, queue.expire_late, notices.drain):
        _done(step)


def remove_old() -> None:
    """Remove what is past its retention, and files whose rows are gone."""
    for step in (*_PAST_RETENTION, tidying.remove_files):
        _done(step)


def tidy() -> None:
    """Delete what nobody looks at any more, piece by piece."""
    for step in _FORGOTTEN:
        while _done(step):
            pass
    for step in _IN_THE_STORE:
        _done(step)


def _done(step: Callable[[], int | None]) -> int:
    try:
        if count := step() or 0:
            logger.info("reaper: {} {}", step.__name__, count)
        db.session.commit()
    except Exception as error:  # noqa: BLE001  # whatever is wrong with one, the others must be done
        logger.error("reaper: {}: {}", step.__name__, type(error).__name__)
        db.session.remove()
        return 0
    return count
