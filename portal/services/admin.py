"""What admins see and do: people, everyone's tasks, how the portal stands."""

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import exists, func, or_, select
from sqlalchemy.orm import joinedload

from portal import access, account_names, limits
from portal.errors import Conflict, Fault, Forbidden, Invalid, NotFound
from portal.extensions import RedisError, db, redis, settings
from portal.models import Event, StoppedPrefix, Task, User
from portal.models.accounts import ROLES
from portal.models.tasks import STATUSES
from portal.password_strength import is_guessable
from portal.services import (
    accounts,
    captcha,
    events,
    messages,
    passwords,
    processes,
    queue,
    security_notices,
    sessions,
    store_identity,
    tasks,
)
from portal.services.accounts import Registration, unique_names
from portal.services.events import Visitor
from portal.services.paging import Page, page
from portal.services.switching_off import Stopped, switch_off


def list_users(
    search: str = "",
    *,
    role: str | None = None,
    active: bool | None = None,
    cursor: int | None = None,
    limit: int = limits.PAGE_SIZE,
) -> Page[User]:
    """Everyone, newest first, narrowed to a part of username, e-mail address or phone number, a role, a state."""
    query = select(User)
    if text := _clean(search):
        names = (User.username, User.email, User.pending_email)
        matching = [name.icontains(text, autoescape=True) for name in names]
        if digits := "".join(char for char in text if char.isdigit()):
            matching.append(User.phone_number.contains(digits))
        query = query.where(or_(*matching))
    if role is not None:
        query = query.where(User.role == role)
    if active is not None:
        query = query.where(User.is_active.is_(active))
    return page(query, User, cursor=cursor, limit=limit)


def get_user(uuid: UUID) -> User:
    user = db.session.scalar(select(User).where(User.uuid == uuid))
    if user is None:
        raise NotFound
    return user


def find_user(name: str) -> User | None:
    """Whoever has exactly this username, verified e-mail address, phone number or id."""
    text = _clean(name)
    if len(text) == 36:  # longer than a username
        with contextlib.suppress(ValueError):
            return db.session.scalar(select(User).where(User.uuid == UUID(text)))
    return accounts.find_anyone(account_names.read(text))


def create(username: str, email: str, phone_number: str, password: str) -> User:
    """An administrator, made by whoever runs the portal: the first is a super admin. Raises `Invalid` or `Conflict`.

    The names that are kept are theirs.
    """
    given = Registration(username, email, phone_number, password, "").checked(kept_names_too=True)
    if is_guessable(given.password, given.names):
        raise Invalid("password_guessable", field="password")
    first = not db.session.scalar(select(exists().where(User.role == "super_admin")))
    user = User(
        username=given.username,
        pending_email=given.email,
        phone_number=given.phone_number,
        hashed_password=passwords.hashed(given.password),
        role="super_admin" if first else "admin",
        locale=settings().default_locale,
    )
    with unique_names():
        db.session.add(user)
        db.session.flush()
    events.record("account.registered", Visitor(), user_id=user.id, by="command line", role=user.role)
    return user


def roles_for(actor: User, user: User) -> list[str]:
    """The roles that the actor may give the user; empty when nothing of the user may be changed."""
    return [role for role in ROLES if access.may_change_user(actor, user, role)]


@dataclass(frozen=True)
class Changed:
    """A user as they are now, and what was stopped when they were switched off."""

    user: User
    stopped: Stopped | None


def change(
    actor: User, uuid: UUID, *, role: str | None = None, active: bool | None = None, visitor: Visitor
) -> Changed:
    """Give a user another role, let them in or keep them out; whatever changes ends all their log-ins.

    Only a super admin makes, unmakes and locks out admins. Nobody changes themself, so one active super admin stays.
    """
    if role is not None and role not in ROLES:
        raise Invalid("role_unknown", field="role")
    user = _locked(actor, uuid)
    new_role, new_active = role or user.role, user.is_active if active is None else active
    if actor.id == user.id:
        raise Conflict("admin_oneself")
    if not access.may_change_user(actor, user, new_role):
        raise Forbidden("super_admin_needed")
    if user.role != new_role:
        roles = {"before": user.role, "after": new_role}
        security_notices.tell(user, "account.role", visitor=visitor, actor_id=actor.id, **roles)
        sessions.end_all(user, "role_changed", visitor=visitor, actor_id=actor.id)
        user.role = new_role
    stopped = None
    if user.is_active and not new_active:
        stopped = switch_off(user, visitor=visitor, actor_id=actor.id)
    elif new_active and not user.is_active:
        user.is_active = True
        sessions.end_all(user, "activated", visitor=visitor, actor_id=actor.id)
        security_notices.tell(user, "account.activated", visitor=visitor, actor_id=actor.id)
    db.session.flush()
    return Changed(user, stopped)


