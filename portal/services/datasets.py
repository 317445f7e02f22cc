"""Datasets: publish what a fetch made, find and look at what one owns."""

from dataclasses import asdict
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from loguru import logger
from sqlalchemy import func, select

from portal import access, limits
from portal.engine import preview
from portal.engine.fetch import Fetched
from portal.errors import Fault, NotFound, Unavailable
from portal.extensions import db, gateways, settings
from portal.models import Dataset, User
from portal.services import runs, tasks
from portal.services.copies import TaskCopy
from portal.services.paging import Page, page


def store_key(run: TaskCopy, attempt: int) -> str:
    """Where an attempt's file goes: no two attempts share one."""
    return f"datasets/{run.uuid}/{attempt}.parquet"


def publish(run: TaskCopy, fetched: Fetched) -> Dataset | None:
    """The dataset, and its task completed, in one transaction; None when the attempt no longer holds the task."""
    uuid = uuid4()
    result = {
        "dataset": str(uuid),
        "rows": fetched.rows,
        "columns": len(fetched.columns),
        "bytes": fetched.source_bytes,
        "sha256": fetched.source_sha256,
    }
    task = runs.complete(run, result)
    if task is None:
        return None
    dataset = Dataset(
        uuid=uuid,
        owner_id=task.owner_id,
        task_id=task.id,
        name=run.params.get("name") or fetched.suggested_name[:200],
        source_url=run.params["url"],
        source_bytes=fetched.source_bytes,
        source_sha256=fetched.source_sha256,
        store_key=store_key(run, run.attempt),
        stored_bytes=fetched.stored_bytes,
        stored_sha256=fetched.stored_sha256,
        rows=fetched.rows,
        columns=[asdict(column) for column in fetched.columns],
        keep_until=func.now() + timedelta(days=settings().dataset_keep_days),
    )
    db.session.add(dataset)
    db.session.flush()
    return dataset


def get_for(user: User, uuid: UUID) -> Dataset:
    """The user's own dataset; `NotFound` for anyone else's, as if it did not exist."""
    dataset = db.session.scalar(select(Dataset).where(Dataset.uuid == uuid))
    if dataset is None or not access.may_see_dataset(user, dataset):
        raise NotFound
    return dataset


def list_for(user: User, *, cursor: int | None = None, limit: int = limits.PAGE_SIZE) -> Page[Dataset]:
    """The user's datasets, newest first."""
    return page(select(Dataset), Dataset, of=(Dataset.owner_id, user.id), cursor=cursor, limit=limit)


def rows(dataset: Dataset, *, offset: int = 0, limit: int = limits.PREVIEW_ROWS) -> list[list[Any]]:
    """Rows of a dataset in their order, as JSON values."""
    try:
        with gateways().store.opened(dataset.store_key) as path:
            return preview.first_rows(path, limit, offset)
    except Fault as fault:
        raise Unavailable(fault.code) from None


def expire_old() -> int:
    """Remove datasets that are past their retention; their tasks say `expired`. How many.

    The files go first: cut off in between, the next round finds the rows, and an absent file is no fault.
    """
    query = select(Dataset).where(Dataset.keep_until < func.now()).order_by(Dataset.keep_until).limit(100)
    old = [each for each in db.session.scalars(query.with_for_update(skip_locked=True)) if _deleted(each)]
    for dataset in old:
        db.session.delete(dataset)
    db.session.flush()
    tasks.expire_results([dataset.task_id for dataset in old])
    return len(old)


def _deleted(dataset: Dataset) -> bool:
    """Whether its file is gone; one that cannot be deleted now keeps no other back."""
    try:
        gateways().store.delete(dataset.store_key)
    except (OSError, Fault) as error:
        logger.error("dataset {}: its file cannot be deleted: {}", dataset.uuid, type(error).__name__)
        return False
    return True
