"""Says that this worker is alive, from a thread of its parent process: dispatchers fill the slots of living workers."""

import threading

from flask import Flask
from loguru import logger
from sqlalchemy.exc import SQLAlchemyError

from portal.extensions import db
from portal.services import processes


class Presence:
    """Beats until it is stopped; a process that dies is not seen any more."""

    def __init__(self, app: Flask, name: str, slots: int) -> None:
        self._app, self._name, self._slots = app, name, slots
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="presence", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Say that it ends."""
        self._stopping.set()
        self._thread.join(processes.BEAT_SECONDS)
        self._say(alive=False)

    def _beat(self) -> None:
        while not self._stopping.is_set():
            self._say(alive=True)
            self._stopping.wait(processes.BEAT_SECONDS)

    def _say(self, *, alive: bool) -> None:
        try:
            with self._app.app_context():
                if alive:
                    processes.seen(self._name, "worker", self._slots)
                else:
                    processes.gone(self._name)
                db.session.commit()
        except SQLAlchemyError as error:
            logger.warning("presence: {}", type(error).__name__)
