"""Tasks in any state at once, for tests of pages."""

import re
from datetime import timedelta
from typing import Any
from uuid import UUID

from apiflask import APIFlask
from sqlalchemy import func, select, text, update

from portal.extensions import db
from portal.models import Task, User
from portal.models.tasks import ENDED
from portal.services import tasks
from tests.cast import Person

HTMX = {"HX-Request": "true"}


def made(app: APIFlask, owner: Person, name: str = "", kind: str = "fetch", **values: Any) -> UUID:
    """A task as the database knows it; `status` and other columns are what they are after some time."""
    params = {"url": "http://example.com/cities.csv", "name": name} if kind == "fetch" else {}
    with app.app_context():
        uuid = tasks.submit(db.session.get_one(User, owner.id), kind, params).uuid
        db.session.commit()
        if values.get("status") in ENDED:
            values = {"finished_at": func.now(), **values}
        if values:
            db.session.execute(text("SET session_replication_role = replica"))  # past the trigger: any state at once
            db.session.execute(update(Task).where(Task.uuid == uuid).values(version=Task.version + 1, **values))
            db.session.execute(text("SET session_replication_role = DEFAULT"))
            db.session.commit()
        app.extensions["redis"].delete(f"task:{uuid}")
    return uuid


def running(app: APIFlask, owner: Person, name: str = "", **values: Any) -> UUID:
    started = {"status": "processing", "attempt": 1, "started_at": func.now()}
    return made(app, owner, name, **{**started, "lease_until": func.now() + timedelta(minutes=1), **values})


def status_of(app: APIFlask, uuid: UUID) -> str:
    with app.app_context():
        return str(db.session.scalar(select(Task.status).where(Task.uuid == uuid)))


def names(html: str) -> list[str]:
    return re.findall(r'<div class="task-name">\s*<a href="[^"]+">([^<]+)</a>', html)
