"""Moves waiting tasks to the broker. Any number of copies may run; `python -m portal.worker.dispatcher`.

Woken by PostgreSQL's NOTIFY, it looks once a second all the same.
"""

import os
import signal
import socket
import time

import psycopg2
from celery import Celery
from flask import Flask
from kombu.exceptions import OperationalError as BrokerDown
from loguru import logger
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from portal import jobs
from portal.beat import Beat, while_waiting
from portal.extensions import db
from portal.services import live, processes, queue, sessions
from portal.worker.listener import Listener
from portal.worker.postman import Postman
from portal.worker.reaper import Reaper
from portal.worker.store_watch import StoreWatch

LOOK_SECONDS = 1.0
CHANNEL = "tasks_waiting"


class Dispatcher:
    """One copy of the loop; `stop()` may be called from a signal handler."""

    def __init__(self, app: Flask, store: StoreWatch | None = None) -> None:
        """While its store is not this database's, it starts no task."""
        self._app, self._store = app, store
        self._celery: Celery = app.extensions["celery"]
        self._name = f"dispatcher@{socket.gethostname()}:{os.getpid()}"
        self._stopping = False
        self._done: dict[str, float] = {}
        self._ring_after = 0.0
        self._wake_read, self._wake_write = os.pipe()
        self._listener = Listener(CHANNEL, "dispatcher")

    def stop(self, *_: object) -> None:
        self._stopping = True
        os.write(self._wake_write, b"x")

    def run(self) -> None:
        beat = Beat.of_environment()
        while_waiting(beat.touch)
        while not self._stopping:
            beat.touch()
            try:
                with self._app.app_context():
                    self._listener.connect()
                    self.look()
            except (SQLAlchemyError, psycopg2.Error) as error:
                logger.warning("dispatcher: database: {}", type(error).__name__)
                self._listener.drop()
            except Exception as error:  # noqa: BLE001  # without a dispatcher nothing runs: it goes on, whatever it was
                logger.opt(exception=error).error("dispatcher")
            self._listener.wait(LOOK_SECONDS, self._wake_read)
        self._leave()

    def look(self) -> None:
        """Start what can be, and do what is due besides."""
        if self._store is None or self._store.is_ours:
            self.dispatch()
        self._rounds()

    def _rounds(self) -> None:
        """What is done every so often, whatever wakes the loop."""
        for seconds, step in (
            (LOOK_SECONDS / 2, sessions.hear_ended),
            (LOOK_SECONDS / 2, self._tell_places),
            (processes.BEAT_SECONDS, self._say_alive),
        ):
            if time.monotonic() - self._done.get(step.__name__, float("-inf")) >= seconds:
                step()
                db.session.commit()
                self._done[step.__name__] = time.monotonic()

    def dispatch(self) -> int:
        """Admit what there are idle slots for, commit, ring for each; answers how many were admitted.

        While the broker is away nothing is admitted: whoever waits keeps waiting in the table.
        """
        if time.monotonic() < self._ring_after:
            return 0
        try:
            if not live.remembers_rings():
                queue.put_back()
                db.session.commit()
        except RedisError:
            return 0
        admitted = queue.admit()
        db.session.commit()
        for number, task in enumerate(admitted):
            try:
                self._ring(task)
            except (BrokerDown, RedisError, OSError) as error:
                logger.warning("dispatcher: broker: {}", type(error).__name__)
                self._ring_after = time.monotonic() + LOOK_SECONDS  # what is put back wakes us at once
                queue.put_back([unrung.uuid for unrung in admitted[number:]])
                db.session.commit()
                break
        return len(admitted)

    def _ring(self, task: queue.Admitted) -> None:
        self._celery.send_task(
            jobs.BY_KIND[task.kind],
            args=[str(task.uuid)],
            queue=jobs.QUEUE,
            ignore_result=True,
            retry=False,
            expires=600,  # by then it was rung again many times; generous, for clocks differ
        )

    def _tell_places(self) -> None:
        try:
            live.tell_places(queue.expected_starts())
        except RedisError as error:
            logger.warning("dispatcher: places: {}", type(error).__name__)

    def _say_alive(self) -> None:
        processes.seen(self._name, "dispatcher")
        if self._store is not None:
            processes.note(self._name, "store_foreign" if self._store.is_foreign else "")

    def _leave(self) -> None:
        try:
            with self._app.app_context():
                processes.gone(self._name)
                db.session.commit()
        except SQLAlchemyError as error:
            logger.warning("dispatcher: database: {}", type(error).__name__)


def main() -> None:
    from celery_app import flask_app

    reaper = Reaper(flask_app)
    dispatcher, helpers = Dispatcher(flask_app, reaper.store), (Postman(flask_app), reaper)
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, dispatcher.stop)
    logger.info("dispatcher: ready")
    for helper in helpers:
        helper.start()
    dispatcher.run()
    for helper in helpers:
        helper.stop()


if __name__ == "__main__":
    main()
