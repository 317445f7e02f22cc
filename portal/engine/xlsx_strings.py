"""The texts that a workbook keeps apart from its cells: in a file, found by an index of 8 bytes for each."""

import mmap
from array import array
from collections.abc import Mapping
from pathlib import Path
from typing import IO
from xml.parsers import expat
from zipfile import ZipFile, ZipInfo

from portal.engine.pace import Pace
from portal.engine.stop import Stop
from portal.engine.xlsx_cells import unescaped
from portal.engine.xml_guard import PIECE, Guarded, most_of
from portal.errors import Fault

TEXTS = 20_000_000  # in one workbook


class Strings:
    """Those of the part `info`, none without one; `path` is where they may lie meanwhile."""

    def __init__(self, archive: ZipFile, info: ZipInfo | None, path: Path, stop: Stop) -> None:
        self._archive, self._info, self._path, self._stop = archive, info, path, stop
        self._size = Path(str(archive.filename)).stat().st_size
        self._ends = array("Q")
        self._all: mmap.mmap | bytes = b""

    def __enter__(self) -> "Strings":
        try:
            if self._info:
                with self._path.open("w+b") as file, self._archive.open(self._info) as part:
                    most = most_of(self._info, self._size)
                    self._take(file, Guarded(part, self._info.filename, unit="si", most=most))
                    file.flush()
                    if self._ends and self._ends[-1]:
                        self._all = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if isinstance(self._all, mmap.mmap):
            self._all.close()
        self._path.unlink(missing_ok=True)

    def __getitem__(self, number: int) -> str:
        """Raises `IndexError` where there is none of this number."""
        if number < 0:
            raise IndexError(number)
        begin = self._ends[number - 1] if number else 0
        return self._all[begin : self._ends[number]].decode()

    def _take(self, file: IO[bytes], part: Guarded) -> None:
        name = str(self._info and self._info.filename)
        texts, pace = _Texts(), Pace()
        end = 0
        while piece := part.read(PIECE):
            self._stop.check()
            for text in texts.of(piece):
                pace.found += bool(text)
                end += file.write(unescaped(text).encode("utf-8", "replace"))
                self._ends.append(end)
            pace.check(name)
            if len(self._ends) > TEXTS:
                raise Fault("xlsx_swollen", part="sharedStrings.xml")
        list(texts.of(b"", is_last=True))


class _Texts:
    """Each text without its phonetic readings and styles."""

    def __init__(self) -> None:
        self._parser = expat.ParserCreate()
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._characters
        self._whole: list[str] = []
        self._parts: list[str] = []
        self._is_text, self._phonetic = False, 0

    def of(self, piece: bytes, *, is_last: bool = False) -> list[str]:
        """Those that end within this piece. Raises `ExpatError`."""
        self._parser.Parse(piece, is_last)
        whole, self._whole = self._whole, []
        return whole

    def _start(self, tag: str, _: Mapping[str, str]) -> None:
        match tag if ":" not in tag else tag.rpartition(":")[2]:
            case "t":
                self._is_text = not self._phonetic
            case "si":
                self._parts = []
            case "rPh":
                self._phonetic += 1

    def _characters(self, text: str) -> None:
        if self._is_text:
            self._parts.append(text)

    def _end(self, tag: str) -> None:
        match tag if ":" not in tag else tag.rpartition(":")[2]:
            case "t":
                self._is_text = False
            case "si":
                self._whole.append("".join(self._parts))
            case "rPh":
                self._phonetic -= 1
