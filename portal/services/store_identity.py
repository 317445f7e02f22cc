"""Whose store it is: a row here and a mark in the store say the same, or nothing is removed there and no task runs.

What was weighed: docs/adr/0018-a-store-knows-its-database.md.
"""

import json
import time
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal, NamedTuple
from uuid import UUID, uuid4

from flask import current_app
from loguru import logger
from sqlalchemy import func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import ProgrammingError

from portal import limits
from portal.errors import Conflict, Fault
from portal.extensions import db, gateways
from portal.models import StoreIdentity

# Of this PostgreSQL and this database of it: a restored dump has another, a standby that takes over has the same.
_DATABASE = text("SELECT oid::text FROM pg_database WHERE datname = current_database()")
_CLUSTER = text("SELECT system_identifier::text FROM pg_control_system()")
_SCHEMA = text("SELECT coalesce(max(version_num), '') FROM alembic_version")
_QUIET = timedelta(seconds=limits.HOUR)
_KNOWN = "store_identity"
_KNOWN_SECONDS = 60.0
_MISSING_SHARE = 0.01  # of an older installation's rows, whose files may be gone

# `new`: neither half is there. `other`: it belongs to another database. `unmarked`: the database has a store, this one
# has no mark. `copied`: the database is a copy. `older`: the database is older than the store. `shared`: a bucket
# without a prefix, with files of others. An empty one: it is this database's.
Reason = Literal["", "new", "other", "unmarked", "copied", "older", "shared"]
_NOT_FOREIGN = ("", "new")


class Mark(NamedTuple):
    """What stands in the store. Its generation is never higher than the database's, unless that was set back."""

    uuid: UUID
    generation: int

    def content(self) -> bytes:
        note = "This store belongs to a database of Data Station: docs/operating.md"
        return json.dumps({"store": str(self.uuid), "generation": self.generation, "note": note}).encode()


class Record(NamedTuple):
    """What stands in the database. With `orphans` tidying has stopped: so many of so many `files` were to go."""

    uuid: UUID
    generation: int
    is_copied: bool
    is_quiet: bool
    files: int | None
    orphans: int | None


@dataclass(frozen=True)
class Found:
    """Why the two halves do not fit, and ours."""

    reason: Reason
    record: Record | None = None

    @property
    def is_foreign(self) -> bool:
        return self.reason not in _NOT_FOREIGN


def look() -> Found:
    """Ask both. Raises `Fault` while the store is away. No transaction may be open: it may be far away."""
    content = gateways().store.mark()  # before the row, for whoever writes them writes the row first
    record = recorded()
    db.session.rollback()
    found = Found(reason_of(content, record), record)
    current_app.extensions[_KNOWN] = time.monotonic(), found.reason
    return found


def recorded() -> Record | None:
    """Our half; None before any store was tied to this database."""
    is_quiet = StoreIdentity.quiet_until > func.now()
    row = db.session.execute(select(StoreIdentity, is_quiet).execution_options(populate_existing=True)).first()
    if row is None:
        return None
    identity, quiet = row
    is_copied = identity.cluster != _cluster()
    return Record(identity.uuid, identity.generation, is_copied, quiet, identity.files, identity.orphans)


def reason_of(content: bytes | None, record: Record | None) -> Reason:
    """How the store's half and ours fit."""
    if record is None:
        return "new" if content is None else "other"
    if record.is_copied:
        return "copied"
    if content is None:
        return "unmarked" if record.generation else "new"  # the mark was about to be written
    mark = mark_in(content)
    if mark is None or mark.uuid != record.uuid:
        return "other"
    return "older" if mark.generation > record.generation else ""


def _cluster() -> str:
    database = db.session.scalar(_DATABASE)
    try:
        with db.session.begin_nested():
            return f"{db.session.scalar(_CLUSTER)}:{database}"
    except ProgrammingError:  # where somebody keeps that from ordinary users
        return f":{database}"


def mark_in(content: bytes | None) -> Mark | None:
    """None if there is none, or it is not to be read."""
    try:
        told = json.loads(content or b"")
        return Mark(UUID(told["store"]), int(told["generation"]))
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def is_foreign() -> bool:
    """As of the last minute; False while the store is away, for then nothing is done with it anyway."""
    known = _known()
    if known is None or known[1] or time.monotonic() - known[0] > _KNOWN_SECONDS:
        try:
            return look().is_foreign
        except Fault as fault:
            logger.warning("store: {}", fault.code)
    return known is not None and known[1] not in _NOT_FOREIGN


