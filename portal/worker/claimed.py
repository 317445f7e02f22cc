"""A claimed task: taken from the table, kept alive by a beat in a thread of its own, ended by one fenced write."""

import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, NoReturn, TypeVar
from uuid import UUID

from flask import Flask, current_app
from loguru import logger
from sqlalchemy.exc import SQLAlchemyError

from portal import limits, postgres
from portal.engine.meter import Meter
from portal.engine.stop import Stop
from portal.errors import Fault, Stopped
from portal.extensions import db, settings
from portal.gateways.store import fault_of
from portal.models import Task
from portal.models.tasks import ENDED
from portal.services import leftovers, processes, runs, store_identity
from portal.services.copies import TaskCopy
from portal.worker.cage import Bounds, Cage, Inside

T = TypeVar("T")

AWAY = ".away"  # the folder of an attempt that is being removed
KEPT = "kept"
WAIT_LONGER_SECONDS = 60  # than a download may take, which ends by itself unless its process hangs
LAST_RESORT_SECONDS = 2.5  # for work that was told to stop; with a beat before and two writes after it, less than 5


class Run:
    """One attempt at a task, as the work sees it: `copy` is the claimed task, `folder` its own to write in.

    What lies in `kept` is there for the next attempt on this machine, too; it goes when the task has ended.
    """

    def __init__(self, app: Flask, copy: TaskCopy, folder: Path) -> None:
        self.copy, self.folder, self.kept = copy, folder, folder.parent / KEPT
        self.stop, self.meter = Stop(), Meter()
        self._app, self._beating = app, threading.Lock()
        self._cage: Cage | None = None
        self._give_up = settings().task_lease_seconds * limits.TASK_GIVE_UP_SHARE
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name=f"beat-{copy.uuid}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def caged(self, work: Callable[[Inside], T], allow: Callable[[int], object] = lambda count: None) -> T:
        """Do it in a process of its own, see `Cage.run`; `allow` is asked in this one, before bytes come."""
        config = settings()
        wait = config.fetch_max_seconds + WAIT_LONGER_SECONDS
        bounds = Bounds(config.task_memory_mb, config.task_work_seconds, wait)
        self._cage = Cage(bounds, self.stop, allow, self._beating)
        return self._cage.run(work)

    def settle(self) -> None:
        """End the beat, so that the last write is the work's own."""
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        if self._beat():
            return
        self.stop.set()
        if not self._ended.wait(LAST_RESORT_SECONDS):
            with logger.contextualize(task=str(self.copy.uuid), attempt=self.copy.attempt):
                self._end_by_force()

    def _beat(self) -> bool:
        """True once the work has ended; False when it must stop: cancelled, taken over, too long without the table."""
        good = time.monotonic()
        while not self._ended.wait(limits.TASK_BEAT_SECONDS):
            seen = (self._cage or self.meter).read()
            message = {"code": seen.code, "params": seen.params} if seen.code else None
            try:
                with self._beating, self._app.app_context():
                    task = runs.beat(self.copy, seen.percent, message)
                    go_on = task is not None and task.cancel_requested_at is None
                    db.session.commit()
            except Exception as error:  # noqa: BLE001  # without a beat the task would be lost while the work goes on
                logger.warning("beat: {}", type(error).__name__)
                go_on = time.monotonic() - good < self._give_up
            else:
                good = time.monotonic()
            if not go_on:
                return False
        return True

    def _end_by_force(self) -> NoReturn:
        """The last resort, for work that hangs in a call nobody can break off: the process ends, and the work with it.

        Nothing can be written after `cancelled`: what the work may still do in the moment that is left is fenced in
        the table, has no folder to write into, and checks `stop` before a file appears in the store. A prefork child
        runs one task, so no other is harmed; the pool starts a new child, and Celery acknowledges the message (no
        rejection when a child is lost). Were it rung again, nobody could claim it.
        """
        logger.error("the work does not stop: ending the process")
        try:
            with self._app.app_context():
                _put_away(self)
                runs.cancelled(self.copy)
                db.session.commit()
        finally:  # whatever failed: when the lease has run out, the reaper ends the task
            os._exit(1)


