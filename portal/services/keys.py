"""One submit, one task: the key of a submit and its task are written in one transaction."""

import json
from datetime import timedelta
from hashlib import sha256
from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert

from portal import limits
from portal.errors import Invalid
from portal.extensions import db
from portal.models import Task, TaskKey, User

_FIELD = "Idempotency-Key"


def checked(key: str) -> str:
    if not key.isprintable() or not 0 < len(key) <= 64:
        raise Invalid("idempotency_key_invalid", field=_FIELD)
    return key


def digest(*sent: Any) -> str:
    """The same for the same request."""
    return sha256(json.dumps(sent, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def find(user: User, key: str, sent: str) -> Task | None:
    """The task that this key made in the last day; `Invalid` when something else was sent with it then."""
    found = db.session.execute(
        select(Task, TaskKey.digest)
        .join(TaskKey, TaskKey.task_id == Task.id)
        .where(TaskKey.owner_id == user.id, TaskKey.key == key, ~_old())
    ).one_or_none()
    if found is None:
        return None
    if found.digest != sent:
        raise Invalid("idempotency_key_reused", field=_FIELD)
    task: Task = found.Task
    return task


def keep(task: Task, key: str, sent: str) -> None:
    """Tie the key to the task for a day; one that is older is taken over."""
    values = {"digest": sent, "task_id": task.id, "created_at": func.now()}
    query = insert(TaskKey).values(owner_id=task.owner_id, key=key, **values)
    db.session.execute(query.on_conflict_do_update(index_elements=["owner_id", "key"], set_=values, where=_old()))


def forget(owner_id: int) -> int:
    """Delete all of a user's; how many."""
    return len(db.session.scalars(delete(TaskKey).where(TaskKey.owner_id == owner_id).returning(TaskKey.key)).all())


def forget_old() -> int:
    """Delete keys that nobody may use again; how many."""
    return len(db.session.scalars(delete(TaskKey).where(_old()).returning(TaskKey.key)).all())


def _old() -> Any:
    return TaskKey.created_at < func.now() - timedelta(seconds=limits.IDEMPOTENCY_SECONDS)
