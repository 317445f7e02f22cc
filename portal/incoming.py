"""Large bodies: asked for by a view that has seen the headers alone, then kept in files that have no name."""

import errno
import hashlib
import os
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, BinaryIO
from uuid import UUID

LEFTOVER_SECONDS = 3600
ENVIRON = "portal.incoming"  # where the front puts an `Incoming` into a request's environment


class BodyAwaited(Exception):
    """The view may go on when the body is there: it is called again then."""


class Incoming:
    """A body that was announced and has not been read. Whoever made it closes it."""

    def __init__(self, size: int) -> None:
        self.bytes = size
        self.is_granted = self.is_whole = False
        self.failure: OSError | None = None  # the disk's
        self._release: Callable[[], None] | None = None
        self._file: BinaryIO | None = None
        self._digest = hashlib.sha256()

    def grant(self, release: Callable[[], None]) -> None:
        """Have it come; `release` is called when it has been dealt with, or does not come."""
        self.is_granted, self._release = True, release

    def open(self, folder: Path) -> None:
        """Make its file; a fault is kept in `failure`, as those of `write` are."""
        try:
            self._file = nameless(folder)
        except OSError as error:
            self.failure = error

    def write(self, piece: bytes) -> None:
        if self._file is None or self.failure:
            return
        try:
            self._file.write(piece)
        except OSError as error:
            self.failure = error
        self._digest.update(piece)

    def finish(self) -> None:
        """All of it has been written."""
        if self._file and not self.failure:
            try:
                self._file.flush()
                self._file.seek(0)
            except OSError as error:
                self.failure = error
        self.is_whole = True

    @property
    def file(self) -> BinaryIO:
        """Raises the OSError that kept it from being written."""
        if self.failure or self._file is None:
            raise self.failure or OSError(errno.EIO, "nothing was written")
        return self._file

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def close(self) -> None:
        """Nothing is left of it; may be called twice."""
        if self._file:
            self._file.close()
        if self._release:
            self._release()
        self._release = None


def remove_leftovers(folder: Path) -> int:
    """Remove what versions before 0.2 left of requests; how many. Young files may be of one that still runs."""
    removed = 0
    for path in folder.iterdir() if folder.is_dir() else ():
        with suppress(OSError, ValueError):
            is_ours = str(UUID(path.name)) == path.name and path.is_file() and not path.is_symlink()
            if is_ours and time.time() - path.stat().st_mtime > LEFTOVER_SECONDS:
                path.unlink()
                removed += 1
    return removed


def nameless(folder: Path) -> BinaryIO:
    """A file that is gone with its descriptor, also when the process is killed. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        return os.fdopen(os.open(folder, os.O_TMPFILE | os.O_RDWR, 0o600), "w+b")
    except (OSError, AttributeError) as error:
        unknown = (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOENT)
        if isinstance(error, OSError) and error.errno not in unknown:
            raise
    descriptor, name = tempfile.mkstemp(dir=folder)
    os.unlink(name)
    return os.fdopen(descriptor, "w+b")


def path_of(file: IO[bytes]) -> Path:
    """By which a file without a name can be opened, and linked into the same file system, while it is open."""
    return Path(f"/proc/self/fd/{file.fileno()}")