def _locked(actor: User, uuid: UUID) -> User:
    """The user, whom nobody else changes now, and the actor as of now: two may be changing each other."""
    people = select(User).where(or_(User.uuid == uuid, User.id == actor.id)).order_by(User.id)
    locked = people.with_for_update(key_share=True)  # workers may refer to them meanwhile
    found = db.session.scalars(locked.execution_options(populate_existing=True)).all()
    if not access.may_administer(actor):
        raise NotFound
    for user in found:
        if user.uuid == uuid:
            return user
    raise NotFound


def list_tasks(*, status: str | None = None, cursor: int | None = None, limit: int = limits.PAGE_SIZE) -> Page[Task]:
    """Everyone's tasks with their owners, newest first."""
    query = select(Task).options(joinedload(Task.owner))
    if status in STATUSES:
        query = query.where(Task.status == status)
    return page(query, Task, cursor=cursor, limit=limit, size=tasks.size_of)


def search_history(
    *, kind: str = "", user: str = "", address: str = "", cursor: int | None = None, limit: int = limits.PAGE_SIZE
) -> Page[Event]:
    """The history, newest first, narrowed to a kind, a person (as `find_user` takes it), an address."""
    who = find_user(user) if user else None
    if user and who is None:
        return Page([], None)
    return events.list_all(
        kind=_clean(kind) or None,
        user_id=who.id if who else None,
        address=_clean(address) or None,
        cursor=cursor,
        limit=limit,
    )


def people_of(found: Iterable[Event]) -> dict[int, User]:
    """The people that events tell of, by id; those who are gone are missing."""
    ids = {each for event in found for each in (event.user_id, event.actor_id) if each is not None}
    return {user.id: user for user in db.session.scalars(select(User).where(User.id.in_(ids)))}


def system() -> dict[str, Any]:
    """How queue, workers, store, Redis, budgets and captcha stand; None for what cannot be known now."""
    figures: dict[str, Any] = {
        "queue": queue.health(),
        "budget_left": messages.budget_left(),
        "stopped": [_facts(prefix) for prefix in messages.stopped()],
    }
    running = db.session.execute(
        select(Task.worker, func.count()).where(Task.status == "processing").group_by(Task.worker)
    )
    figures["workers"] = _workers({row[0]: row[1] for row in running})
    figures["dispatchers"] = len(processes.alive("dispatcher"))
    db.session.rollback()  # hold no connection while others are asked
    figures["store"] = _store()
    figures["redis"] = _redis()
    figures["captcha"] = captcha.outcomes()
    return figures


def _facts(stopped: StoppedPrefix) -> dict[str, Any]:
    names = ("prefix", "sent", "verified", "stopped_at")
    return {name: getattr(stopped, name) for name in names}


def _store() -> dict[str, Any] | None:
    """Whose the store is, to this process and to workers and dispatchers, and what keeps it from being tidied."""
    try:
        found = store_identity.look()
    except Fault:
        return None
    is_foreign = found.is_foreign or processes.have_trouble()
    db.session.rollback()
    record = found.record
    return {
        "is_foreign": is_foreign,
        "reason": found.reason,
        "orphans": record.orphans if record else None,
        "files": record.files if record else None,
    }


def _redis() -> dict[str, Any] | None:
    """This process's pool, and what the server says of itself."""
    pool = redis().connection_pool
    try:
        told = redis().info("clients", "memory")
    except RedisError:
        return None
    (idle, _), (in_use, _) = pool.get_connection_count()
    return {
        "pool_in_use": in_use,
        "pool_open": idle + in_use,
        "pool_max": pool.max_connections,
        "clients": told["connected_clients"],
        "memory_bytes": told["used_memory"],
    }


def _workers(busy: dict[str | None, int]) -> list[dict[str, Any]]:
    """Workers that are alive, with how many tasks each runs; one with tasks that is not seen any more is named too."""
    slots = {worker.name: worker.slots for worker in processes.alive("worker")}
    names = sorted({*slots, *(name for name in busy if name)})
    return [
        {"name": name, "answers": name in slots, "slots": slots.get(name, 0), "running": busy.get(name, 0)}
        for name in names
    ]


def _clean(text: str) -> str:
    return text.replace("\x00", "").strip()[:254]
