"""One attempt at a task: stopped, taken over, ended by force; what it leaves behind."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from apiflask import APIFlask
from sqlalchemy import text

from portal import limits
from portal.errors import Fault
from portal.extensions import db, gateways, settings
from portal.models import User
from portal.services import datasets, leftovers, runs, tasks
from portal.worker import claimed as worker
from portal.worker.claimed import Run, claimed
from tests.cast import person

WAIT = 10  # seconds that nothing here takes


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "TASK_BEAT_SECONDS", 0.05)


class Desk:
    """A task of alice's, and what others do to it meanwhile."""

    def __init__(self, app: APIFlask) -> None:
        self.app = app
        self.owner = person(app, "alice").id
        self.uuid = self.submit()

    def submit(self) -> UUID:
        with self.app.app_context():
            owner = db.session.get_one(User, self.owner)
            uuid = tasks.submit(owner, "fetch", {"url": "http://data.example/x.csv"}).uuid
            db.session.commit()
            return uuid

    def cancel(self) -> None:
        with self.app.app_context():
            tasks.cancel(db.session.get_one(User, self.owner), self.uuid)
            db.session.commit()

    def take_over(self) -> None:
        """As the reaper and another worker do when the lease has run out."""
        with self.app.app_context():
            self.sql("UPDATE tasks SET status = 'pending', lease_until = NULL")
            assert runs.claim(self.uuid, "another")
            db.session.commit()

    def sql(self, statement: str) -> None:
        db.session.execute(text(f"{statement} WHERE uuid = :uuid"), {"uuid": self.uuid})

    @property
    def row(self) -> dict[str, Any]:
        with self.app.app_context():
            found = db.session.execute(text("SELECT * FROM tasks WHERE uuid = :uuid"), {"uuid": self.uuid}).one()
            return dict(found._mapping)

    @contextmanager
    def run(self) -> Iterator[Run]:
        with self.app.app_context(), claimed(str(self.uuid), worker="one") as run:
            assert run
            yield run


@pytest.fixture
def desk(app: APIFlask) -> Desk:
    return Desk(app)


def stored(desk: Desk) -> list[str]:
    """What is in the store of her task."""
    folder: Path = desk.app.extensions["settings"].store_folder
    return [
        str(path.relative_to(folder)) for path in folder.rglob("*") if str(desk.uuid) in str(path) and path.is_file()
    ]


def fail(problem: Exception) -> None:
    raise problem


def put(run: Run) -> None:
    """What a fetch does at its end."""
    (run.folder / "data").write_bytes(b"data")
    gateways().store.put(run.folder / "data", datasets.store_key(run.copy, run.copy.attempt))


def until_told(run: Run) -> None:
    """Work, as long as nobody says to stop."""
    told = threading.Event()
    with run.stop.interrupting(told.set):
        assert told.wait(WAIT)
    run.stop.check()


def test_a_cancelled_task_leaves_nothing(desk: Desk) -> None:
    with desk.run() as run:
        put(run)
        desk.cancel()
        assert desk.row["status"] == "processing"
        until_told(run)
    assert (desk.row["status"], desk.row["attempt"]) == ("cancelled", 1)
    assert stored(desk) == [] and not run.folder.parent.exists()


