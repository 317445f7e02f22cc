"""A claimed task: taken from the table, kept alive by a beat in a thread of its own, ended by one fenced write."""

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

from flask import Flask, current_app
from loguru import logger
from sqlalchemy.exc import InterfaceError, OperationalError, SQLAlchemyError

from portal import limits
from portal.engine.stop import Stop
from portal.errors import Fault, Stopped
from portal.extensions import db, settings
from portal.services import runs
from portal.services.copies import TaskCopy


class Run:
    """One attempt at a task, as the work sees it: `copy` is the claimed task, `folder` its own to write in."""

    def __init__(self, app: Flask, copy: TaskCopy, folder: Path) -> None:
        self.copy, self.folder = copy, folder
        self.stop = Stop()
        self._app = app
        self._give_up = settings().task_lease_seconds * limits.TASK_GIVE_UP_SHARE
        self._progress: tuple[int, dict[str, Any] | None] = (0, None)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, name=f"beat-{copy.uuid}", daemon=True)

    def report(self, progress: int, code: str, params: dict[str, Any]) -> None:
        """How far the work is (0 to 99) and what it is doing; the next beat writes it."""
        self._progress = (progress, {"code": code, "params": params})

    def start(self) -> None:
        self._thread.start()

    def settle(self) -> None:
        """End the beat, so that the last write is the work's own."""
        self._ended.set()
        self._thread.join()

    def _beat(self) -> None:
        good = time.monotonic()
        while not self._ended.wait(limits.TASK_BEAT_SECONDS):
            try:
                with self._app.app_context():
                    task = runs.beat(self.copy, *self._progress)
                    go_on = task is not None and task.cancel_requested_at is None
                    db.session.commit()
            except SQLAlchemyError as error:
                logger.warning("beat: {}", type(error).__name__)
                go_on = time.monotonic() - good < self._give_up
            else:
                good = time.monotonic()
            if not go_on:
                self.stop.set()
                return


@contextmanager
def claimed(task_uuid: str, *, worker: str) -> Iterator[Run | None]:
    """The task to work on, or None when it is not ours to run; whatever is raised inside ends the attempt properly."""
    copy = runs.claim(UUID(task_uuid), worker)
    db.session.commit()
    if copy is None:
        yield None
        return
    home = settings().work_folder / task_uuid
    for earlier in range(1, copy.attempt):
        shutil.rmtree(home / str(earlier), ignore_errors=True)
    _sweep(home.parent)
    folder = home / str(copy.attempt)
    run = Run(current_app._get_current_object(), copy, folder)  # type: ignore[attr-defined]
    run.start()
    with logger.contextualize(task=task_uuid, attempt=copy.attempt):
        try:
            folder.mkdir(parents=True)
            yield run
        except Stopped:
            run.settle()
            _record(partial(runs.cancelled, copy))
        except Exception as error:  # noqa: BLE001  # whatever it was, the task must be told
            run.settle()
            said, passing = _explained(error)
            _record(lambda: runs.cancelled(copy) or runs.fail(copy, said, passing=passing))
        finally:
            run.settle()
            shutil.rmtree(folder, ignore_errors=True)
            with suppress(OSError):  # another attempt has begun in it
                home.rmdir()


def _sweep(work: Path) -> None:
    """Remove what attempts that died left on this machine: no attempt lives as long as its folder has."""
    for folder in work.glob("*/*"):
        with suppress(OSError):
            if time.time() - folder.stat().st_mtime > 2 * limits.TASK_SECONDS:
                shutil.rmtree(folder, ignore_errors=True)
                folder.parent.rmdir()


def _explained(error: Exception) -> tuple[dict[str, Any], bool]:
    """What to tell the owner, and whether another attempt may help."""
    if isinstance(error, Fault):
        logger.info("task failed: {}", error.code)
        return {"code": error.code, "params": dict(error.params)}, error.passing
    logger.opt(exception=error).error("task failed")
    if isinstance(error, OperationalError | InterfaceError):
        return {"code": "database_unavailable", "params": {}}, True
    if isinstance(error, OSError):
        return {"code": "storage_failed", "params": {"reason": error.strerror or ""}}, True
    return {"code": "internal", "params": {}}, False


def _record(write: Callable[[], object]) -> None:
    db.session.rollback()
    write()
    db.session.commit()
