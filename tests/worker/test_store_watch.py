"""The broom: a store that may be another database's loses no file, whatever the clock says; an orphan of ours goes.

Each on a folder and on S3. Time is turned, not waited for.
"""

from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import func, select, text

from portal import limits
from portal.extensions import db
from portal.gateways.s3_store import S3Store
from portal.models import Dataset, Removal, Task
from portal.services import datasets, processes, storage, tasks
from portal.worker import claimed as claiming
from portal.worker.dispatcher import Dispatcher
from portal.worker.reaper import Reaper
from tests.store import House, let_an_hour_pass

URL = "http://example.com/a.csv"
FILES = 30
STRANGER = "holiday/photo.jpg"
WEEKS = timedelta(days=15)


@pytest.fixture
def lived_in(house: House) -> House:
    """It has been working for hours, and somebody else's file lies there, too."""
    house.live_on(1)
    for _ in range(FILES):
        house.dataset()
    house.put(STRANGER)
    house.live_on()
    assert house.problems() == [] and len(house.files()) == FILES + 1
    house.turn(timedelta(hours=2))
    return house


def another_database() -> None:
    """One that has a store of its own, and knows nothing of these files."""
    db.session.execute(text("DELETE FROM datasets; DELETE FROM tasks"))
    db.session.execute(text("UPDATE store_identities SET uuid = gen_random_uuid()"))
    db.session.commit()


def empty_database() -> None:
    db.session.execute(text("DELETE FROM datasets; DELETE FROM tasks; DELETE FROM store_identities"))
    db.session.commit()


def copied_database() -> None:
    """A dump of it, restored into another."""
    db.session.execute(text("UPDATE store_identities SET cluster = '7123456789012345678:16384'"))
    db.session.commit()


def restored_database() -> None:
    """Into the same one, a dump of before the last files came."""
    db.session.execute(text("DELETE FROM datasets WHERE id > (SELECT min(id) + 3 FROM datasets)"))
    db.session.execute(text("DELETE FROM tasks WHERE id > (SELECT max(task_id) FROM datasets)"))
    db.session.execute(text("UPDATE store_identities SET generation = generation - 1"))
    db.session.commit()


WRONG = [another_database, empty_database, copied_database, restored_database]


@pytest.mark.parametrize("go_wrong", WRONG)
def test_a_store_that_may_be_anothers_loses_nothing(lived_in: House, go_wrong: Any) -> None:
    before = lived_in.files()
    go_wrong()
    storage.remove(*list(before)[:5])
    db.session.commit()
    reaper = lived_in.live_on()
    assert lived_in.files() == before
    Dispatcher(lived_in.app, reaper.store).look()
    assert reaper.store.is_foreign and lived_in.problems() == ["store_foreign"]
    assert lived_in.say("sweep").exit_code == 1 and lived_in.say("empty-trash", "--yes").exit_code == 1
    assert lived_in.files() == before


