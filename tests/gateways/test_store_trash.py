"""What both stores promise of files that go: only ours are touched, and they lie in the trash first."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import obstore
import pytest

from portal.gateways import store_keys
from portal.gateways.s3_store import S3Store
from portal.gateways.store import FolderStore, Store
from portal.gateways.store_cache import StoreCache
from tests.gateways.s3_server import S3Server, running
from tests.store import age, files

UUID = "0b5c9f0e-8a3c-4f1e-9a55-3d2f1c0b9a77"
OURS = [
    f"datasets/{UUID}/1.parquet",
    f"datasets/{UUID}/12.parquet",
    f"exports/{UUID}/1",
    f"uploads/{UUID}",
    f"probes/{UUID}/1",
    f"probes/{UUID}-1",
]
STRANGE = [
    "readme.txt",
    "one.parquet",
    "datasets/summary.parquet",
    f"datasets/{UUID.upper()}/1.parquet",
    f"datasets/{UUID}x/1.parquet",
    f"datasets/{UUID[:-1]}/1.parquet",
    f"photos/{UUID}/1.jpg",
    f"own/datasets/{UUID}/1.parquet",
    f"{UUID}/1.parquet",
    "datasets",
    f"trash/{UUID}/1",
    f"trash/yesterday/datasets/{UUID}/1.parquet",
    f"datasets/{UUID}/../../readme.txt",
    f"datasets/{UUID}/..",
    f"datasets/{UUID}/",
    f"datasets/{UUID}//1",
    f"/datasets/{UUID}/1.parquet",
    f"datasets/{UUID}/1.parquet\n/../x",
    "data-station.json",
    "",
]


class Shelf(NamedTuple):
    """A store, and the folder in which its files lie."""

    store: Store
    folder: Path


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with running(tmp_path_factory.mktemp("s3")) as started:
        yield started


@pytest.fixture(params=["folder", "s3"])
def shelf(request: pytest.FixtureRequest, tmp_path: Path) -> Shelf:
    if request.param == "folder":
        (tmp_path / "store").mkdir()
        return Shelf(FolderStore(tmp_path / "store"), tmp_path / "store")
    server, prefix = request.getfixturevalue("server"), tmp_path.name
    store = S3Store(server.account(prefix=prefix), StoreCache(tmp_path / "cache", 2**30))
    return Shelf(store, server.folder / prefix)


def put(shelf: Shelf, key: str, content: bytes = b"x") -> None:
    source = shelf.folder.parent / "source"
    source.parent.mkdir(exist_ok=True)
    source.write_bytes(content)
    shelf.store.put(source, key)


@pytest.mark.parametrize("key", OURS)
def test_what_goes_lies_in_the_trash_and_can_be_put_back(shelf: Shelf, key: str) -> None:
    put(shelf, key, b"whole")
    if isinstance(shelf.store, FolderStore):
        age(shelf.folder / key, 9 * 86400)
    assert [stored.key for stored in shelf.store.listed()] == [key]
    shelf.store.remove(key)
    shelf.store.remove(key)
    (trashed,) = shelf.store.trashed()
    assert list(shelf.store.listed()) == [] and store_keys.before_trash(trashed.key) == key
    assert datetime.now(UTC) - trashed.modified < timedelta(minutes=1)  # since it was removed
    assert files(shelf.folder) == {trashed.key: b"whole"}
    assert shelf.store.put_back(trashed.key) and files(shelf.folder) == {key: b"whole"}
    shelf.store.remove(key)
    (trashed,) = shelf.store.trashed()
    shelf.store.delete(trashed.key)
    assert files(shelf.folder) == {}


def test_two_removals_do_not_meet_in_the_trash_nor_on_the_way_back(shelf: Shelf) -> None:
    for content in (b"first", b"second"):
        put(shelf, OURS[0], content)
        shelf.store.remove(OURS[0])
    assert sorted(files(shelf.folder).values()) == [b"first", b"second"]
    one, other = shelf.store.trashed()
    assert shelf.store.put_back(one.key) and not shelf.store.put_back(other.key)
    assert len(files(shelf.folder)) == 2


@pytest.mark.parametrize("key", STRANGE)
def test_what_is_not_ours_cannot_be_touched(shelf: Shelf, key: str) -> None:
    for ask in (shelf.store.delete, shelf.store.remove):
        with pytest.raises(ValueError, match="no file of ours"):
            ask(key)
    assert shelf.store.put_back(key) is False


def test_what_is_not_ours_is_not_seen(shelf: Shelf) -> None:
    for key in ("readme.txt", "datasets/summary.parquet", f"photos/{UUID}/1.jpg", f"trash/x/datasets/{UUID}/1.parquet"):
        put(shelf, key)
    put(shelf, OURS[0])
    assert [stored.key for stored in shelf.store.listed()] == [OURS[0]]
    assert list(shelf.store.trashed()) == []


def test_it_keeps_what_is_written_of_whose_it_is(shelf: Shelf) -> None:
    assert shelf.store.mark() is None
    for content in (b"one", b"two"):
        shelf.store.set_mark(content)
        assert shelf.store.mark() == content
    assert files(shelf.folder) == {"data-station.json": b"two"}
    assert list(shelf.store.listed()) == []


def test_only_a_bucket_without_a_prefix_has_strangers(server: S3Server, tmp_path: Path) -> None:
    cache = StoreCache(tmp_path / "cache", 2**30)
    bare, own = S3Store(server.account(), cache), S3Store(server.account(prefix="mine"), cache)
    for path in server.folder.iterdir():
        assert path.name != "readme.txt"
    put(Shelf(own, server.folder / "mine"), OURS[0])
    put(Shelf(own, server.folder / "mine"), "readme.txt")
    assert own.stranger() is None
    assert bare.stranger() is not None  # the other portal's, to begin with


def test_ours_alone_are_no_strangers(tmp_path: Path) -> None:
    with running(tmp_path / "s3") as server:
        bare = S3Store(server.account(), StoreCache(tmp_path / "cache", 2**30))
        for key in OURS:
            put(Shelf(bare, server.folder), key)
        bare.free_bytes()
        bare.set_mark(b"x")
        bare.remove(OURS[0])
        assert bare.stranger() is None
        put(Shelf(bare, server.folder), "another/app.bin")
        assert bare.stranger() == "another/app.bin"


def test_a_file_that_was_never_finished_goes_by_its_age(tmp_path: Path) -> None:
    store, folder = FolderStore(tmp_path), tmp_path
    begun = [f"datasets/{UUID}/1.part", f"exports/{UUID}/1.part", f"uploads/{UUID}.part"]
    others = ["readme.part", "datasets/summary.part", f"photos/{UUID}/1.part"]
    for name in [*begun, *others]:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")
        age(folder / name, 86400)
    put(Shelf(store, folder), OURS[1])
    age(folder / OURS[1], 86400)
    assert store.clear_parts(datetime.now(UTC) - timedelta(days=2)) == 0
    assert store.clear_parts(datetime.now(UTC) - timedelta(hours=1)) == 3
    assert sorted(files(folder)) == sorted([*others, OURS[1]])


def test_parts_of_uploads_that_were_never_finished_go_by_their_age(tmp_path: Path) -> None:
    with running(tmp_path / "s3") as server:
        store = S3Store(server.account(prefix="own"), StoreCache(tmp_path / "cache", 2**30))
        kept = []  # a writer that is let go of ends its upload
        for key in (f"datasets/{UUID}/1.parquet", "another/app.bin"):
            writer = obstore.open_writer(store._bucket, key, buffer_size=5 * 1024**2)
            writer.write(b"x" * 11 * 1024**2)
            kept.append(writer)
        soon = datetime.now(UTC) + timedelta(minutes=1)
        assert store.clear_parts(datetime.now(UTC) - timedelta(days=1)) == 0
        assert store.clear_parts(soon) == 1
        assert store.clear_parts(soon) == 0
        assert [name for name in files(server.folder) if not name.startswith("own/another/")] == []


def test_a_service_without_that_call_loses_nothing_else(server: S3Server, tmp_path: Path) -> None:
    store = S3Store(server.account(secret="another"), StoreCache(tmp_path / "cache", 2**30))
    assert store.clear_parts(datetime.now(UTC)) == 0
