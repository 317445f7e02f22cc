"""The store in a folder: a file is there whole or not at all, whatever the disk says."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from portal.errors import Fault, Stopped
from portal.gateways.store import PIECE_BYTES, FolderStore

CONTENT = b"x" * (3 * PIECE_BYTES)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "work" / "data"
    path.parent.mkdir()
    path.write_bytes(CONTENT)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def store(folder: Path) -> FolderStore:
    return FolderStore(folder)


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """The work folder is on another file system."""
    rename = Path.rename

    def across(self: Path, target: Any) -> Path:
        if "work" in self.parts:
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", across)


def files(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.is_file()]


def full_disk(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fail)


def test_a_file_is_taken_in(store: FolderStore, folder: Path, source: Path) -> None:
    store.put(source, "a/1.parquet")
    with store.opened("a/1.parquet") as path:
        assert path.read_bytes() == CONTENT
    assert (files(folder), source.exists()) == (["1.parquet"], False)


def test_one_from_another_file_system_too(store: FolderStore, folder: Path, source: Path, elsewhere: None) -> None:
    store.put(source, "a/1.parquet")
    assert (folder / "a/1.parquet").read_bytes() == CONTENT


@pytest.mark.usefixtures("elsewhere")
def test_copying_can_be_stopped_between_pieces(store: FolderStore, folder: Path, source: Path) -> None:
    calls = []

    def check() -> None:
        calls.append(files(folder))
        if len(calls) == 2:
            raise Stopped

    with pytest.raises(Stopped):
        store.put(source, "a/1.parquet", check)
    assert (calls, files(folder)) == ([["1.part"], ["1.part"]], [])


@pytest.mark.parametrize(
    ("number", "code"),
    [(errno.ENOSPC, "disk_full"), (errno.EDQUOT, "disk_full"), (errno.EIO, "storage_failed")],
)
@pytest.mark.parametrize("where", ["here", "elsewhere"])
def test_what_a_full_disk_leaves_is_nothing(
    store: FolderStore,
    folder: Path,
    source: Path,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    code: str,
    where: str,
) -> None:
    if where == "elsewhere":
        request.getfixturevalue("elsewhere")
    full_disk(monkeypatch, number)
    with pytest.raises(Fault) as raised:
        store.put(source, "a/1.parquet")
    assert (raised.value.code, raised.value.passing, files(folder)) == (code, True, [])


def test_its_free_space_is_found_out_by_writing(store: FolderStore, folder: Path) -> None:
    assert store.free_bytes() > 0
    assert files(folder) == []
    folder.rmdir()
    folder.write_text("no folder")
    with pytest.raises(Fault, match="storage_failed"):
        store.free_bytes()


def test_a_key_leads_nowhere_else(store: FolderStore, source: Path) -> None:
    with pytest.raises(ValueError, match="out of the store"):
        store.put(source, "../escape")