@pytest.mark.parametrize("go_wrong", WRONG)
def test_no_task_starts_until_it_was_adopted(lived_in: House, go_wrong: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    go_wrong()
    tasks.submit(lived_in.owner, "health_check", {})
    db.session.commit()
    reaper = lived_in.live_on(1)
    dispatcher = Dispatcher(lived_in.app, reaper.store)
    processes.seen("w1", "worker", 50)
    db.session.commit()
    waiting = select(Task.uuid).where(Task.status == "pending")
    before = set(db.session.scalars(waiting))
    dispatcher.look()
    assert before and set(db.session.scalars(waiting)) == before
    with claiming.claimed(str(before.pop()), worker="w1") as run:
        assert run is None
    assert lived_in.problems() == ["store_foreign"]
    assert lived_in.say("adopt").exit_code == 0
    reaper.round()
    dispatcher.look()
    assert not set(db.session.scalars(waiting))
    assert reaper.store.is_ours


def test_a_store_that_is_not_the_one_loses_nothing(lived_in: House, tmp_path: Path) -> None:
    """`STORE_PATH` or the prefix names another portal's, or one from before there were marks."""
    (lived_in.folder / "data-station.json").unlink(missing_ok=True)
    db.session.execute(text("UPDATE store_identities SET uuid = gen_random_uuid()"))
    db.session.execute(text("DELETE FROM datasets WHERE id > (SELECT min(id) + 3 FROM datasets)"))
    db.session.commit()
    if isinstance(lived_in.store, S3Store):  # the server remembers what was there
        lived_in.store.set_mark(b"{}")
    before = lived_in.files()
    assert lived_in.live_on().store.is_foreign
    assert lived_in.files() == before and lived_in.problems() == ["store_foreign"]


def test_after_the_adoption_an_orphan_goes_to_the_trash_and_after_a_week_out_of_it(lived_in: House) -> None:
    before = set(lived_in.files())
    restored_database()
    lived_in.live_on()
    answer = lived_in.say("adopt")
    assert (answer.exit_code, set(lived_in.files())) == (0, before), answer.output
    # Most files belong to no row now: that is no orphan that somebody left.
    reaper = lived_in.live_on()
    assert set(lived_in.files()) == before and lived_in.problems() == ["store_orphans"]
    assert "26 of 30" in lived_in.say("sweep", "--dry-run").output
    lived_in.clock = timedelta(hours=2)  # since when a file lies in the trash, the store says by itself
    assert "Moved to the trash: 26" in lived_in.say("sweep").output
    assert len(lived_in.files()) == FILES + 1
    assert {key.startswith("trash/") for key in set(lived_in.files()) - before} == {True}
    reaper._tidied = float("-inf")
    reaper.round()
    assert lived_in.problems() == [] and len(lived_in.files()) == FILES + 1
    lived_in.turn(timedelta(days=6, hours=18))
    lived_in.live_on(1)
    assert len(lived_in.files()) == FILES + 1
    lived_in.turn(timedelta(hours=8))
    lived_in.live_on(1)
    assert set(lived_in.files()) < before and len(lived_in.files()) == 5
    assert STRANGER in lived_in.files()


def test_an_orphan_of_ones_own_goes(lived_in: House) -> None:
    before = set(lived_in.files())
    orphans = [f"datasets/{uuid4()}/1.parquet", f"uploads/{uuid4()}", f"exports/{uuid4()}/2", f"probes/{uuid4()}/1"]
    for key in orphans:
        lived_in.put(key)
    reaper = lived_in.live_on(2)
    assert before < set(lived_in.files()) and not set(orphans) & set(lived_in.files())
    assert len(lived_in.files()) == len(before) + 4
    lived_in.turn(timedelta(days=8))
    reaper._tidied = float("-inf")
    reaper.round()
    assert set(lived_in.files()) == before


def test_what_a_running_task_or_somebody_just_now_made_is_no_orphan(lived_in: House) -> None:
    running = tasks.submit(lived_in.owner, "health_check", {}).uuid
    db.session.commit()
    lived_in.put(f"datasets/{running}/1.parquet")
    lived_in.live_on()
    assert f"datasets/{running}/1.parquet" in lived_in.files()
    lived_in.clock = timedelta()
    lived_in.put(young := f"uploads/{uuid4()}")
    reaper = Reaper(lived_in.app)
    reaper.round()
    let_an_hour_pass()
    reaper.round()
    assert young in lived_in.files()


@pytest.mark.parametrize(("count", "goes"), [(20, True), (21, False)])
def test_so_many_at_once_stop_it(lived_in: House, count: int, goes: bool) -> None:
    for _ in range(count):
        lived_in.put(f"uploads/{uuid4()}")
    lived_in.live_on()
    assert (len(list(lived_in.store.listed())) == FILES) is goes
    assert lived_in.problems() == ([] if goes else ["store_orphans"])


def test_so_few_of_many_do_not(lived_in: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "ORPHANS_SHARE", 0.5)
    for _ in range(25):
        lived_in.put(f"uploads/{uuid4()}")
    lived_in.live_on()
    assert len(list(lived_in.store.listed())) == FILES and lived_in.problems() == []


def test_nothing_is_tidied_in_the_first_hour_of_a_start_nor_of_another_schema(lived_in: House) -> None:
    gone = lived_in.dataset()
    db.session.execute(
        text("UPDATE datasets SET keep_until = now() - interval '1 day' WHERE store_key = :k"), {"k": gone}
    )
    lived_in.put(f"uploads/{uuid4()}")
    db.session.commit()
    lived_in.turn(timedelta(hours=2))
    before, rows = lived_in.files(), select(func.count()).select_from(Dataset)
    reaper = Reaper(lived_in.app)
    for _ in range(3):
        reaper.round()
    assert lived_in.files() == before and db.session.scalar(rows) == FILES + 1
    let_an_hour_pass()
    db.session.execute(text("UPDATE store_identities SET schema = '0007'"))
    db.session.commit()
    reaper.store._looked = float("-inf")
    for _ in range(3):
        reaper.round()
    assert lived_in.files() == before and db.session.scalar(rows) == FILES + 1
    let_an_hour_pass()
    reaper.round()
    assert db.session.scalar(rows) == FILES and len(list(lived_in.store.listed())) == FILES


def test_a_file_that_a_row_names_stays_whatever_is_to_be_removed(lived_in: House) -> None:
    before = lived_in.files()
    storage.remove(*before)
    db.session.commit()
    lived_in.live_on()
    assert lived_in.files() == before
    assert db.session.scalar(select(func.count()).select_from(Removal)) == 0


def test_what_a_restored_database_names_comes_out_of_the_trash(lived_in: House) -> None:
    before = lived_in.files()
    db.session.execute(text("CREATE TABLE dump AS SELECT * FROM datasets"))
    for dataset in db.session.scalars(select(Dataset).limit(4)).all():
        datasets.delete(lived_in.owner, dataset.uuid)
    db.session.commit()
    lived_in.live_on()
    assert len(list(lived_in.store.trashed())) == 4
    lost = "SELECT * FROM dump WHERE id NOT IN (SELECT id FROM datasets)"
    db.session.execute(text(f"INSERT INTO datasets OVERRIDING SYSTEM VALUE {lost}; DROP TABLE dump"))
    db.session.execute(text("UPDATE store_identities SET generation = generation - 1"))
    db.session.commit()
    lived_in.live_on()
    assert "because rows name them: 4" in lived_in.say("adopt").output
    assert lived_in.files() == before
