"""Sends the mails that wait in the ledger; a thread of the dispatcher, for a provider may be slow."""

import select
import threading
from typing import Any

import psycopg2
from flask import Flask
from loguru import logger
from sqlalchemy.exc import SQLAlchemyError

from portal.extensions import db, settings
from portal.services import mails

LOOK_SECONDS = 5.0
CHANNEL = "messages_waiting"


class Postman:
    """One copy of the loop; any number may run, on any machine."""

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._stopping = threading.Event()
        self._listener: Any = None
        self._thread = threading.Thread(target=self.run, name="postman", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Ask it to stop after the mail in hand; a mail that is cut off counts as perhaps sent."""
        self._stopping.set()

    def run(self) -> None:
        while not self._stopping.is_set():
            try:
                with self._app.app_context():
                    self._listen()
                    while not self._stopping.is_set() and self.send_one():
                        pass
                    mails.give_up_lost()
                    db.session.commit()
            except (SQLAlchemyError, psycopg2.Error) as error:
                logger.warning("postman: database: {}", type(error).__name__)
                self._listener = None
            except Exception as error:  # noqa: BLE001  # one mail that cannot be written must not stop all others
                logger.error("postman: {}", type(error).__name__)
            self._wait()

    def send_one(self) -> bool:
        """Whether there was one."""
        parcel = mails.claim()
        db.session.commit()
        if parcel is None:
            return False
        mails.deliver(parcel)
        db.session.commit()
        return True

    def _listen(self) -> None:
        if self._listener is None or self._listener.closed:
            dsn = settings().database_url.replace("+psycopg2", "", 1)
            self._listener = psycopg2.connect(dsn, connect_timeout=5, application_name="postman")
            self._listener.autocommit = True
            with self._listener.cursor() as cursor:
                cursor.execute(f"LISTEN {CHANNEL}")

    def _wait(self) -> None:
        """Until something is said on the channel, or some seconds have passed."""
        if self._listener is None:
            self._stopping.wait(1)
            return
        ready, _, _ = select.select([self._listener], [], [], LOOK_SECONDS)
        if ready:
            try:
                self._listener.poll()
                self._listener.notifies.clear()
            except psycopg2.Error:
                self._listener = None
