"""Where files of datasets live."""

import errno
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol

from portal.errors import Fault
from portal.gateways import store_keys

PIECE_BYTES = 1024 * 1024
_PART = ".part"  # while it is written


def go_on() -> None: ...


class Stored(NamedTuple):
    """A file of the store, and when it was last written (UTC)."""

    key: str
    modified: datetime


class Store(Protocol):
    def put(self, source: Path, key: str, check: Callable[[], None] = go_on) -> None:
        """Take the file in under the key; it appears whole or not at all.

        `check` is called between pieces: what it raises ends this. Raises `Fault('disk_full')` or
        `Fault('storage_failed')`, both passing.
        """

    def delete(self, key: str) -> None:
        """Erase the file, if there is one, for good. Raises `ValueError` for one that is not ours."""

    def remove(self, key: str) -> None:
        """Move the file, if there is one, to the trash. Raises `ValueError` for one that is not ours."""

    def put_back(self, key: str) -> bool:
        """Move a file of the trash to where it lay, unless there is one again; whether that was done."""

    def opened(self, key: str, sha256: str | None = None, *, whole: bool = False) -> AbstractContextManager[Path]:
        """The file as a path on this machine, while inside.

        What has to be copied here is compared with `sha256`, if that is given, and with `whole` what lies here, too.
        Raises `Fault('file_missing')`, `Fault('file_damaged')`.
        """

    def stream(self, key: str, start: int, end: int) -> Iterator[bytes]:
        """Bytes from `start` up to `end`, in pieces. Raises `Fault('file_missing')` before the first of them."""

    def listed(self) -> Iterator[Stored]:
        """All files of ours that are in their place, in any order."""

    def trashed(self) -> Iterator[Stored]:
        """All files of the trash, each with the moment at which it was put there."""

    def stranger(self) -> str | None:
        """The key of a file that somebody else put there; None, too, where that does no harm."""

    def clear_parts(self, before: datetime) -> int:
        """Remove what was begun to be written before then and never finished; how many."""

    def mark(self) -> bytes | None:
        """What was written there of whose store it is; None if nothing was."""

    def set_mark(self, content: bytes) -> None:
        """Raises as `put` does."""

    def free_bytes(self) -> int | None:
        """How much can still be put there, None where there is no limit; found out by writing a little.

        Raises as `put` does.
        """


