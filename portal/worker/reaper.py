"""Brings back what died. A thread of the dispatcher, for a store may be slow."""

import threading
import time
from collections.abc import Callable

from flask import Flask
from loguru import logger

from portal.extensions import db
from portal.services import datasets, exports, keys, notices, processes, queue, sessions, storage, tasks, uploads

EVERY_SECONDS = 3
TIDY_SECONDS = 3600
_PAST_RETENTION = (datasets.expire_old, exports.expire_old, uploads.forget_old)


class Reaper:
    """One copy of the loop; any number may run, on any machine."""

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self.run, name="reaper", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()

    def run(self) -> None:
        tidied = float("-inf")
        while not self._stopping.is_set():
            with self._app.app_context():
                sweep()
                if time.monotonic() - tidied >= TIDY_SECONDS:
                    tidy()
                    tidied = time.monotonic()
            self._stopping.wait(EVERY_SECONDS)


def sweep() -> None:
    """Bring back lost tasks, end late ones, remove what is past its retention, have mails written."""
    for step in (queue.put_back_lost, queue.expire_late, *_PAST_RETENTION, storage.remove_files, notices.drain):
        _done(step)


def tidy() -> None:
    """Delete what nobody looks at any more, piece by piece."""
    for step in (sessions.forget_old, keys.forget_old, processes.forget_old, tasks.forget_old, storage.forget_old):
        while _done(step):
            pass
    _done(storage.sweep_orphans)


def _done(step: Callable[[], int]) -> int:
    try:
        if count := step():
            logger.info("reaper: {} {}", step.__name__, count)
        db.session.commit()
    except Exception as error:  # noqa: BLE001  # whatever is wrong with one, the others must be done
        logger.error("reaper: {}: {}", step.__name__, type(error).__name__)
        db.session.remove()
        return 0
    return count
