"""A result past its retention: file and dataset go, and its task says so."""

from pathlib import Path
from uuid import uuid4

import pytest
from apiflask import APIFlask
from sqlalchemy import func, select, text

from portal import limits
from portal.engine.columns import Column
from portal.engine.fetch import Fetched
from portal.extensions import db, gateways
from portal.models import Dataset, Removal, Task, User
from portal.services import datasets, queue, runs, storage, tasks, tidying
from portal.worker import reaper
from tests.cast import person
from tests.store import adopt

URL = "http://example.com/a.csv"


@pytest.fixture
def owner(app: APIFlask) -> User:
    alice = person(app, "alice")
    adopt(app)
    with app.app_context():
        return db.session.get_one(User, alice.id)


def fetched(app: APIFlask, owner: User, tmp_path: Path) -> tuple[Dataset, Path]:
    """A dataset with its file in the store."""
    run = runs.claim(tasks.submit(owner, "fetch", {"url": URL}).uuid, "w1")
    assert run is not None
    file = tmp_path / "data.parquet"
    file.write_bytes(b"whole")
    gateways().store.put(file, datasets.store_key(run, 1))
    made = Fetched(file, 1, [Column("a", "text")], 5, "0" * 64, 5, "0" * 64, "a")
    dataset = datasets.publish(run, made)
    db.session.commit()
    assert dataset is not None
    return dataset, app.extensions["settings"].store_folder / dataset.store_key


def test_what_is_past_its_retention_goes(app: APIFlask, owner: User, tmp_path: Path) -> None:
    with app.app_context():
        _, file = fetched(app, owner, tmp_path)
        assert datasets.expire_old() == 0 and file.exists()
        db.session.execute(text("UPDATE datasets SET keep_until = now() - interval '1 second'"))
        db.session.commit()
        assert datasets.expire_old() == 1
        db.session.commit()
        assert tidying.remove_files() == 1
        db.session.commit()
        assert not file.exists()
        assert db.session.scalar(select(func.count()).select_from(Dataset)) == 0
        task = db.session.scalars(select(Task)).one()
        assert (task.status, task.error) == ("expired", {"code": "result_expired", "params": {}})
        assert tasks.timeline(owner, task.uuid)[-1].kind == "expired"
        assert tasks.retry(owner, task.uuid).params == {"url": URL}


def test_what_a_dead_worker_put_into_the_store_goes_with_its_task(app: APIFlask, owner: User, tmp_path: Path) -> None:
    with app.app_context():
        uuid = tasks.submit(owner, "fetch", {"url": URL}).uuid
        run = runs.claim(uuid, "w1")
        assert run is not None
        file = tmp_path / "data.parquet"
        file.write_bytes(b"whole")
        gateways().store.put(file, datasets.store_key(run, 1))
        tasks.cancel(owner, uuid)
        db.session.commit()
        stored = app.extensions["settings"].store_folder / datasets.store_key(run, 1)
        queue.take_back("w1")
        db.session.rollback()
        reaper.remove_old()
        assert stored.exists()
        queue.take_back("w1")
        db.session.commit()
        reaper.remove_old()
        assert tasks.get_for(owner, uuid).status == "cancelled" and not stored.exists()


def test_cut_off_after_the_file_the_next_round_ends_it(app: APIFlask, owner: User, tmp_path: Path) -> None:
    with app.app_context():
        _, file = fetched(app, owner, tmp_path)
        db.session.execute(text("UPDATE datasets SET keep_until = now() - interval '1 second'"))
        datasets.expire_old()
        db.session.commit()
        tidying.remove_files()
        db.session.rollback()
        assert not file.exists()
        assert tidying.remove_files() == 1
        db.session.commit()
        assert db.session.scalar(select(func.count()).select_from(Removal)) == 0


def test_files_that_cannot_be_removed_keep_no_other_back(
    app: APIFlask, owner: User, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many they are."""
    with app.app_context():
        _, file = fetched(app, owner, tmp_path)
        stuck = [f"exports/{uuid4()}/1" for _ in range(100)]
        storage.remove(*stuck)
        db.session.execute(text("UPDATE datasets SET keep_until = now() - interval '1 second'"))
        db.session.commit()
        store, remove = gateways().store, gateways().store.remove

        def refuses(key: str) -> None:
            if key in stuck:
                raise PermissionError
            remove(key)

        with monkeypatch.context() as broken:
            broken.setattr(store, "remove", refuses)
            reaper.remove_old()
            reaper.remove_old()
        assert not file.exists()
        assert set(db.session.scalars(select(Removal.store_key))) == set(stuck)
        reaper.remove_old()
        assert db.session.scalar(select(func.count()).select_from(Removal)) == 0


def test_a_round_that_breaks_keeps_no_other_back(
    app: APIFlask, owner: User, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks() -> int:
        raise KeyError

    with app.app_context():
        _, file = fetched(app, owner, tmp_path)
        db.session.execute(text("UPDATE datasets SET keep_until = now() - interval '1 second'"))
        db.session.commit()
        monkeypatch.setattr(reaper, "_PAST_RETENTION", (breaks, datasets.expire_old))
        reaper.remove_old()
        assert not file.exists()


def test_tasks_that_ended_long_ago_are_forgotten_unless_they_have_data(
    app: APIFlask, owner: User, tmp_path: Path
) -> None:
    with app.app_context():
        fetched(app, owner, tmp_path)
        old, new = (tasks.submit(owner, "health_check", {}).uuid for _ in range(2))
        for uuid in (old, new):
            tasks.cancel(owner, uuid)
        db.session.execute(text("ALTER TABLE tasks DISABLE TRIGGER USER"))
        then = "now() - CAST(:age AS interval)"
        aged = f"UPDATE tasks SET finished_at = {then}, created_at = {then} WHERE finished_at IS NOT NULL"
        db.session.execute(text(aged), {"age": "400 days"})
        db.session.execute(text(f"{aged} AND uuid = :uuid"), {"age": "300 days", "uuid": new})
        db.session.execute(text("ALTER TABLE tasks ENABLE TRIGGER USER"))
        db.session.commit()
        assert tasks.forget_old() == 1
        db.session.commit()
        assert {copy.kind for copy in tasks.list_for(owner).items} == {"fetch", "health_check"}
        assert len(tasks.list_for(owner).items) == 2


def test_old_tasks_that_have_data_do_not_keep_younger_ones_from_being_forgotten(
    app: APIFlask, owner: User, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "FORGOTTEN_AT_ONCE", 2)
    with app.app_context():
        for _ in range(5):
            fetched(app, owner, tmp_path)
        for _ in range(3):
            tasks.cancel(owner, tasks.submit(owner, "health_check", {}).uuid)
        live = tasks.submit(owner, "health_check", {}).uuid
        db.session.execute(text("ALTER TABLE tasks DISABLE TRIGGER USER"))
        aged = "finished_at = finished_at - interval '400 days', created_at = created_at - interval '400 days'"
        db.session.execute(text(f"UPDATE tasks SET {aged}"))
        db.session.execute(text("ALTER TABLE tasks ENABLE TRIGGER USER"))
        young = tasks.cancel(owner, tasks.submit(owner, "health_check", {}).uuid).uuid
        db.session.commit()
        forgotten = [tasks.forget_old() for _ in range(3)]
        assert sum(forgotten) == 3 and forgotten[-1] == 0
        left = db.session.execute(select(Task.kind, Task.uuid).order_by(Task.id)).all()
        assert [row.kind for row in left] == ["fetch"] * 5 + ["health_check"] * 2
        assert [row.uuid for row in left[5:]] == [live, young]