@contextmanager
def claimed(task_uuid: str, *, worker: str) -> Iterator[Run | None]:
    """The task to work on, or None when it is not ours to run; whatever is raised inside ends the attempt properly."""
    copy = None
    if _may_work(worker):
        copy = runs.claim(UUID(task_uuid), worker)
        db.session.commit()
    if copy is None:
        yield None
        return
    work = settings().work_folder
    run = Run(current_app._get_current_object(), copy, work / task_uuid / str(copy.attempt))  # type: ignore[attr-defined]
    run.start()
    with logger.contextualize(task=task_uuid, attempt=copy.attempt):
        try:
            _sweep(work)
            run.folder.mkdir(parents=True)
            run.kept.mkdir(exist_ok=True)
            yield run
            _remove(run.kept)
        except Stopped:
            # Before the last word: nothing was published, and nothing of it may be there once the task has ended.
            _put_away(run)
            run.settle()
            _record(partial(runs.cancelled, copy))
        except Exception as error:  # noqa: BLE001  # whatever it was, the task must be told
            _remove(run.folder)
            run.settle()
            said, passing = _explained(error)
            # Only if the task was still ours is it sure that a commit whose answer was lost has not been done.
            if written := _record(lambda: runs.fail(copy, said, passing=passing) or runs.cancelled(copy)):
                leftovers.drop(copy)
                if written.status in ENDED:
                    _remove(run.kept)
        finally:
            run.settle()
            _remove(run.folder)


def _may_work(worker: str) -> bool:
    """Whether this machine's store is the portal's: if not, the task waits for another worker."""
    foreign = store_identity.is_foreign()
    if foreign:
        logger.error("the store of this worker belongs to another database: see docs/operating.md")
    processes.note(worker, "store_foreign" if foreign else "")
    db.session.commit()
    return not foreign


def _put_away(run: Run) -> None:
    """Remove all that this attempt and those before it made; for an attempt that has published nothing."""
    _remove(run.folder)
    with suppress(SQLAlchemyError):  # then it stays until the task has ended
        if (run.copy.uuid, run.copy.attempt) in leftovers.running({run.copy.uuid}):  # no other has taken it over
            _remove(run.kept)
    leftovers.drop(run.copy)


def _remove(folder: Path) -> None:
    """The folder of an attempt, and that of its task if no other is in it.

    Under another name first: the work, if it goes on, must not be able to put anything into it while it is emptied.
    """
    away = folder.with_suffix(AWAY)
    with suppress(OSError):
        folder.rename(away)
    shutil.rmtree(away, ignore_errors=True)
    with suppress(OSError):  # another attempt has begun in it
        folder.parent.rmdir()


def _sweep(work: Path) -> None:
    """Remove what attempts that died left on this machine: those that no worker holds, what was kept of ended tasks."""
    found, kept = {}, {}
    with suppress(OSError):  # a folder may go while we look: others end, and sweep, at this moment
        for folder in work.glob("*/*"):
            with suppress(ValueError):  # not one of ours
                if folder.stem == KEPT:
                    kept[UUID(folder.parent.name)] = folder
                else:
                    found[UUID(folder.parent.name), int(folder.stem)] = folder
    for attempt in found.keys() - leftovers.running({uuid for uuid, _ in found}):
        _remove(found[attempt])
    for uuid in kept.keys() - leftovers.live(kept.keys()):
        _remove(kept[uuid])
    db.session.rollback()


def _explained(error: Exception) -> tuple[dict[str, Any], bool]:
    """What to tell the owner, and whether another attempt may help."""
    if isinstance(error, Fault):
        logger.info("task failed: {}", error.code)
        return {"code": error.code, "params": dict(error.params)}, error.passing
    logger.opt(exception=error).error("task failed")
    if code := postgres.outage(error):
        return {"code": code, "params": {}}, True
    if isinstance(error, OSError):
        fault = fault_of(error)
        return {"code": fault.code, "params": dict(fault.params)}, fault.passing
    return {"code": "internal", "params": {}}, False


def _record(write: Callable[[], Task | None]) -> Task | None:
    """Write the last word; while the database is away, for as long as the task is surely ours."""
    until = time.monotonic() + settings().task_lease_seconds * limits.TASK_GIVE_UP_SHARE
    while True:
        try:
            db.session.rollback()
            written = write()
            db.session.commit()
        except SQLAlchemyError as error:
            db.session.remove()
            if not postgres.outage(error) or time.monotonic() > until:
                raise
            time.sleep(1)
        else:
            return written
