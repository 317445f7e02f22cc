"""The Celery bodies: load, work, record. A second delivery of the same task does nothing."""

import time
from typing import Any

from celery import shared_task
from sqlalchemy import text

from portal import jobs
from portal.engine import download
from portal.engine import fetch as fetching
from portal.errors import Stopped
from portal.extensions import RedisError, db, gateways, redis, settings
from portal.services import datasets, leftovers, runs
from portal.services.params import fetch_policy
from portal.worker.claimed import Run, claimed


@shared_task(name=jobs.FETCH, bind=True)  # type: ignore[untyped-decorator]  # celery has no types
def fetch(self: Any, task_uuid: str) -> None:
    """Turn the task's address into a dataset."""
    with claimed(task_uuid, worker=self.request.hostname) as run:
        if run is not None:
            _fetch(run)


def _fetch(run: Run) -> None:
    config = settings()
    fetched = fetching.to_parquet(
        run.copy.params["url"],
        run.folder,
        format=run.copy.params.get("format"),
        policy=fetch_policy(),
        limits=download.Limits(
            max_bytes=config.fetch_max_bytes,
            max_seconds=config.fetch_max_seconds,
            stall_seconds=config.fetch_stall_seconds,
        ),
        memory_mb=config.fetch_memory_mb,
        stop=run.stop,
        meter=run.meter,
    )
    run.stop.check()
    gateways().store.put(fetched.path, datasets.store_key(run.copy, run.copy.attempt), run.stop.check)
    run.stop.check()
    run.settle()
    published = datasets.publish(run.copy, fetched)
    db.session.commit()  # if it fails it may have been done all the same: then the file is needed
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
