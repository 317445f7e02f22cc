"""Copies that a machine keeps of files that lie far away: checked when made, the least used go first."""

import fcntl
import hashlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from portal.errors import Fault
from portal.gateways.store import check_hash, fault_of

_LOCK = ".lock"
_OLD_SECONDS = 86400


class StoreCache:
    """At most about `limit` bytes in `folder`, which processes of one machine share. A copy in use is never removed."""

    def __init__(self, folder: Path, limit: int) -> None:
        self._folder, self._limit = folder, limit

    def _path(self, key: str) -> Path:
        return self._folder / hashlib.sha256(key.encode()).hexdigest()

    @contextmanager
    def opened(
        self, key: str, sha256: str | None, fetch: Callable[[], Iterator[bytes]], *, whole: bool = False
    ) -> Iterator[Path]:
        """The copy, made of what `fetch` brings if there is none. Raises `Fault('file_damaged')`."""
        path = self._path(key)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with _locked(path.with_suffix(_LOCK)) as lock:
                if not path.exists():
                    fcntl.flock(lock, fcntl.LOCK_EX)  # one makes it, the others wait
                    if not path.exists():
                        self._make(path, sha256, fetch)
                    fcntl.flock(lock, fcntl.LOCK_SH)
                elif whole and sha256:
                    check_hash(path, sha256)
                os.utime(path)
                yield path
        except OSError as error:
            raise fault_of(error) from error

    def forget(self, key: str) -> None:
        self._path(key).unlink(missing_ok=True)

    def _make(self, path: Path, sha256: str | None, fetch: Callable[[], Iterator[bytes]]) -> None:
        part, digest = path.with_suffix(".part"), hashlib.sha256()
        try:
            with part.open("wb") as file:
                for piece in fetch():
                    file.write(piece)
                    digest.update(piece)
            if sha256 and digest.hexdigest() != sha256:
                raise Fault("file_damaged")
            self._make_room(part.stat().st_size)
            part.rename(path)
        finally:
            part.unlink(missing_ok=True)

    def _tidy(self) -> None:
        """Remove what was begun a day ago and never finished, and locks of what is gone."""
        for lock_path in self._folder.glob(f"*{_LOCK}"):
            with suppress(FileNotFoundError, BlockingIOError):  # another tidies, somebody uses it
                if lock_path.with_suffix("").exists() or not _is_old(lock_path):
                    continue
                with lock_path.open("a") as lock:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    if _is_old(lock_path):
                        lock_path.with_suffix(".part").unlink(missing_ok=True)
                        lock_path.unlink()

    def _make_room(self, coming: int) -> None:
        self._tidy()
        found = []
        for path in self._folder.iterdir():
            with suppress(FileNotFoundError):
                if not path.suffix:
                    found.append((path.stat().st_atime, path.stat().st_size, path))
        over = sum(size for _, size, _ in found) + coming - self._limit
        for _, size, path in sorted(found):
            if over <= 0:
                return
            with path.with_suffix(_LOCK).open("a") as lock:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:  # somebody reads it
                    continue
                path.unlink(missing_ok=True)
                over -= size


@contextmanager
def _locked(path: Path) -> Iterator[IO[str]]:
    """The lock, shared, of this name: the one that was opened may have been tidied away before it was had."""
    while True:
        with path.open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH)
            if not path.exists() or not os.path.samestat(os.fstat(lock.fileno()), path.stat()):
                continue
            os.utime(lock.fileno())  # in use: it is not old
            yield lock
            return


def _is_old(path: Path) -> bool:
    return time.time() - path.stat().st_mtime > _OLD_SECONDS
