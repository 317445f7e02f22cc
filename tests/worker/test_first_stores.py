"""A first start ties store and database by itself, and so does an update of 0.1; whatever else there is waits."""

from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest
from apiflask import APIFlask
from sqlalchemy import select, text

from portal.errors import Unavailable
from portal.extensions import db
from portal.gateways.s3_store import S3Store
from portal.gateways.store_cache import StoreCache
from portal.models import StoreIdentity, Upload
from portal.services import store_identity, uploads
from portal.worker.reaper import Reaper
from tests.gateways.s3_server import running
from tests.store import House


@pytest.fixture
def older(house: House) -> House:
    """As 0.1 leaves it: files, a row for each, and no word of whose they are."""
    for _ in range(5):
        house.dataset()
    return house


def started(house: House) -> Reaper:
    reaper = Reaper(house.app)
    reaper.round()
    return reaper


def use(app: APIFlask, store: S3Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(app.extensions, "gateways", replace(app.extensions["gateways"], store=store))


def test_both_are_new(house: House) -> None:
    assert started(house).store.is_ours and house.problems() == []
    mark = store_identity.mark_in(house.store.mark())
    record = db.session.scalars(select(StoreIdentity)).one()
    assert mark and (mark.uuid, mark.generation) == (record.uuid, record.generation)
    db.session.rollback()
    again = started(house)
    record = db.session.scalars(select(StoreIdentity).execution_options(populate_existing=True)).one()
    assert again.store.is_ours and record.generation == mark.generation + 1


def test_a_first_store_that_begins_in_two_places_is_one(house: House) -> None:
    one, other = Reaper(house.app), Reaper(house.app)
    for reaper in (one, other, one, other):
        reaper.round()
    assert one.store.is_ours and other.store.is_ours


def test_one_who_was_killed_before_the_mark_was_written_is_no_trouble(older: House) -> None:
    mark = store_identity.tie(store_identity.look())
    db.session.commit()
    assert mark and older.store.mark() is None
    assert started(older).store.is_ours and older.problems() == []
    found = store_identity.mark_in(older.store.mark())
    assert found and found.uuid == mark.uuid


def test_an_installation_of_before_goes_on_with_what_it_has(older: House) -> None:
    older.put(f"datasets/{db.session.scalars(text('SELECT uuid FROM tasks LIMIT 1')).one()}/7.parquet")
    db.session.rollback()
    before = older.files()
    assert started(older).store.is_ours
    assert older.files() == before and older.problems() == []


@pytest.mark.parametrize(
    "wrong",
    ["DELETE FROM datasets; DELETE FROM tasks", "DELETE FROM datasets WHERE id = (SELECT max(id) FROM datasets)"],
)
def test_files_that_the_database_does_not_know_keep_it_from_that(older: House, wrong: str) -> None:
    db.session.execute(text(wrong))
    db.session.execute(text("DELETE FROM tasks WHERE id NOT IN (SELECT task_id FROM datasets)"))
    db.session.commit()
    before = older.files()
    reaper = older.live_on()
    assert reaper.store.is_foreign and reaper.store.reason == "unmarked"
    assert older.files() == before and older.store.mark() is None
    shown = older.say("show").output
    assert "Files: 5" in shown
    assert older.say("adopt").exit_code == 0
    reaper.round()
    assert reaper.store.is_ours


def test_so_do_rows_whose_files_are_elsewhere(older: House) -> None:
    """The folder that holds them is not mounted, say."""
    for stored in list(older.store.listed()):
        older.store.delete(stored.key)
    reaper = older.live_on()
    assert reaper.store.is_foreign and older.store.mark() is None


def test_a_store_that_is_gone_may_be_made_anew_while_there_is_nothing_to_lose(house: House) -> None:
    assert started(house).store.is_ours
    before = db.session.scalars(select(StoreIdentity.uuid)).one()
    db.session.rollback()
    (house.folder / "data-station.json").unlink()
    if isinstance(house.store, S3Store):
        pytest.skip("the server remembers what was there")
    assert started(house).store.is_ours
    assert db.session.scalars(select(StoreIdentity.uuid)).one() != before


def test_an_upload_is_refused_while_it_is_foreign(older: House, tmp_path: Path) -> None:
    older.store.set_mark(store_identity.Mark(uuid4(), 3).content())
    file = tmp_path / "sent.csv"
    file.write_bytes(b"a\n1\n")
    before = older.files()
    with file.open("rb") as content, pytest.raises(Unavailable, match="store_foreign"):
        uploads.keep(older.owner, "sent.csv", uploads.measured(content))
    db.session.rollback()
    assert older.files() == before and db.session.scalars(select(Upload)).all() == []


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"\xff", b'{"store": "x", "generation": 1}', b"null"])
def test_a_mark_that_cannot_be_read_is_anothers(older: House, content: bytes) -> None:
    older.store.set_mark(content)
    assert started(older).store.reason == "other"
    assert older.store.mark() == content


def test_a_bucket_that_others_use_needs_a_prefix(
    app: APIFlask, tmp_path: Path, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(tmp_path / "shared") as server:
        bare = S3Store(server.account(), StoreCache(tmp_path / "cache", 2**30))
        shared = House(app, bare, server.folder, house.owner)
        use(app, bare, monkeypatch)
        shared.put("another/app.bin")
        before = shared.files()
        reaper = shared.live_on()
        assert reaper.store.reason == "shared" and shared.files() == before and bare.mark() is None
        answer = shared.say("adopt")
        assert (answer.exit_code, "another/app.bin" in answer.output, "S3_PREFIX" in answer.output) == (1, True, True)
        assert shared.files() == before and bare.mark() is None
        use(app, S3Store(server.account(prefix="own"), StoreCache(tmp_path / "c", 2**30)), monkeypatch)
        assert shared.say("adopt").exit_code == 0
        assert started(shared).store.is_ours
