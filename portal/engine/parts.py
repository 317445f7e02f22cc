"""A file cut between rows into smaller ones: DuckDB holds 2048 rows of a file at once, however large they are."""

from pathlib import Path
from typing import IO

from portal.engine.values import literal

BYTES = 16 * 1024 * 1024


class Parts:
    """Takes rows, in order; `start` stands at the beginning of each part. What was made is gone on leaving."""

    def __init__(self, folder: Path, *, start: bytes = b"") -> None:
        self._folder, self._start, self._paths = folder, start, list[Path]()
        self._rows = self._bytes = 0
        self._begin()

    def __enter__(self) -> "Parts":
        return self

    def __exit__(self, *_: object) -> None:
        self.end()
        for path in self._paths:
            path.unlink(missing_ok=True)

    def take(self, row: bytes) -> None:
        """One, with its line end."""
        if self._size >= BYTES:
            self.end()
            self._begin()
        self._file.write(row)
        self._size += len(row)
        self._bytes += len(row)
        self._rows += 1

    def end(self) -> None:
        self._file.close()

    @property
    def files(self) -> str:
        """The parts in order, as SQL."""
        return f"[{', '.join(literal(str(path)) for path in self._paths)}]"

    @property
    def rows(self) -> int:
        """All that were taken."""
        return self._rows

    @property
    def rows_in_one(self) -> int:
        """About how many."""
        return max(1, BYTES * self._rows // max(1, self._bytes))

    def _begin(self) -> None:
        self._paths.append(self._folder / f"part{len(self._paths)}")
        self._file: IO[bytes] = self._paths[-1].open("wb")
        self._file.write(self._start)
        self._size = 0
