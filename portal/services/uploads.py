"""Files that people send instead of an address: taken in piece by piece, kept for a day, read by fetches."""

import os
from dataclasses import dataclass
from datetime import timedelta
from hashlib import file_digest, sha256
from pathlib import Path
from typing import IO, Any, BinaryIO, Protocol
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, Text, cast, exists, func, select

from portal import access
from portal.errors import BadRequest, Conflict, Denied, Fault, Invalid, NotFound, TooMany, Unauthorized, Unavailable
from portal.extensions import db, gateways, settings
from portal.incoming import path_of
from portal.models import Task, Upload, User
from portal.models.tasks import LIVE
from portal.services import owners, storage, store_identity, tidying
from portal.validation import check_name

PIECE = 256 * 1024


class Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


@dataclass(frozen=True)
class Received:
    """A file on this machine; it may have no name, and be there as long as whoever made it keeps it open."""

    path: Path
    bytes: int
    sha256: str


def announce(user: User, size: int | None) -> None:
    """Before anything is read: may so many bytes come? Raises `Invalid`, `Conflict`, `TooMany`."""
    if size is None:
        raise Invalid("length_required", field="Content-Length")
    if size > settings().fetch_max_bytes:
        raise Invalid("too_large", field="file", limit=settings().fetch_max_bytes)
    storage.check_room(user, size)


def receive(stream: Readable, file: BinaryIO, size: int) -> Received:
    """Write what comes to `file`. Raises `BadRequest` when it breaks off or is not of the announced size."""
    digest, received = sha256(), 0
    while received <= size and (piece := stream.read(PIECE)):
        file.write(piece)
        digest.update(piece)
        received += len(piece)
    if file.writable():
        file.flush()
    if received != size:
        raise BadRequest("upload_incomplete")
    return Received(path_of(file), received, digest.hexdigest())


def measured(file: IO[bytes]) -> Received:
    """A file that has been written already, open to be read."""
    if file.writable():
        file.flush()
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    return Received(path_of(file), size, file_digest(file, "sha256").hexdigest())  # type: ignore[arg-type]  # a file of ours


def keep(user: User, name: str, received: Received) -> Upload:
    """Put it into the store, and note it. No transaction may be open: a store may be far away."""
    name = check_name(name.replace("\\", "/").rpartition("/")[2][-200:], field="name") or "upload"
    if not received.bytes:
        raise Invalid("file_empty", field="file")
    uuid = uuid4()
    upload = Upload(
        uuid=uuid,
        owner_id=user.id,
        name=name,
        bytes=received.bytes,
        sha256=received.sha256,
        store_key=f"uploads/{uuid}",
    )
    if store_identity.is_foreign():
        raise Unavailable("store_foreign")
    try:
        gateways().store.put(received.path, upload.store_key)
        owners.hold_active(user.id)  # it took a while to come
        storage.take(user.id, received.bytes)
        storage.hold(user.id, received.bytes)
    except Unauthorized:
        tidying.erased(upload.store_key)
        raise
    except Fault as fault:
        tidying.erased(upload.store_key)
        refusal = {"quota_fetched": TooMany, "quota_kept": Conflict}.get(fault.code, Unavailable)
        raise refusal(fault.code, **fault.params) from None
    db.session.add(upload)
    db.session.flush()
    db.session.refresh(upload)
    return upload


def get_for(user: User, uuid: UUID) -> Upload:
    """The user's own; `NotFound` for anyone else's, or when it is gone."""
    upload = db.session.scalar(select(Upload).where(Upload.uuid == uuid))
    if upload is None:
        raise NotFound
    if not access.may_use_upload(user, upload):
        raise Denied(user.id)
    return upload


def of_run(owner_id: int, params: dict[str, Any]) -> Upload:
    """What a task reads. Raises `Fault('upload_gone')`."""
    mine = Upload.uuid == UUID(params["upload"]), Upload.owner_id == owner_id
    upload = db.session.scalar(select(Upload).where(*mine))
    if upload is None:
        raise Fault("upload_gone")
    return upload


def forget_old() -> int:
    """Remove uploads that are older than a day and that no task waits for, some of them; how many."""
    old = Upload.created_at < func.now() - timedelta(hours=settings().upload_keep_hours)
    query = select(Upload).where(old, ~_wanted()).order_by(Upload.created_at).limit(100)
    gone = db.session.scalars(query.with_for_update(skip_locked=True)).all()
    storage.remove(*(upload.store_key for upload in gone))
    for upload in gone:
        db.session.delete(upload)
    return len(gone)


def forget_all(owner_id: int) -> int:
    """Remove all of a user's; how many."""
    query = select(Upload).where(Upload.owner_id == owner_id).order_by(Upload.created_at, Upload.uuid)
    gone = db.session.scalars(query.with_for_update()).all()
    storage.remove(*(upload.store_key for upload in gone))
    for upload in gone:
        db.session.delete(upload)
    db.session.flush()
    return len(gone)


def _wanted() -> ColumnElement[bool]:
    reads = Task.params["upload"].as_string() == cast(Upload.uuid, Text)
    return exists().where(Task.owner_id == Upload.owner_id, Task.status.in_(LIVE), reads)
