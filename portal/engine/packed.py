"""A file as it is written: packed, counted, hashed."""

import gzip
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

from portal.engine.zstd import zstd


class Counted:
    """Writes to a file, if there is one, and counts and hashes what goes through."""

    def __init__(self, path: Path | None, digest: "hashlib._Hash", check: Any) -> None:
        self._path, self._digest, self._check, self.bytes = path, digest, check, 0
        self._file: IO[bytes] | None = None

    def __enter__(self) -> "Counted":
        self._file = self._path.open("wb") if self._path else None
        return self

    def __exit__(self, *_: object) -> None:
        if self._file:
            self._file.close()

    def write(self, piece: bytes) -> int:
        self.bytes += len(piece)
        self._check(self.bytes)
        self._digest.update(piece)
        return self._file.write(piece) if self._file else len(piece)

    def flush(self) -> None: ...


@contextmanager
def packed(out: Counted, packing: str) -> Iterator[Any]:
    if packing == "gzip":
        with gzip.GzipFile(filename="", mode="wb", fileobj=cast(IO[bytes], out), mtime=0, compresslevel=6) as file:
            yield file
    elif packing == "zstd":
        options: dict[int, int] = {
            zstd.CompressionParameter.compression_level: 3,
            zstd.CompressionParameter.checksum_flag: 1,
        }
        with zstd.ZstdFile(cast(IO[bytes], out), "wb", options=options) as writer:
            yield writer
    else:
        yield out
