"""Sends the mails that wait in the ledger; a thread of the dispatcher, for a provider may be slow."""

import threading

import psycopg2
from flask import Flask
from loguru import logger
from sqlalchemy.exc import SQLAlchemyError

from portal.extensions import db
from portal.services import parcels
from portal.worker.listener import Listener

LOOK_SECONDS = 5.0
CHANNEL = "messages_waiting"


class Postman:
    """One copy of the loop; any number may run, on any machine."""

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._stopping = threading.Event()
        self._listener = Listener(CHANNEL, "postman")
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
                    self._listener.connect()
                    while not self._stopping.is_set() and self.send_one():
                        pass
                    parcels.give_up_lost()
                    db.session.commit()
            except (SQLAlchemyError, psycopg2.Error) as error:
                logger.warning("postman: database: {}", type(error).__name__)
                self._listener.drop()
            except Exception as error:  # noqa: BLE001  # whatever a provider's code raises: that mail may have gone, the next goes on
                logger.error("postman: {}", type(error).__name__)
            self._listener.wait(LOOK_SECONDS)

    def send_one(self) -> bool:
        """Whether there was one."""
        parcel = parcels.claim()
        db.session.commit()
        if parcel is None:
            return False
        parcels.deliver(parcel)
        db.session.commit()
        return True
