"""Says that this worker is alive, from a thread of its parent process: dispatchers fill the slots of living workers."""

import threading
from collections.abc import Callable

from flask import Flask
from loguru import logger
from sqlalchemy.exc import SQLAlchemyError

from portal.extensions import db
from portal.services import processes, queue


class Presence:
    """Beats until it is stopped; a process that dies is not seen any more."""

    def __init__(self, app: Flask, name: str) -> None:
        self._app, self._name, self._slots = app, name, 0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="presence", daemon=True)

    def start(self, slots: int) -> None:
        self._slots = slots
        self._thread.start()

    def stop(self) -> None:
        """Say that it ends."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(processes.BEAT_SECONDS)
        self._say(lambda: processes.gone(self._name))

    def _beat(self) -> None:
        while not self._stopping.is_set():
            self._say(lambda: processes.seen(self._name, "worker", self._slots))
            self._stopping.wait(processes.BEAT_SECONDS)

    def take_back(self) -> None:
        """Have the tasks of a dead worker of this name run again at once. Before this one takes any of its own."""
        self._say(lambda: queue.take_back(self._name))

    def _say(self, word: Callable[[], object]) -> None:
        try:
            with self._app.app_context():
                word()
                db.session.commit()
        except SQLAlchemyError as error:
            logger.warning("presence: {}", type(error).__name__)
