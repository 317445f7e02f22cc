"""The tables as they are before anybody came, and the store as it is before it belongs to anybody."""

from apiflask import APIFlask
from sqlalchemy import text

from portal.extensions import db
from portal.gateways.store_keys import MARK


def emptied(app: APIFlask) -> None:
    """No row in any table, no key in Redis, no message in the outbox, no mark in the store."""
    # TRUNCATE makes new files of each table and index, several times what it takes to delete the rows of a test.
    rows_of_all = [f'DELETE FROM "{name}"' for name in db.metadata.tables]
    with app.app_context():
        db.session.execute(text("SET LOCAL session_replication_role = replica"))  # in any order, past all triggers
        db.session.execute(text("; ".join(rows_of_all)))
        db.session.commit()
        app.extensions["redis"].flushdb()
        (app.extensions["settings"].instance_path / "outbox.jsonl").unlink(missing_ok=True)
        (app.extensions["settings"].store_folder / MARK).unlink(missing_ok=True)
        app.extensions.pop("store_identity", None)
