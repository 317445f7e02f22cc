"""A part of a workbook as a stream that no reader of XML can be made to swell with: bounded before it is parsed.

What a reader holds at once is a tag, a text, or all that is within one row. So the bytes from one `<` to the next are
bounded, and for each unit, such as a row, its bytes and the number of `<` in it. It is counted in the bytes as they
unpack: what an archive says of itself is not asked. Other encodings than UTF-8 only meet the limits sooner.
"""

import re
from typing import IO
from zipfile import ZipInfo

from portal.errors import Fault

PIECE = 64 * 1024
RATIO, RATIO_AFTER = 50, 16 * 1024**2
TAG_BYTES = 1024**2  # a tag and the text behind it: Excel's longest text, escaped, is a third of that
UNIT_BYTES = 32_000_000  # a row; no longer line could be read from it
UNIT_TAGS = 16_384 * 16  # a row has at most so many cells, each of which may hold a few elements


def most_of(info: ZipInfo, archive_bytes: int) -> int:
    """Bytes that a part may unpack to: cells and texts of people, which have their places in them, are a few times as
    long as packed."""
    return max(RATIO_AFTER, RATIO * min(info.compress_size, archive_bytes))


class Guarded:
    """Reads `part` from one tag to another. Raises `Fault('xlsx_swollen')` with the `part`'s name.

    `unit` is the element that may come without end; none where nothing is held beyond a tag. `most`: bytes of all.
    What stands behind the end of `until` is read, for its checksum, and not handed on.
    """

    def __init__(self, part: IO[bytes], name: str, *, unit: str = "", until: str = "", most: int = 2**63) -> None:
        self._part, self._name, self._left = part, name, most
        self._unit = re.compile(rb"<(?:[\w.-]+:)?%s[\s/>]" % unit.encode()) if unit else None
        self._until = re.compile(rb"</(?:[\w.-]+:)?%s\s*>" % until.encode()) if until else None
        self._held, self._root, self._ended = b"", b"", False
        self._tags = self._bytes = 0

    def read(self, size: int = -1) -> bytes:
        """Some bytes, none at the end; as many as there are without a `size`."""
        if size < 0:
            return b"".join(iter(lambda: self.read(PIECE), b""))
        while not self._ended:
            piece = self._part.read(PIECE)
            self._held += piece
            self._left -= len(piece)
            if not piece:
                self._ended = True
                cut = len(self._held)
            else:
                cut = self._held.rfind(b"<")
            if len(self._held) - max(0, cut) > TAG_BYTES or self._left < 0:
                raise self._swollen()
            if cut > 0:
                whole, self._held = self._held[:cut], self._held[cut:]
                return self._checked(whole)
        return b""

    def close(self) -> None:
        self._part.close()

    def _checked(self, whole: bytes) -> bytes:
        if b"<!DOCTYPE" in whole:
            raise Fault("xlsx_corrupt")
        if not self._root and (root := re.search(rb"<([A-Za-z_][\w.:-]*)", whole)):
            self._root = root[1]
        if self._until and (end := self._until.search(whole)):
            whole = whole[: end.end()] + b"</%s>" % self._root
            while self._part.read(PIECE):
                continue
            self._ended = True
        if max(map(len, whole.split(b"<"))) > TAG_BYTES:
            raise self._swollen()
        if self._unit is None:
            return whole
        begin = 0
        for unit in self._unit.finditer(whole):
            self._count(whole[begin : unit.start()])
            self._tags = self._bytes = 0
            begin = unit.start()
        self._count(whole[begin:])
        return whole

    def _count(self, some: bytes) -> None:
        self._tags += some.count(b"<")
        self._bytes += len(some)
        if self._tags > UNIT_TAGS or self._bytes > UNIT_BYTES:
            raise self._swollen()

    def _swollen(self) -> Fault:
        return Fault("xlsx_swollen", part=self._name.rpartition("/")[2][:100])
