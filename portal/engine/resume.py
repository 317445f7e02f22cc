"""What lies of a download, so that it can go on: the file, held by one process, and what the server said of it."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import IO

from portal.engine.stop import Stop
from portal.errors import Fault

_PIECE = 4 * 1024**2


@dataclass(frozen=True)
class Noted:
    """What a server said of the file it sends. `etag` is a strong one, as it was written, or None; so is `modified`.

    `address` is the SHA-256 of what was asked for, which may hold a secret.
    """

    address: str
    etag: str | None
    modified: str | None
    total: int | None
    content_type: str | None
    codings: list[str]
    filename: str | None

    @property
    def validator(self) -> str | None:
        """What `If-Range` takes: without it nobody can tell whether what comes belongs to what lies here."""
        return self.etag or self.modified

    def is_of_the_same(self, said: "Noted") -> bool:
        """Whether what a server sends now is surely of the version that lies here: it repeats what was asked by."""
        pairs = [(self.etag, said.etag), (self.modified, said.modified)]
        repeats = said.etag == self.etag if self.etag else said.modified == self.modified
        return bool(self.validator) and repeats and all(one == other for one, other in pairs if one and other)


class Part:
    """The file at `path` as far as it came, open and held; `digest` is of what lies there."""

    def __init__(self, path: Path, file: IO[bytes], stop: Stop) -> None:
        self.file, self._note, self._stop = file, path.with_name(path.name + ".json"), stop
        self.digest = sha256()
        self.size = 0
        self.noted: Noted | None = None

    def take_up(self, url: str) -> None:
        """Go on with what lies here, if it is of this address and can be told from another state of it."""
        noted = self._read()
        address = sha256(url.encode(errors="surrogatepass")).hexdigest()
        length = self.file.seek(0, os.SEEK_END)
        too_long = noted is not None and noted.total is not None and length > noted.total
        if noted is None or noted.address != address or not noted.validator or too_long:
            self.start_over()
            return
        self.file.seek(0)
        while piece := self.file.read(_PIECE):
            self._stop.check()
            self.digest.update(piece)
            self.size += len(piece)
        self.noted = noted

    def start_over(self) -> None:
        self._note.unlink(missing_ok=True)
        if self.file.seek(0, os.SEEK_END):
            self.file.seek(0)
            self.file.truncate()
        self.digest, self.size, self.noted = sha256(), 0, None

    def note(self, noted: Noted) -> None:
        """Before the first byte comes; whole or not at all."""
        new = self._note.with_suffix(".new")
        new.write_text(json.dumps(asdict(noted)), encoding="utf-8")
        new.rename(self._note)
        self.noted = noted

    def add(self, piece: bytes) -> None:
        view = memoryview(piece)
        while view:
            view = view[os.write(self.file.fileno(), view) :]
        self.digest.update(piece)
        self.size += len(piece)

    def _read(self) -> Noted | None:
        with suppress(OSError, ValueError, TypeError):
            return Noted(**json.loads(self._note.read_text(encoding="utf-8")))
        return None


@contextmanager
def held(path: Path, stop: Stop) -> Iterator[Part]:
    """The file, made if it is not there. Raises `Fault('source_busy')` while another process writes it."""
    with path.open("r+b" if path.exists() else "w+b", buffering=0) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Fault("source_busy", passing=True) from None
        yield Part(path, file, stop)
