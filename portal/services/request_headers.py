"""Request headers of a fetch, such as a token for the source: encrypted at rest, never shown, for the worker alone."""

import base64
import hmac
import json
import re
from hashlib import sha256
from typing import Any

from cryptography.fernet import Fernet
from sqlalchemy import delete, select

from portal import limits
from portal.errors import Invalid
from portal.extensions import db, settings
from portal.models import Task, TaskHeaders
from portal.services.copies import TaskCopy

_FIELD = "params.headers"
_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")  # RFC 9110, section 5.1
_VALUE = re.compile(r"[\x20-\x7e\xa0-\xff]*")
# Those that say how the message is sent are ours to decide.
_OURS = {
    *(
        "host",
        "connection",
        "content-length",
        "content-type",
        "transfer-encoding",
        "te",
        "trailer",
        "upgrade",
        "expect",
    ),
    *("range", "if-range", "if-match", "if-none-match", "if-modified-since", "if-unmodified-since", "accept-encoding"),
    *("keep-alive", "via", "forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"),
}


def checked(given: Any) -> dict[str, str]:
    """Names and values in normal form; raises `Invalid`, which repeats no value."""
    if not isinstance(given, dict) or len(given) > limits.REQUEST_HEADERS_MAX:
        raise Invalid("headers_invalid", field=_FIELD, most=limits.REQUEST_HEADERS_MAX)
    headers: dict[str, str] = {}
    for name, value in given.items():
        if not _NAME.fullmatch(name) or name.lower() in {taken.lower() for taken in headers}:
            raise Invalid("header_name_invalid", field=_FIELD)
        if name.lower() in _OURS or name.lower().startswith("proxy-"):
            raise Invalid("header_not_allowed", field=_FIELD, name=name)
        if (
            not isinstance(value, str)
            or len(value) > limits.REQUEST_HEADER_CHARS
            or not _VALUE.fullmatch(value.strip())
        ):
            raise Invalid("header_value_invalid", field=_FIELD, name=name)
        headers[name] = value.strip()
    return headers


def digest(headers: dict[str, str]) -> str:
    """The same for the same headers; tells nothing to those who lack the key."""
    said = json.dumps(headers, sort_keys=True).encode()
    return hmac.new(settings().derived("request-headers-digest", lasting=True), said, sha256).hexdigest()


def seal(task: Task, headers: dict[str, str]) -> None:
    """Keep them with the task."""
    if headers:
        sealed = _fernet().encrypt(json.dumps(headers).encode()).decode()
        db.session.add(TaskHeaders(task_id=task.id, sealed=sealed))


def hand_on(before: Task, after: Task) -> bool:
    """The task that runs another again sends what that sent; whether there was anything."""
    if sealed := db.session.scalar(select(TaskHeaders.sealed).where(TaskHeaders.task_id == before.id)):
        db.session.add(TaskHeaders(task_id=after.id, sealed=sealed))
    return sealed is not None


def forget(owner_id: int) -> int:
    """Erase those of all of a user's tasks; of how many."""
    theirs = TaskHeaders.task_id.in_(select(Task.id).where(Task.owner_id == owner_id))
    return len(db.session.scalars(delete(TaskHeaders).where(theirs).returning(TaskHeaders.task_id)).all())


def opened(run: TaskCopy) -> dict[str, str]:
    """What the task's fetch is to send."""
    query = select(TaskHeaders.sealed).join(Task, Task.id == TaskHeaders.task_id).where(Task.uuid == run.uuid)
    sealed = db.session.scalar(query)
    headers: dict[str, str] = json.loads(_fernet().decrypt(sealed.encode())) if sealed else {}
    return headers


def _fernet() -> Fernet:
    return Fernet(base64.urlsafe_b64encode(settings().derived("request-headers", lasting=True)))
