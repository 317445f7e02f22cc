"""The store on S3: the real protocol, and everything that can go wrong on the way."""

import fcntl
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from portal.errors import Fault, Stopped
from portal.gateways.s3_store import S3Store
from portal.gateways.store import PIECE_BYTES
from portal.gateways.store_cache import StoreCache
from tests.gateways.s3_server import S3Server, running
from tests.store import age

CONTENT = bytes(range(256)) * 100_000
KEY = "datasets/0b5c9f0e-8a3c-4f1e-9a55-3d2f1c0b9a77/1.parquet"
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with running(tmp_path_factory.mktemp("s3")) as started:
        yield started


def store_of(server: S3Server, folder: Path, limit: int = 2**40, **changed: Any) -> S3Store:
    return S3Store(server.account(**changed), StoreCache(folder / "cache", limit))


@pytest.fixture
def store(server: S3Server, tmp_path: Path) -> S3Store:
    return store_of(server, tmp_path)


def put(store: S3Store, folder: Path, key: str, content: bytes = CONTENT) -> None:
    source = folder / "source"
    source.write_bytes(content)
    store.put(source, key)
    assert not source.exists()


def test_there_and_back(server: S3Server, store: S3Store, tmp_path: Path) -> None:
    put(store, tmp_path, KEY)
    assert (server.folder / KEY).read_bytes() == CONTENT
    with store.opened(KEY, SHA256, whole=True) as path:
        assert path.read_bytes() == CONTENT
    assert b"".join(store.stream(KEY, 3, 7_000_003)) == CONTENT[3:7_000_003]
    assert list(store.stream(KEY, 5, 5)) == []
    assert KEY in {stored.key for stored in store.listed()}
    store.delete(KEY)
    store.delete(KEY)
    assert KEY not in {stored.key for stored in store.listed()}
    for look in (lambda: store.opened(KEY).__enter__(), lambda: list(store.stream("x", 0, 1))):
        with pytest.raises(Fault, match="file_missing"):
            look()


def test_it_can_be_written(store: S3Store) -> None:
    assert store.free_bytes() is None


def test_a_prefix_is_a_world_of_its_own(server: S3Server, store: S3Store, tmp_path: Path) -> None:
    own = store_of(server, tmp_path, prefix="own")
    put(own, tmp_path, KEY, b"x")
    assert {stored.key for stored in own.listed()} == {KEY}
    assert (server.folder / "own" / KEY).read_bytes() == b"x"


@pytest.mark.parametrize("wrong", [{"secret": "another-secret"}, {"key_id": "nobody"}, {"bucket": "elsewhere"}])
def test_wrong_keys_and_buckets(server: S3Server, tmp_path: Path, wrong: dict[str, Any]) -> None:
    store = store_of(server, tmp_path, **wrong)
    (tmp_path / "source").write_bytes(b"x")
    with pytest.raises(Fault) as caught:
        store.put(tmp_path / "source", "a")
    assert caught.value.code in ("storage_failed", "file_missing")
    assert "secret" not in str(caught.value.params)
    assert (tmp_path / "source").exists()


def test_who_is_stopped_leaves_nothing(server: S3Server, store: S3Store, tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(CONTENT)
    calls = []

    def check() -> None:
        calls.append(1)
        if len(calls) == 20:
            raise Stopped

    with pytest.raises(Stopped):
        store.put(tmp_path / "source", "stopped/1", check)
    assert not (server.folder / "stopped/1").exists() and (tmp_path / "source").exists()


def test_damage_is_noticed(server: S3Server, store: S3Store, tmp_path: Path) -> None:
    put(store, tmp_path, "damaged")
    with (server.folder / "damaged").open("r+b") as file:
        file.seek(1000)
        file.write(b"!")
    with pytest.raises(Fault, match="file_damaged"), store.opened("damaged", SHA256):
        pass
    assert [path.name for path in (tmp_path / "cache").iterdir() if not path.name.endswith(".lock")] == []


def test_the_cache_keeps_to_its_limit(server: S3Server, tmp_path: Path) -> None:
    store = store_of(server, tmp_path, limit=3 * PIECE_BYTES)
    for key in "abc":
        put(store, tmp_path, key, key.encode() * 2 * PIECE_BYTES)
    with store.opened("a") as kept:
        for key in "bc":
            with store.opened(key):
                pass
        assert kept.exists()  # somebody reads it
        sizes = [path.stat().st_size for path in (tmp_path / "cache").iterdir()]
        assert sum(sizes) <= 4 * PIECE_BYTES


def test_the_cache_tidies_by_age(server: S3Server, tmp_path: Path) -> None:
    store, cache = store_of(server, tmp_path), tmp_path / "cache"
    copies = {key: cache / hashlib.sha256(key.encode()).hexdigest() for key in ("old", "used", "new")}
    for key in copies:
        put(store, tmp_path, key, b"x")
        with store.opened(key):
            pass
    for key in ("old", "used"):
        copies[key].unlink()
        copies[key].with_suffix(".part").write_bytes(b"x")
        age(copies[key].with_suffix(".lock"), 2 * 86400)
    with copies["used"].with_suffix(".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        put(store, tmp_path, "another", b"x")
        with store.opened("another"):
            pass
    assert not copies["old"].with_suffix(".lock").exists() and not copies["old"].with_suffix(".part").exists()
    assert copies["used"].with_suffix(".lock").exists() and copies["used"].with_suffix(".part").exists()
    assert copies["new"].with_suffix(".lock").exists() and copies["new"].exists()
    with store.opened("old") as path:
        assert path.read_bytes() == b"x"


def test_memory_is_flat(store: S3Store, tmp_path: Path) -> None:
    put(store, tmp_path, "warm")
    source, before = tmp_path / "source", psutil.Process().memory_info().rss
    with source.open("wb") as file:
        file.truncate(300 * PIECE_BYTES)
    store.put(source, "large")
    read = sum(len(piece) for piece in store.stream("large", 0, 300 * PIECE_BYTES))
    assert read == 300 * PIECE_BYTES
    assert psutil.Process().memory_info().rss - before < 120 * PIECE_BYTES


def test_a_server_that_is_gone(tmp_path: Path) -> None:
    with running(tmp_path / "s3") as server:
        store = store_of(server, tmp_path, read_seconds=1.0, connect_seconds=0.5)
        put(store, tmp_path, "a", b"x")
        server.process.kill()
        server.process.wait()
        (tmp_path / "source").write_bytes(b"y")
        for ask in (
            lambda: store.put(tmp_path / "source", "b"),
            lambda: store.delete(KEY),
            lambda: store.remove(KEY),
            store.mark,
            lambda: list(store.stream("a", 0, 1)),
            lambda: list(store.listed()),
            store.free_bytes,
        ):
            with pytest.raises(Fault) as caught:
                ask()
            assert (caught.value.code, caught.value.passing) == ("storage_failed", True)
