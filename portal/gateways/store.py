"""Where files of datasets live."""

import os
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol

from portal.errors import Fault


class Store(Protocol):
    def put(self, source: Path, key: str) -> None:
        """Take the file in under the key; it appears whole or not at all. Raises `Fault('storage_failed')`, passing."""

    def delete(self, key: str) -> None:
        """Remove the file, if there is one."""

    def opened(self, key: str) -> AbstractContextManager[Path]:
        """The file as a path on this machine, while inside. Raises `Fault('file_missing')`."""


class FolderStore:
    """A folder on this machine, or one that several share."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def _path(self, key: str) -> Path:
        path = (self._folder / key).resolve()
        if not path.is_relative_to(self._folder):
            raise ValueError("key leads out of the store")
        return path

    def put(self, source: Path, key: str) -> None:
        path = self._path(key)
        part = path.with_suffix(".part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                source.rename(part)
            except OSError:  # another file system
                shutil.copyfile(source, part)
            with part.open("rb") as file:
                os.fsync(file.fileno())
            part.rename(path)
        except OSError as error:
            part.unlink(missing_ok=True)
            raise Fault("storage_failed", passing=True, reason=error.strerror) from error

    def delete(self, key: str) -> None:
        self._path(key).unlink(missing_ok=True)

    @contextmanager
    def opened(self, key: str) -> Iterator[Path]:
        path = self._path(key)
        if not path.is_file():
            raise Fault("file_missing")
        yield path
