"""The broom: files of the store that are to go are moved to its trash, and out of it a week later.

Each of these asks first whether the store is this database's (`store_identity.may_remove`). No transaction may be open:
none is held while the store is at work.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Any
from uuid import UUID

from loguru import logger
from sqlalchemy import delete, func, select, update

from portal import limits
from portal.errors import Fault
from portal.extensions import db, gateways
from portal.gateways.store_keys import before_trash, is_own
from portal.models import Dataset, Export, Removal, Task, Upload
from portal.models.tasks import LIVE
from portal.services import store_identity
from portal.services.store_identity import Survey

_BATCH = 500
_HELD = 10_000  # orphans of one round: what is held does not grow with the store
_NAMING: tuple[Any, ...] = (Dataset, Export, Upload)


def remove_files() -> int:
    """Move files that are to go (`storage.remove`) to the trash; how many. One that cannot be keeps no other back."""
    oldest = select(Removal.store_key).order_by(Removal.created_at, Removal.store_key).limit(100)
    keys = db.session.scalars(oldest).all()
    named = _named(keys)
    db.session.rollback()
    if not keys or not store_identity.may_remove():
        return 0
    gone = [key for key in keys if key in named or not is_own(key) or _moved(key)]
    later = set(keys) - set(gone)
    db.session.execute(delete(Removal).where(Removal.store_key.in_(gone)))
    db.session.execute(update(Removal).where(Removal.store_key.in_(later)).values(created_at=func.clock_timestamp()))
    return len(gone)


def erased(store_key: str) -> bool:
    """Whether a file is gone for good that this process put there and nobody has ever seen."""
    try:
        gateways().store.delete(store_key)
    except (OSError, Fault) as error:
        logger.error("store: {} cannot be deleted: {}", store_key, type(error).__name__)
        return False
    return True


@dataclass(frozen=True)
class Orphans:
    """Files that are older than an hour, that no row names and no running task made: `count` of `files`.

    `keys` are those that are moved next.
    """

    files: int
    count: int
    keys: Sequence[str]

    @property
    def are_too_many(self) -> bool:
        return self.count > limits.ORPHANS_AT_ONCE and self.count > limits.ORPHANS_SHARE * self.files


def orphans() -> Orphans:
    """Look through the whole store; changes nothing."""
    long_ago = now() - timedelta(seconds=limits.HOUR)
    files, count, keys = 0, 0, list[str]()
    for batch in _batches(gateways().store.listed()):
        files += len(batch)
        found = _without_a_row([stored.key for stored in batch if stored.modified < long_ago])
        count += len(found)
        keys += found[: _HELD - len(keys)]
    return Orphans(files, count, keys)


def sweep_orphans(*, however_many: bool = False) -> int:
    """Move orphans to the trash; how many. More than 1 % (and 20) at once are none: then nothing is, and that is noted.

    What so many are is a database that does not know its files.
    """
    if not store_identity.may_remove(stopped_too=True):
        return 0
    found = orphans()
    if found.are_too_many and not however_many:
        logger.error("store: {} of {} files have no row: tidying stops; `flask store sweep`", found.count, found.files)
        store_identity.stop(found.files, found.count)
        return 0
    moved = sum(_moved(key) for keys in _batches(found.keys) for key in _without_a_row(keys))
    store_identity.go_on()
    return moved


def empty_trash(*, of: str | None = None) -> int:
    """Erase what has lain there for a week, or at once all that lay at this key or below it ("": all); how many."""
    may = store_identity.may_remove() if of is None else not store_identity.look().reason
    if not may:
        return 0
    week_ago = now() - timedelta(seconds=limits.TRASH_SECONDS)
    return sum(
        erased(stored.key)
        for stored in gateways().store.trashed()
        if (stored.modified < week_ago if of is None else _lay(stored.key, of))
    )


def clear_parts() -> int:
    """Remove what somebody began to write a day ago and never finished; how many."""
    if not store_identity.may_remove():
        return 0
    return gateways().store.clear_parts(now() - timedelta(seconds=limits.DAY))


def put_back() -> int:
    """Move out of the trash again what rows name: they may be of a time before it was removed. How many."""
    count = 0
    for batch in _batches(gateways().store.trashed()):
        named = _named([place for stored in batch if (place := before_trash(stored.key))])
        db.session.rollback()
        for stored in batch:
            if before_trash(stored.key) in named:
                count += gateways().store.put_back(stored.key)
    return count


def survey() -> Survey:
    """Hold all files against all rows."""
    files = unknown = named = 0
    for batch in _batches(gateways().store.listed()):
        keys = [stored.key for stored in batch]
        known, ours = _named(keys), _tasks_of(keys)
        db.session.rollback()
        files, named = files + len(keys), named + len(known)
        unknown += sum(key not in known and _uuid_of(key) not in ours for key in keys)
    rows = sum(db.session.scalar(select(func.count()).select_from(model)) or 0 for model in _NAMING)
    db.session.rollback()
    return Survey(files, unknown, rows, named)


def _batches(found: Iterable[Any]) -> Iterator[list[Any]]:
    some = iter(found)
    while batch := list(islice(some, _BATCH)):
        yield batch


def _moved(store_key: str) -> bool:
    """Whether the file lies in the trash now, or was not there."""
    try:
        gateways().store.remove(store_key)
    except (OSError, Fault) as error:
        logger.error("store: {} cannot be moved to the trash: {}", store_key, type(error).__name__)
        return False
    return True


def _lay(key: str, place: str) -> bool:
    before = before_trash(key) or ""
    return not place or before == place or before.startswith(f"{place}/")


def _without_a_row(keys: Sequence[str]) -> list[str]:
    known = _named(keys) | set(db.session.scalars(select(Removal.store_key).where(Removal.store_key.in_(keys))))
    live = _tasks_of(keys, Task.status.in_(LIVE))
    db.session.rollback()
    return [key for key in keys if key not in known and _uuid_of(key) not in live]


def _named(keys: Sequence[str]) -> set[str]:
    """Those of these that a row names."""
    return {
        key for model in _NAMING for key in db.session.scalars(select(model.store_key).where(model.store_key.in_(keys)))
    }


def _tasks_of(keys: Sequence[str], *also: Any) -> set[UUID]:
    """Tasks that these files are called after, of an upload none."""
    return set(db.session.scalars(select(Task.uuid).where(Task.uuid.in_({_uuid_of(key) for key in keys}), *also)))


def _uuid_of(key: str) -> UUID:
    return UUID(key.split("/")[1][:36])


def now() -> datetime:
    """PostgreSQL's clock."""
    moment: datetime = db.session.execute(select(func.clock_timestamp())).scalar_one()
    db.session.rollback()
    return moment
