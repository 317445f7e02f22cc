"""Bytes: how many an owner keeps and takes in, and how many they may."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert

from portal import limits
from portal.errors import Conflict, Fault, TooMany
from portal.extensions import db, settings
from portal.models import Dataset, Export, Removal, Transfer, Upload, User

_KEPT: tuple[tuple[Any, Any], ...] = ((Dataset, Dataset.stored_bytes), (Export, Export.bytes), (Upload, Upload.bytes))
_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Use:
    """Bytes an owner keeps, and took in during the last 24 hours, beside what is allowed."""

    kept: int
    kept_limit: int
    fetched: int
    fetched_limit: int

    @property
    def room(self) -> int:
        """How many more may be kept."""
        return max(0, self.kept_limit - self.kept)


def use_of(owner_id: int) -> Use:
    sums = [
        select(func.coalesce(func.sum(size), 0)).where(model.owner_id == owner_id).scalar_subquery()
        for model, size in _KEPT
    ]
    *kept, fetched = db.session.execute(select(*sums, _last_day(owner_id).scalar_subquery())).one()
    config = settings()
    return Use(int(sum(kept)), config.bytes_kept_per_user, int(fetched), config.bytes_fetched_per_user_day)


def check_room(user: User, coming: int = 0) -> None:
    """Raises `Conflict` when nothing more can be kept (`coming` bytes more), `TooMany` when no more can be fetched."""
    use = use_of(user.id)
    if use.kept + coming > use.kept_limit or not use.room:
        raise Conflict("quota_kept", limit=use.kept_limit)
    if use.fetched + coming > use.fetched_limit:
        raise TooMany("quota_fetched", retry_after=limits.HOUR, limit=use.fetched_limit)


def take(owner_id: int, count: int) -> None:
    """Count so many bytes as taken in; negative ones are given back. Exact when several do it at once.

    Raises `Fault('quota_fetched')`.
    """
    if count > 0:
        _one_at_a_time(owner_id)
        limit = settings().bytes_fetched_per_user_day
        if int(db.session.scalar(_last_day(owner_id))) + count > limit:
            raise Fault("quota_fetched", limit=limit)
    hour = func.date_trunc("hour", func.now())
    query = insert(Transfer).values(owner_id=owner_id, hour=hour, bytes=count)
    more = {"bytes": Transfer.bytes + query.excluded.bytes}
    db.session.execute(query.on_conflict_do_update(index_elements=["owner_id", "hour"], set_=more))


def hold(owner_id: int, count: int) -> None:
    """Before a row for so many kept bytes is written, in the same transaction. Raises `Fault('quota_kept')`."""
    _one_at_a_time(owner_id)
    use = use_of(owner_id)
    if count > use.room:
        raise Fault("quota_kept", limit=use.kept_limit)


def _last_day(owner_id: int) -> Any:
    mine = Transfer.owner_id == owner_id, Transfer.hour > func.now() - _DAY
    return select(func.coalesce(func.sum(Transfer.bytes), 0)).where(*mine)


def _one_at_a_time(owner_id: int) -> None:
    db.session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"storage:{owner_id}", 42))))


def remove(*store_keys: str) -> None:
    """Have these files removed, by `tidying`, once this transaction is committed."""
    rows = [{"store_key": key} for key in store_keys]
    if rows:
        db.session.execute(insert(Removal).values(rows).on_conflict_do_nothing())


def forget_old() -> int:
    """Delete what was counted more than a day ago."""
    old = delete(Transfer).where(Transfer.hour <= func.now() - 2 * _DAY).returning(Transfer.owner_id)
    return len(db.session.scalars(old).all())
