"""Exports: files that tasks make of datasets, for their owner to take away."""

from collections.abc import Iterator
from datetime import timedelta
from uuid import UUID

from sqlalchemy import func, select

from portal.engine import export as exporting
from portal.engine.export import Exported, Wanted
from portal.errors import Fault, NotFound, Unavailable
from portal.extensions import db, gateways, settings
from portal.models import Dataset, Export, Task, User
from portal.services import runs, storage, tasks
from portal.services.copies import TaskCopy

MEDIA_TYPES = exporting.MEDIA_TYPES


def store_key(run: TaskCopy, attempt: int) -> str:
    """Where an attempt's file goes: no two attempts share one."""
    return f"exports/{run.uuid}/{attempt}"


def dataset_of(run: TaskCopy) -> Dataset:
    """The dataset a task exports. Raises `Fault('dataset_gone')`."""
    mine = Dataset.uuid == UUID(run.params["dataset"]), Dataset.owner_id == run.owner_id
    dataset = db.session.scalar(select(Dataset).where(*mine))
    if dataset is None:
        raise Fault("dataset_gone")
    return dataset


def publish(run: TaskCopy, dataset: Dataset, wanted: Wanted, exported: Exported) -> Export | None:
    """The export, and its task completed, in one transaction; None when the attempt no longer holds the task.

    Raises `Fault('quota_kept')`.
    """
    storage.hold(run.owner_id, exported.bytes)
    filename = filename_of(run.params.get("name") or dataset.name, wanted)
    result = {"rows": exported.rows, "bytes": exported.bytes, "sha256": exported.sha256, "filename": filename}
    task = runs.complete(run, {**result, "dataset": run.params["dataset"], "name": dataset.name})
    if task is None:
        return None
    export = Export(
        owner_id=task.owner_id,
        task_id=task.id,
        dataset_id=select(Dataset.id).where(Dataset.id == dataset.id).scalar_subquery(),
        media_type=exporting.media_type(wanted),
        store_key=store_key(run, run.attempt),
        keep_until=func.now() + timedelta(days=settings().export_keep_days),
        **result,
    )
    db.session.add(export)
    db.session.flush()
    return export


def filename_of(name: str, wanted: Wanted) -> str:
    """A file name that every system takes: `name` without what one of them forbids."""
    safe = "".join("_" if char in '<>:"/\\|?*' or not char.isprintable() else char for char in name)
    return (safe.strip(" .")[:150] or "data") + exporting.ending(wanted)


def get_for(user: User, task_uuid: UUID) -> Export:
    """What the user's task made; `NotFound` for anyone else's, before it is whole, and once it is gone."""
    task = tasks.get_for(user, task_uuid)
    export = db.session.scalar(select(Export).where(Export.task_id == task.id))
    if export is None:
        raise NotFound
    return export


def read(export: Export, start: int, end: int) -> Iterator[bytes]:
    """Its bytes from `start` up to `end`. Raises `Unavailable`, before the first of them."""
    try:
        return gateways().store.stream(export.store_key, start, end)
    except Fault as fault:
        raise Unavailable(fault.code, retry_after=30) from None


def expire_old() -> int:
    """Remove exports that are past their retention; their tasks say `expired`. How many."""
    old = select(Export).where(Export.keep_until < func.now()).order_by(Export.keep_until).limit(100)
    gone = db.session.scalars(old.with_for_update(skip_locked=True)).all()
    storage.remove(*(export.store_key for export in gone))
    for export in gone:
        db.session.delete(export)
    db.session.flush()
    tasks.expire_results([export.task_id for export in gone])
    return len(gone)


def of_dataset(dataset: Dataset, limit: int = 10) -> list[tuple[Export, UUID]]:
    """Its newest exports, each with the uuid of its task."""
    query = select(Export, Task.uuid).join(Task, Task.id == Export.task_id).where(Export.dataset_id == dataset.id)
    return [(row[0], row[1]) for row in db.session.execute(query.order_by(Export.id.desc()).limit(limit)).all()]