def is_known_to_be_ours() -> bool:
    """As this process saw it last; asks nobody."""
    known = _known()
    return known is not None and known[1] in _NOT_FOREIGN


def _known() -> tuple[float, Reason] | None:
    known: tuple[float, Reason] | None = current_app.extensions.get(_KNOWN)
    return known


def is_quiet() -> bool:
    """Whether nothing is tidied now: soon after a start or a change of the schema, or since too much was to go."""
    record = recorded()
    return record is None or record.is_quiet or record.orphans is not None


def may_remove(*, stopped_too: bool = False) -> bool:
    """Whether files may be removed now; asks the store. No transaction may be open."""
    found = look()
    if found.reason or found.record is None or found.record.is_quiet:
        return False
    return stopped_too or found.record.orphans is None


@dataclass(frozen=True)
class Survey:
    """Files of ours in the store and rows that name one; `unknown` files are neither named nor of a task we know."""

    files: int
    unknown: int
    rows: int
    named: int

    @property
    def missing(self) -> int:
        return self.rows - self.named


def may_tie(found: Found, survey: Survey) -> bool:
    """Whether a store without a mark may be tied to this database without anybody saying so: when nothing can be lost.

    The bucket is not shared. Either both are new, or their files and rows are each other's, as in an installation from
    before there were marks.
    """
    if found.reason != "new":
        return not (survey.files or survey.rows)
    return not survey.unknown and survey.missing <= survey.rows * _MISSING_SHARE


def tie(found: Found) -> Mark | None:
    """Write our half; the caller commits, and then writes the mark. None when another was quicker."""
    if found.record is not None and found.reason == "new":
        return Mark(found.record.uuid, 0)
    row = insert(StoreIdentity).values(_anew())
    if found.record is None:
        query = row.on_conflict_do_nothing()
    else:
        as_seen = StoreIdentity.uuid == found.record.uuid
        query = row.on_conflict_do_update(index_elements=["id"], set_=_anew(), where=as_seen)
    uuid = db.session.scalar(query.returning(StoreIdentity.uuid))
    return uuid and Mark(uuid, 0)


def adopt() -> Mark:
    """Have the store belong to this database, and to no other any more; as `tie`.

    Raises `Conflict('bucket_shared')` where others have files: then a prefix is needed.
    """
    if stranger := gateways().store.stranger():
        raise Conflict("bucket_shared", key=stranger)
    values = _anew()
    db.session.execute(insert(StoreIdentity).values(values).on_conflict_do_update(index_elements=["id"], set_=values))
    return Mark(values["uuid"], 0)


def _anew() -> dict[str, Any]:
    return {
        "id": 1,
        "uuid": uuid4(),
        "cluster": _cluster(),
        "generation": 0,
        "schema": db.session.scalar(_SCHEMA),
        "adopted_at": func.now(),
        "quiet_until": func.now() + _QUIET,
        "files": None,
        "orphans": None,
        "stopped_at": None,
    }


def renew(*, starts: bool) -> Mark:
    """Count the generation up; nothing is tidied for an hour when a dispatcher `starts` or the schema is another.

    The caller commits, and then writes the mark.
    """
    schema = db.session.scalar(_SCHEMA)
    record = db.session.scalars(select(StoreIdentity).with_for_update()).one()
    if starts or record.schema != schema:
        record.quiet_until = func.now() + _QUIET
    record.schema = schema
    record.generation += 1
    db.session.flush()
    return Mark(record.uuid, record.generation)


def write(mark: Mark) -> None:
    """Have the store say whose it is. Raises `Fault`."""
    gateways().store.set_mark(mark.content())


def stop(files: int, orphans: int) -> None:
    """Note that so many files were to go at once that something must be wrong."""
    db.session.execute(update(StoreIdentity).values(files=files, orphans=orphans, stopped_at=func.now()))


def go_on() -> None:
    """What was to go was little enough."""
    stopped = StoreIdentity.stopped_at.is_not(None)
    db.session.execute(update(StoreIdentity).where(stopped).values(files=None, orphans=None, stopped_at=None))
