"""The tables as they are before anybody came."""

from apiflask import APIFlask
from sqlalchemy import text

from portal.extensions import db


def emptied(app: APIFlask) -> None:
    """No row in any table, no key in Redis, no message in the outbox."""
    with app.app_context():
        tables = "users, events, events_head, messages, stopped_prefixes, processes, removals"
        db.session.execute(text(f"TRUNCATE {tables} CASCADE"))
        db.session.commit()
        app.extensions["redis"].flushdb()
        (app.extensions["settings"].instance_path / "outbox.jsonl").unlink(missing_ok=True)
