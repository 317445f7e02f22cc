"""Datasets: publish what a fetch made, find, look at, describe and remove what one owns."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import func, select
from sqlalchemy.orm import undefer

from portal import access, limits
from portal.engine import look as looking
from portal.engine import look_process, query
from portal.engine.columns import Column
from portal.engine.fetch import Fetched
from portal.engine.look import Look
from portal.engine.query import Condition, Sort
from portal.errors import Denied, Fault, Invalid, NotFound, Unavailable
from portal.extensions import db, gateways, settings
from portal.models import Dataset, Task, Upload, User
from portal.services import runs, storage, tasks
from portal.services.copies import TaskCopy
from portal.services.paging import Page, json_bytes, page
from portal.shares import Alone, Places
from portal.validation import check_description, check_name

_BUSY_SECONDS = 5
_looks = Places("look_busy", limits.LOOKS_SHARE, retry_after=_BUSY_SECONDS)
_alone = Alone("look_busy", seconds=limits.LOOKS_SHARE.seconds, retry_after=_BUSY_SECONDS)


def store_key(run: TaskCopy, attempt: int) -> str:
    """Where an attempt's file goes: no two attempts share one."""
    return f"datasets/{run.uuid}/{attempt}.parquet"


def publish(run: TaskCopy, fetched: Fetched, upload: Upload | None = None) -> Dataset | None:
    """The dataset, and its task completed, in one transaction; None when the attempt no longer holds the task.

    Raises `Fault('quota_kept')`.
    """
    storage.hold(run.owner_id, fetched.stored_bytes)
    uuid = uuid4()
    result = {
        "dataset": str(uuid),
        "rows": fetched.rows,
        "columns": len(fetched.columns),
        "bytes": fetched.source_bytes,
        "sha256": fetched.source_sha256,
    }
    if fetched.skipped:
        result |= {"skipped": fetched.skipped, "first_skipped": fetched.first_skipped}
    task = runs.complete(run, result)
    if task is None:
        return None
    dataset = Dataset(
        uuid=uuid,
        owner_id=task.owner_id,
        task_id=task.id,
        name=run.params.get("name") or fetched.suggested_name[:200],
        source_url=run.params.get("url", ""),
        source_name=upload.name if upload else "",
        source_bytes=fetched.source_bytes,
        source_sha256=fetched.source_sha256,
        store_key=store_key(run, run.attempt),
        stored_bytes=fetched.stored_bytes,
        stored_sha256=fetched.stored_sha256,
        rows=fetched.rows,
        columns=[asdict(column) for column in fetched.columns],
        found=fetched.found,
        skipped=fetched.skipped,
        first_skipped=fetched.first_skipped,
        profile=fetched.profile,
        keep_until=func.now() + timedelta(days=settings().dataset_keep_days),
    )
    db.session.add(dataset)
    db.session.flush()
    return dataset


def get_for(user: User, uuid: UUID, *, with_profile: bool = False) -> Dataset:
    """The user's own dataset; `NotFound` for anyone else's, as if it did not exist."""
    found = select(Dataset).where(Dataset.uuid == uuid)
    dataset = db.session.scalar(found.options(undefer(Dataset.profile)) if with_profile else found)
    if dataset is None:
        raise NotFound
    if not access.may_see_dataset(user, dataset):
        raise Denied(user.id)
    return dataset


def list_for(user: User, *, cursor: int | None = None, limit: int = limits.PAGE_SIZE) -> Page[Dataset]:
    """The user's datasets, newest first."""
    mine = Dataset.owner_id, user.id
    return page(select(Dataset), Dataset, of=mine, cursor=cursor, limit=limit, size=_size)


def _size(dataset: Dataset) -> int:
    return json_bytes(dataset.columns)


def profile_from(dataset: Dataset, first: int) -> tuple[list[dict[str, Any]] | None, int | None]:
    """The profiles of as many columns as one answer holds, and where the next ones begin; None without profiles, or at
    the end. The dataset was got with its profile."""
    if dataset.profile is None:
        return None, None
    some, held = list[dict[str, Any]](), 0
    for found in dataset.profile[first:]:
        held += json_bytes(found)
        if some and held > limits.PAGE_BYTES:
            return some, first + len(some)
        some.append(found)
    return some, None


