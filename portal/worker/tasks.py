"""The Celery bodies: load, work, record. A second delivery of the same task does nothing."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from celery import shared_task
from sqlalchemy import text

from portal import jobs
from portal.engine import download
from portal.engine import export as exporting
from portal.engine import fetch as fetching
from portal.engine.convert import THREADS
from portal.errors import Blocked, Stopped
from portal.extensions import RedisError, db, gateways, redis, settings
from portal.models import Upload
from portal.services import datasets, exports, leftovers, refused_addresses, request_headers, runs, storage, uploads
from portal.services.params import fetch_policy, reading_of, wanted_of
from portal.worker.cage import Inside
from portal.worker.claimed import Run, claimed

CELL_BYTES = 4  # a cell of a dataset, where the time is reckoned that an export may take


@shared_task(name=jobs.FETCH, bind=True)  # type: ignore[untyped-decorator]  # celery has no types
def fetch(self: Any, task_uuid: str) -> None:
    """Turn the task's address into a dataset."""
    with claimed(task_uuid, worker=self.request.hostname) as run:
        if run is not None:
            _fetch(run)


def _fetch(run: Run) -> None:
    config, owner, params = settings(), run.copy.owner_id, run.copy.params
    upload = uploads.of_run(owner, params) if "upload" in params else None
    address = runs.address_of(run.copy)
    headers = request_headers.opened(run.copy)
    reading = reading_of(params, owner)
    db.session.commit()  # no connection is held while it works
    with _source(run, upload, address, headers) as source, _noting_refusals(run):
        work = partial(
            fetching.to_parquet,
            source,
            run.folder,
            reading=reading,
            policy=fetch_policy(),
            limits=download.Limits(
                max_bytes=config.fetch_max_bytes,
                max_seconds=config.fetch_max_seconds,
                stall_seconds=config.fetch_stall_seconds,
            ),
            memory_mb=config.fetch_memory_mb,
        )
        fetched = run.caged(
            lambda cage: work(allow=cage.ask, measured=cage.measured, stop=cage.stop, meter=cage.meter),
            allow=partial(_take, owner),
        )
    _store(run, fetched.path, datasets.store_key(run.copy, run.copy.attempt))
    published = datasets.publish(run.copy, fetched, upload)
    db.session.commit()  # if it fails it may have been done all the same: then the file is needed
    if published is None:
        raise Stopped
    leftovers.drop(run.copy, own=False)


@contextmanager
def _noting_refusals(run: Run) -> Iterator[None]:
    try:
        yield
    except Blocked as blocked:
        refused_addresses.note(run.copy, blocked)
        raise


@contextmanager
def _source(run: Run, upload: Upload | None, address: str, headers: dict[str, str]) -> Iterator[fetching.Source]:
    """Where the bytes come from: an address, or a file that was sent."""
    if upload is None:
        yield fetching.Web(address, headers, run.kept / "source")
        return
    with gateways().store.opened(upload.store_key, upload.sha256, whole=True) as path:
        yield fetching.Local(path, upload.name, upload.bytes, upload.sha256)


def _take(owner_id: int, count: int) -> None:
    """Count bytes before they come; the fetch ends where its owner may have no more."""
    storage.take(owner_id, count)
    db.session.commit()


def _store(run: Run, path: Path, key: str) -> None:
    """Put the file where the row that is written next will say it is."""
    run.stop.check()
    gateways().store.put(path, key, run.stop.check)
    run.stop.check()
    run.settle()


@shared_task(name=jobs.EXPORT, bind=True)  # type: ignore[untyped-decorator]
def export(self: Any, task_uuid: str) -> None:
    """Turn a dataset into a file."""
    with claimed(task_uuid, worker=self.request.hostname) as run:
        if run is not None:
            _export(run)


def _export(run: Run) -> None:
    dataset, wanted = exports.dataset_of(run.copy), wanted_of(run.copy.params)
    room = storage.use_of(run.copy.owner_id).room
    db.session.commit()  # no connection is held while it works
    with gateways().store.opened(dataset.store_key, dataset.stored_sha256, whole=True) as path:
        columns, cells = datasets.columns_of(dataset), dataset.rows * len(dataset.columns)
        work = partial(exporting.export, path, columns, wanted, run.folder, threads=THREADS, max_bytes=room)

        def timed(cage: Inside) -> exporting.Exported:
            cage.measured(CELL_BYTES * cells + dataset.stored_bytes)
            return work(stop=cage.stop, meter=cage.meter)

        exported = run.caged(timed)
    _store(run, exported.path, exports.store_key(run.copy, run.copy.attempt))
    published = exports.publish(run.copy, dataset, wanted, exported)
    db.session.commit()  # as above
    if published is None:
        raise Stopped
    leftovers.drop(run.copy, own=False)


@shared_task(name=jobs.HEALTH_CHECK, bind=True)  # type: ignore[untyped-decorator]
def health_check(self: Any, task_uuid: str) -> None:
    """Ask each part that a task needs, and say how long it took to answer (ms)."""
    with claimed(task_uuid, worker=self.request.hostname) as run:
        if run is None:
            return
        result: dict[str, Any] = {
            "worker": self.request.hostname,
            "database_ms": _timed(_ask_database),
        }
        try:
            result["redis_ms"] = _timed(lambda: redis().ping())
        except RedisError:
            result["redis_ms"] = None
        result["store_ms"] = _timed(lambda: _ask_store(run))
        run.settle()
        if runs.complete(run.copy, result) is None:
            raise Stopped
        db.session.commit()


def _ask_database() -> None:
    db.session.execute(text("SELECT 1"))
    db.session.rollback()


def _ask_store(run: Run) -> None:
    probe = run.folder / "probe"
    probe.write_bytes(b"probe")
    key = leftovers.probe_key(run.copy, run.copy.attempt)
    gateways().store.put(probe, key)
    gateways().store.delete(key)


def _timed(ask: Any) -> float:
    start = time.perf_counter()
    ask()
    return round((time.perf_counter() - start) * 1000, 2)
