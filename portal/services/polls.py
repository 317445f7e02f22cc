"""The hot path: what a poll is answered. One Redis round trip and no SQL, while Redis knows what is asked."""

import secrets
from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select

from portal import limits
from portal.errors import Denied, NotFound, TooMany, Unauthorized
from portal.extensions import db
from portal.models import Task
from portal.services import live, sessions, windows
from portal.services.copies import TaskCopy, copy_of

_SLOW_DOWN_SECONDS = 5
_WINDOW = (limits.Window(limits.POLLS_PER_MINUTE, limits.MINUTE),)


def poll(session_id: UUID, uuid: UUID, *, kind: str) -> TaskCopy:
    """The newest copy of a task, for whoever a log-in of this kind belongs to.

    Raises `Unauthorized` when the log-in has ended, `NotFound` for someone else's task, `TooMany` for a storm.
    """
    user_id, copies = _poll(session_id, [uuid], kind)
    if uuid not in copies:
        raise NotFound
    if copies[uuid].owner_id != user_id:
        raise Denied(user_id)
    return copies[uuid]


def poll_many(session_id: UUID, uuids: Sequence[UUID], *, kind: str) -> list[TaskCopy]:
    """The newest copies of one's own tasks among these, in their order; raises as `poll` does."""
    user_id, copies = _poll(session_id, uuids, kind)
    return [copies[uuid] for uuid in uuids if uuid in copies and copies[uuid].owner_id == user_id]


def _poll(session_id: UUID, uuids: Sequence[UUID], kind: str) -> tuple[int, dict[UUID, TaskCopy]]:
    """Who asks, and the copies of these tasks that there are, whoever owns them."""
    looked = live.look(session_id, uuids)
    _count(session_id, looked.polls)
    person = looked.person
    if person is None or person["kind"] != kind:
        login = sessions.find_live(session_id, kind=kind)
        if login is None:
            raise Unauthorized("session_ended")
        person = sessions.identity(login)
        live.remember_session(session_id, person)
    copies = {**looked.tasks, **_read([uuid for uuid in uuids if uuid not in looked.tasks])}
    placed = {uuid: live.placed(copy, looked.places.get(uuid)) for uuid, copy in copies.items()}
    return int(person["user_id"]), placed


def _count(session_id: UUID, polls: int | None) -> None:
    if polls is None:  # Redis is away: count here
        windows.take_here({f"polls:{session_id}": _WINDOW}, share=secrets.token_hex(8), code="polls_too_many")
    elif polls > limits.POLLS_PER_MINUTE:
        raise TooMany("polls_too_many", retry_after=_SLOW_DOWN_SECONDS)


def _read(uuids: Sequence[UUID]) -> dict[UUID, TaskCopy]:
    if not uuids:
        return {}
    copies = [copy_of(task) for task in db.session.scalars(select(Task).where(Task.uuid.in_(uuids)))]
    live.publish_tasks(copies)
    return {copy.uuid: copy for copy in copies}