def test_its_files_are_gone_when_it_is_called_cancelled(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    there: list[bool] = []
    cancelled = runs.cancelled

    def look(copy: Any) -> Any:
        there.append(run.folder.exists() or bool(stored(desk)))
        return cancelled(copy)

    monkeypatch.setattr(runs, "cancelled", look)
    with desk.run() as run:
        put(run)
        desk.cancel()
        until_told(run)
    assert there == [False]


def test_a_fault_after_the_cancel_is_a_cancel(desk: Desk) -> None:
    with desk.run():
        desk.cancel()
        fail(Fault("connection_failed", passing=True))
    assert (desk.row["status"], desk.row["error"]) == ("cancelled", None)


def test_a_task_that_another_took_over_is_left_alone(desk: Desk) -> None:
    with desk.run() as run:
        put(run)
        desk.take_over()
        before = desk.row
        until_told(run)
    assert desk.row == before
    assert (before["status"], before["attempt"], before["worker"]) == ("processing", 2, "another")
    assert stored(desk) == [] and not run.folder.exists()


def test_a_failed_attempt_leaves_nothing_and_its_successor_keeps_the_progress(desk: Desk) -> None:
    with desk.run() as run:
        put(run)
        run.meter.step("storing", (97, 99))
        while desk.row["progress"] < 97:
            assert run.stop.is_set() is False
        fail(Fault("storage_failed", passing=True, reason=""))
    assert (desk.row["status"], stored(desk)) == ("pending", [])
    with desk.app.app_context():
        desk.sql("UPDATE tasks SET next_run_at = now()")
        db.session.commit()
    with desk.run():
        assert (desk.row["attempt"], desk.row["progress"]) == (2, 97)
        fail(Fault("http_not_found", status=404))
    assert (desk.row["status"], desk.row["progress"]) == ("failed", 97)


def test_a_commit_whose_answer_was_lost_keeps_its_file(desk: Desk) -> None:
    with desk.run() as run:
        put(run)
        run.settle()
        assert runs.complete(run.copy, {"rows": 1})
        db.session.commit()
        fail(ConnectionError("the answer was lost"))
    assert desk.row["status"] == "completed"
    assert stored(desk) == [datasets.store_key(run.copy, 1)]


class Killed(Exception):
    """In place of the end of the process."""


@pytest.fixture
def stubborn(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], None]], dict[str, Any]]:
    """Run work that does not hear `stop`; answers how things stand when its process is ended."""
    monkeypatch.setattr(worker, "LAST_RESORT_SECONDS", 0.2)
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    ended, seen = threading.Event(), dict[str, Any]()

    def exit_(status: int) -> None:
        seen.update(status=status, row=desk.row, stored=stored(desk), files=list(run_folders(desk.app)))
        seen["kept"] = [folder / "kept" for folder in seen["files"] if [*folder.iterdir()] == [folder / "kept"]]
        ended.set()
        raise Killed

    monkeypatch.setattr(os, "_exit", exit_)

    def go(meanwhile: Callable[[], None]) -> dict[str, Any]:
        with desk.run() as run:
            put(run)
            meanwhile()
            assert ended.wait(WAIT)
            with pytest.raises(FileNotFoundError):  # what it still does has no place to go
                (run.folder / "late").write_bytes(b"x")
        return seen

    return go


def run_folders(app: APIFlask) -> Iterator[Path]:
    with app.app_context():
        yield from settings().work_folder.glob("*")


def test_work_that_hangs_is_cancelled_by_force(
    desk: Desk, stubborn: Callable[[Callable[[], None]], dict[str, Any]]
) -> None:
    seen = stubborn(desk.cancel)
    assert (seen["status"], seen["row"]["status"], seen["stored"], seen["files"]) == (1, "cancelled", [], [])
    assert desk.row == seen["row"]


def test_work_that_hangs_and_was_taken_over_ends_without_a_word(
    desk: Desk, stubborn: Callable[[Callable[[], None]], dict[str, Any]]
) -> None:
    seen = stubborn(desk.take_over)
    assert (seen["row"]["status"], seen["row"]["attempt"], seen["stored"]) == ("processing", 2, [])
    assert len(seen["files"]) == len(seen["kept"]) == 1  # what is kept is the other's now


def test_what_the_dead_left_is_swept(desk: Desk, app: APIFlask) -> None:
    with desk.run() as run:
        work = run.folder.parent.parent
        dead = [work / str(uuid4()) / "1", work / str(desk.uuid) / "0", work / str(uuid4()) / "3.away"]
        for folder in dead:
            (folder / "spill").mkdir(parents=True)
            (folder / "spill" / "file").write_bytes(b"x")
        (work / "foreign" / "folder").mkdir(parents=True)
        other = Desk.__new__(Desk)
        other.app, other.owner = app, desk.owner
        other.uuid = other.submit()
        with other.run() as second:
            assert [folder for folder in dead if folder.exists()] == []
            assert run.folder.is_dir() and second.folder.is_dir()
            fail(Fault("file_empty"))
        assert sorted(path.name for path in work.iterdir()) == sorted(["foreign", str(desk.uuid)])
        (work / "foreign" / "folder").rmdir()
        (work / "foreign").rmdir()
        fail(Fault("file_empty"))


def test_a_store_that_is_away_keeps_no_task_from_ending(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    with desk.run() as run:
        monkeypatch.setattr(type(gateways().store), "delete", lambda *_: (_ for _ in ()).throw(OSError("away")))
        desk.cancel()
        until_told(run)
    assert desk.row["status"] == "cancelled"


def test_drop_knows_every_kind() -> None:
    from portal import jobs

    assert leftovers._KEYS.keys() == jobs.BY_KIND.keys()


def test_a_folder_that_goes_while_the_sweep_looks_is_no_fault(
    app: APIFlask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def vanishes(*_: object) -> object:
        raise FileNotFoundError

    monkeypatch.setattr(Path, "glob", vanishes)
    with app.app_context():
        worker._sweep(tmp_path)