class FolderStore:
    """A folder on this machine, or one that several share."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def _path(self, key: str) -> Path:
        path = (self._folder / key).resolve()
        if not path.is_relative_to(self._folder):
            raise ValueError("key leads out of the store")
        return path

    def put(self, source: Path, key: str, check: Callable[[], None] = go_on) -> None:
        path = self._path(key)
        part = path.with_suffix(_PART)
        try:
            try:
                _move(source, part, check)
            except FileNotFoundError:  # no such folder, or somebody has just removed it: it was empty
                path.parent.mkdir(parents=True, exist_ok=True)
                _move(source, part, check)
            part.rename(path)
            _sync_folder(path.parent)
        except OSError as error:
            raise fault_of(error) from error
        finally:
            part.unlink(missing_ok=True)

    def delete(self, key: str) -> None:
        store_keys.may_touch(key)
        path = self._path(key)
        path.unlink(missing_ok=True)
        path.with_suffix(_PART).unlink(missing_ok=True)  # of one who was killed while it was written
        self._leave(path.parent)

    def remove(self, key: str) -> None:
        store_keys.may_touch(key)
        path, trash = self._path(key), self._path(store_keys.in_trash(key))
        if path.is_file():
            trash.parent.mkdir(parents=True)
            with suppress(FileNotFoundError):  # somebody else has just removed it
                path.rename(trash)
                os.utime(trash)
            self._leave(trash.parent)
        path.with_suffix(_PART).unlink(missing_ok=True)
        self._leave(path.parent)

    def put_back(self, key: str) -> bool:
        place = store_keys.before_trash(key)
        if place is None or (path := self._path(place)).exists():
            return False
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path(key).rename(path)
        self._leave(self._path(key).parent)
        return True

    def _leave(self, folder: Path) -> None:
        """Remove the folder, and those it lies in but for the first, if they are empty."""
        with suppress(OSError):  # others are in it
            while folder.parent != self._folder:
                folder.rmdir()
                folder = folder.parent

    @contextmanager
    def opened(self, key: str, sha256: str | None = None, *, whole: bool = False) -> Iterator[Path]:
        path = self._path(key)
        if not path.is_file():
            raise Fault("file_missing")
        if whole and sha256:
            check_hash(path, sha256)
        yield path

    def stream(self, key: str, start: int, end: int) -> Iterator[bytes]:
        try:
            file = self._path(key).open("rb")
        except FileNotFoundError:
            raise Fault("file_missing") from None
        return _pieces(file, start, end)

    def listed(self) -> Iterator[Stored]:
        for kind in store_keys.KINDS:
            for stored in self._files(kind):
                if store_keys.is_own(stored.key) and not stored.key.endswith(_PART):
                    yield stored

    def trashed(self) -> Iterator[Stored]:
        return (stored for stored in self._files(store_keys.TRASH) if store_keys.before_trash(stored.key))

    def _files(self, folder: str) -> Iterator[Stored]:
        for found, _, names in os.walk(self._folder / folder):
            for path in (Path(found, name) for name in names):
                with suppress(FileNotFoundError):  # deleted while we look
                    if path.is_file() and not path.is_symlink():
                        modified = datetime.fromtimestamp(path.stat().st_mtime, UTC)
                        yield Stored(path.relative_to(self._folder).as_posix(), modified)

    def stranger(self) -> None:
        """A disk has files of its own, such as `lost+found`."""

    def clear_parts(self, before: datetime) -> int:
        cleared = 0
        for stored in (stored for kind in store_keys.KINDS for stored in self._files(kind)):
            key, is_part = stored.key.removesuffix(_PART), stored.key.endswith(_PART)
            if is_part and store_keys.is_own(key) and stored.modified < before:
                path = self._path(stored.key)
                path.unlink(missing_ok=True)
                self._leave(path.parent)
                cleared += 1
        return cleared

    def mark(self) -> bytes | None:
        try:
            return (self._folder / store_keys.MARK).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise fault_of(error) from error

    def set_mark(self, content: bytes) -> None:
        path = self._folder / store_keys.MARK
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=self._folder, prefix=f"{path.name}.", delete=False) as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(file.name).replace(path)
            _sync_folder(self._folder)
        except OSError as error:
            raise fault_of(error) from error

    def free_bytes(self) -> int:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self._folder) as file:  # it has no name: a crash leaves nothing
                file.write(b"x")
            return shutil.disk_usage(self._folder).free
        except OSError as error:
            raise fault_of(error) from error


def fault_of(error: OSError) -> Fault:
    """What to say of a file that could not be written."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return Fault("disk_full", passing=True)
    return Fault("storage_failed", passing=True, reason=error.strerror or "")


def check_hash(path: Path, sha256: str) -> None:
    """Raises `Fault('file_damaged')` unless the file has this hash."""
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
            raise Fault("file_damaged")


def _pieces(file: BinaryIO, start: int, end: int) -> Iterator[bytes]:
    with file:
        file.seek(start)
        while start < end and (piece := file.read(min(PIECE_BYTES, end - start))):
            start += len(piece)
            yield piece


def _move(source: Path, target: Path, check: Callable[[], None]) -> None:
    """Have the file at `target`, on the disk and not only in memory."""
    try:
        _name(source, target)
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.ENOENT) or not source.exists():
            raise
        with source.open("rb") as file, target.open("wb") as copy:
            _copy(file, copy, check)
    with target.open("rb") as file:
        check()
        os.fsync(file.fileno())
        check()


def _name(source: Path, target: Path) -> None:
    """Move the file, or give a name to one that has none, which is known by its descriptor."""
    if source.is_relative_to("/proc/self/fd"):
        target.unlink(missing_ok=True)
        # With a folder's descriptor, whatever it is, Python asks for linkat(2), which follows the symbolic link.
        os.link(source, target, src_dir_fd=0, follow_symlinks=True)
    else:
        source.rename(target)


def _sync_folder(folder: Path) -> None:
    """Have the names in it on the disk, too."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _copy(file: BinaryIO, copy: BinaryIO, check: Callable[[], None]) -> None:
    while piece := file.read(PIECE_BYTES):
        check()
        copy.write(piece)
