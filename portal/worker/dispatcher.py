"""Moves waiting tasks to the broker. Any number of copies may run; `python -m portal.worker.dispatcher`.

Woken by PostgreSQL's NOTIFY, it looks once a second all the same.
"""

import os
import signal
import time

import psycopg2
from celery import Celery
from flask import Flask
from kombu.exceptions import OperationalError as BrokerDown
from loguru import logger
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from portal import jobs
from portal.extensions import db
from portal.services import queue, sessions
from portal.worker import reaper
from portal.worker.listener import Listener
from portal.worker.postman import Postman

LOOK_SECONDS = 1.0
CHANNEL = "tasks_waiting"


class Dispatcher:
    """One copy of the loop; `stop()` may be called from a signal handler."""

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._celery: Celery = app.extensions["celery"]
        self._stopping = False
        self._wake_read, self._wake_write = os.pipe()
        self._listener = Listener(CHANNEL, "dispatcher")

    def stop(self, *_: object) -> None:
        self._stopping = True
        os.write(self._wake_write, b"x")

    def run(self) -> None:
        swept = heard = 0.0
        tidied = time.monotonic()
        while not self._stopping:
            try:
                with self._app.app_context():
                    self._listener.connect()
                    self.dispatch()
                    if time.monotonic() - heard >= LOOK_SECONDS / 2:
                        sessions.hear_ended()
                        db.session.rollback()
                        heard = time.monotonic()
                    if time.monotonic() - swept >= reaper.EVERY_SECONDS:
                        reaper.sweep()
                        swept = time.monotonic()
                    if time.monotonic() - tidied >= reaper.TIDY_SECONDS:
                        reaper.tidy()
                        tidied = time.monotonic()
            except (SQLAlchemyError, psycopg2.Error) as error:
                logger.warning("dispatcher: database: {}", type(error).__name__)
                self._listener.drop()
            self._listener.wait(LOOK_SECONDS, self._wake_read)

    def dispatch(self) -> int:
        """Admit what there is room for, commit, ring for each; answers how many were admitted."""
        admitted = queue.admit()
        db.session.commit()
        for task in admitted:
            try:
                self._celery.send_task(
                    jobs.BY_KIND[task.kind],
                    args=[str(task.uuid)],
                    queue=jobs.QUEUE,
                    ignore_result=True,
                    retry=False,
                    expires=600,  # by then it was rung again many times; generous, for clocks differ
                )
            except (BrokerDown, RedisError, OSError) as error:
                logger.warning("dispatcher: broker: {}; what waits is rung for again later", type(error).__name__)
                break
        return len(admitted)


def main() -> None:
    from celery_app import flask_app

    dispatcher, postman = Dispatcher(flask_app), Postman(flask_app)
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, dispatcher.stop)
    logger.info("dispatcher: ready")
    postman.start()
    dispatcher.run()
    postman.stop()


if __name__ == "__main__":
    main()
