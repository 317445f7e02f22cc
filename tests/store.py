"""The store of a test: whose it is, what lies in it, and how time passes there."""

import os
import time
from pathlib import Path

from apiflask import APIFlask
from sqlalchemy import text

from portal.extensions import db
from portal.services import store_identity

WEEK = 7 * 86400


def adopt(app: APIFlask) -> None:
    """Have the store be the database's, and its first hour over."""
    with app.app_context():
        mark = store_identity.adopt()
        db.session.commit()
        store_identity.write(mark)
        let_an_hour_pass()


def let_an_hour_pass() -> None:
    """Of that in which nothing is tidied; in an application's context."""
    db.session.execute(text("UPDATE store_identities SET quiet_until = quiet_until - interval '1 hour'"))
    db.session.commit()


def files(folder: Path) -> dict[str, bytes]:
    """All there are, with what they hold."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def age(path: Path, seconds: float) -> None:
    """As if it had been written so long ago."""
    then = time.time() - seconds
    os.utime(path, (then, then))
