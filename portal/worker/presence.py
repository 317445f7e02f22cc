"""Says that this worker is alive: to dispatchers, which fill the slots of living ones, and to whoever started it."""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from flask import Flask
from loguru import logger

from portal.beat import Beat, while_waiting
from portal.extensions import db
from portal.services import processes, queue

LATE_SECONDS = 5.0  # a turn of its thread, but for waiting for a PostgreSQL that lives

Heard = TypeVar("Heard")


class Presence:
    """Tells dispatchers from a thread of the worker's parent process, until it is stopped; a process that dies is not
    seen any more. `loop_turns` is for the worker's main loop, which must not hang either."""

    def __init__(self, app: Flask, name: str) -> None:
        self._app, self._name, self._slots = app, name, 0
        self._news, self._stopping = threading.Event(), False
        self._life, self._turned = Beat.of_environment(), float("inf")
        self._thread = threading.Thread(target=self._beat, name="presence", daemon=True)

    def begin(self) -> None:
        """Before it has tasks of its own: have those of a dead worker of this name run again at once.

        Two that live under one name would take each other's tasks: the second one is refused (`SystemExit`).
        """
        before = self._say(lambda: processes.last_seen(self._name))
        if before is not None:
            time.sleep(processes.BEAT_SECONDS + 0.5)  # long enough for a living one to be seen again
            if self._say(lambda: processes.last_seen(self._name)) not in (None, before):
                raise SystemExit(f"A worker by the name {self._name} is alive. Give this one another: -n NAME@%h")
        self._say(lambda: queue.take_back(self._name))

    def start(self, slots: int) -> None:
        self._slots = slots
        self._turn()
        self._thread.start()

    def loop_turns(self) -> None:
        """A sign of life for whoever started the worker, unless the thread hangs."""
        if time.monotonic() - self._turned < LATE_SECONDS:
            self._life.touch()

    def leave(self) -> None:
        """No new tasks, please; may be called from a signal handler."""
        self._slots = 0
        self._news.set()
        self._life.start()  # the main loop ends; how long the tasks at hand may take is up to whoever stops the worker

    def stop(self) -> None:
        """Say that it ends."""
        self._stopping = True
        self._news.set()
        if self._thread.is_alive():
            self._thread.join(processes.BEAT_SECONDS)
        self._say(lambda: processes.gone(self._name))

    def _beat(self) -> None:
        while_waiting(self._turn)
        while not self._stopping:
            self._turn()
            self._say(lambda: processes.seen(self._name, "worker", self._slots))
            self._news.wait(processes.BEAT_SECONDS)
            self._news.clear()

    def _turn(self) -> None:
        self._turned = time.monotonic()

    def _say(self, word: Callable[[], Heard]) -> Heard | None:
        try:
            with self._app.app_context():
                heard = word()
                db.session.commit()
                return heard
        except Exception as error:  # noqa: BLE001  # a worker that is not seen any more gets no tasks: it must go on saying it
            logger.warning("presence: {}", type(error).__name__)
            return None