def columns_of(dataset: Dataset) -> list[Column]:
    return [Column(**column) for column in dataset.columns]


def task_of(dataset: Dataset) -> UUID:
    """The task that made it."""
    return db.session.execute(select(Task.uuid).where(Task.id == dataset.task_id)).scalar_one()


@contextmanager
def looking_at(dataset: Dataset) -> Iterator[None]:
    """A place among the looks of this process, and the only one of the owner's on this machine: until the answer is
    made.

    No transaction may be open: it may take seconds. Raises `TooMany` or `Unavailable`, both `look_busy`.
    """
    with _looks.place(dataset.owner_id), _alone.on_machine(settings().instance_path / "looks", dataset.owner_id):
        yield


def rows(
    dataset: Dataset,
    *,
    where: Sequence[Condition] = (),
    sort: Sequence[Sort] = (),
    names: Sequence[str] = (),
    offset: int = 0,
    limit: int = limits.PREVIEW_ROWS,
    cell_chars: int = looking.CELL_CHARS,
    as_texts: bool = False,
    as_json: bool = False,
) -> Look:
    """Rows as JSON values, or as JSON, in the file's order unless sorted; inside of `looking_at`.

    Raises `Invalid` for what cannot be asked, `Unavailable` for what cannot be answered now.
    """
    columns, seconds = columns_of(dataset), settings().look_seconds
    with _invalid("where"):
        query.where_sql(where, columns)
    with _invalid("sort"):
        query.order_sql(sort, columns)
    try:
        with gateways().store.opened(dataset.store_key, dataset.stored_sha256) as path:
            return look_process.ask(
                path,
                columns,
                where=where,
                sort=sort,
                names=names,
                offset=offset,
                limit=limit,
                seconds=seconds,
                cell_chars=cell_chars,
                as_texts=as_texts,
                as_json=as_json,
            )
    except Fault as fault:
        raise Unavailable(fault.code, retry_after=_BUSY_SECONDS, **fault.params) from None


def asked(dataset: Dataset, where: Any, sort: Sequence[str], **page: Any) -> Look:
    """`rows`, with conditions and sort columns as a program sends them."""
    with _invalid("where"):
        conditions = query.conditions_from(where)
    return rows(dataset, where=conditions, sort=query.sort_from(sort, columns_of(dataset)), **page)


@contextmanager
def _invalid(field: str) -> Iterator[None]:
    try:
        yield
    except Fault as fault:
        raise Invalid(fault.code, field=field, **fault.params) from None


def change(user: User, uuid: UUID, *, name: str | None = None, description: str | None = None) -> Dataset:
    """Call it otherwise, describe it. Raises `Invalid`."""
    dataset = get_for(user, uuid)
    if name is not None:
        if not name.strip():
            raise Invalid("required", field="name")
        dataset.name = check_name(name, field="name")
    if description is not None:
        dataset.description = check_description(description, field="description")
    db.session.flush()
    return dataset


def delete(user: User, uuid: UUID) -> None:
    """Remove it; its file goes soon after, its task says `expired`. What was exported of it stays."""
    dataset = get_for(user, uuid)
    storage.remove(dataset.store_key)
    db.session.delete(dataset)
    db.session.flush()
    tasks.expire_results([dataset.task_id], "result_deleted")


def fetch_again(user: User, uuid: UUID, **changed: Any) -> TaskCopy:
    """A new task that fetches what this dataset was made of, as it was then asked for but for what is `changed`."""
    dataset = get_for(user, uuid)
    return tasks.again(user, db.session.get_one(Task, dataset.task_id), **changed)


def expire_old() -> int:
    """Remove datasets that are past their retention; their tasks say `expired`. How many."""
    old = select(Dataset).where(Dataset.keep_until < func.now()).order_by(Dataset.keep_until).limit(100)
    gone = db.session.scalars(old.with_for_update(skip_locked=True)).all()
    storage.remove(*(dataset.store_key for dataset in gone))
    for dataset in gone:
        db.session.delete(dataset)
    db.session.flush()
    tasks.expire_results([dataset.task_id for dataset in gone])
    return len(gone)
