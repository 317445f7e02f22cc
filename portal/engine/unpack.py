"""Gzip, zstd and zip to plain, streamed, with the size counted while reading: what headers claim is not believed."""

import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, TypeAlias

from portal.engine import zip_member
from portal.engine.download import CHUNK, Limits
from portal.engine.stop import Stop
from portal.engine.zstd import zstd
from portal.errors import Fault

MAX_LAYERS = 3  # a .csv.gz in a zip that a server has packed once more on the way
GZIP = 31  # window bits of zlib that mean: gzip header and checksum
FEW = 512  # bytes: the first ones of a member behind another
MEMBERS_MAX = 1_000_000  # gzip members, zstd frames: 2 GiB in blocks, as bgzip makes them, have a tenth of that
ZSTD_WINDOW_LOG = 27  # 128 MiB, what unpacking may hold; `zstd --long` asks for no more

_MAGICS = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"PK\x03\x04": "zip", b"PK\x05\x06": "zip"}

Report: TypeAlias = Callable[[int, int, int], object]


def unpacked(
    source: Path, work: Path, *, member: str | None, limits: Limits, stop: Stop, report: Report
) -> tuple[Path, list[str]]:
    """Peel all layers off; answers the plain file (`source` itself, or one in `work`) and what was peeled.

    `member` is the file to take out of a zip archive. `source` stays. `report` gets the bytes read, those there are,
    and those written. Raises `Fault`: `gzip_corrupt`, `zstd_corrupt`, `too_many_members`, `zip_…`, `too_large`, `bomb`.
    """
    path, peeled = source, list[str]()
    for layer in range(MAX_LAYERS):
        packing = packing_of(path)
        if packing is None:
            break
        target = work / f"plain{layer}"
        with path.open("rb") as packed, target.open("wb") as plain:
            out = _Output(plain, path.stat().st_size, limits, stop, report)
            if packing == "zip":
                peeled.append(f"zip:{zip_member.extract(packed, member, out.write)}")
            else:
                peeled.append(packing)
                unpack = _gunzip if packing == "gzip" else _unzstd
                for piece in unpack(packed, stop):
                    out.write(piece, packed.tell())
        if path != source:
            path.unlink()
        path = target
    return path, peeled


def packing_of(path: Path) -> str | None:
    """gzip, zstd or zip by content; a workbook, or another document that is a zip archive, is not packed."""
    with path.open("rb") as file:
        head = file.read(4)
        packing = next((name for magic, name in _MAGICS.items() if head.startswith(magic)), None)
        return None if packing == "zip" and zip_member.document(file) else packing


class _Output:
    """Writes as long as the limits allow."""

    def __init__(self, file: IO[bytes], size: int, limits: Limits, stop: Stop, report: Report) -> None:
        self._file, self._size, self._limits, self._stop, self._report = file, max(1, size), limits, stop, report
        self._written = 0

    def write(self, piece: bytes, consumed: int) -> None:
        self._stop.check()
        self._written += len(piece)
        limits = self._limits
        if self._written > limits.ratio_after and self._written > limits.max_ratio * consumed:
            raise Fault("bomb", ratio=limits.max_ratio)
        if self._written > limits.max_bytes:
            raise Fault("too_large", limit=limits.max_bytes)
        self._file.write(piece)
        self._report(consumed, self._size, self._written)


class _Data:
    """Packed bytes, of which the end of a member gives some back. They are copied then: so behind it there are few at
    first, or a file of millions of small members would be copied thousands of times."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self._buffer, self._at, self._most = file, b"", 0, CHUNK
        self._members = 0

    def next(self) -> bytes:
        """The next ones; none at the end."""
        if self._at >= len(self._buffer):
            self._buffer, self._at = self._file.read(CHUNK), 0
        piece = self._buffer[self._at : self._at + self._most]
        self._at += len(piece)
        self._most = min(CHUNK, 2 * self._most)
        return piece

    def back(self, rest: bytes, *, is_end: bool) -> None:
        """These, the last of those that were handed out, were not needed; a member may have ended before them."""
        self._at -= len(rest)
        if is_end:
            self._most = FEW
            self._members += 1
            if self._members > MEMBERS_MAX:
                raise Fault("too_many_members", limit=MEMBERS_MAX)


def _gunzip(packed: IO[bytes], stop: Stop) -> Iterator[bytes]:
    """The content of all members."""
    data, member = _Data(packed), zlib.decompressobj(GZIP)
    try:
        while piece := data.next():
            stop.check()
            if member.eof:
                piece = piece.lstrip(b"\0")  # padding, as tape archives have it
                if not piece:
                    continue
                member = zlib.decompressobj(GZIP)
            yield member.decompress(piece, CHUNK)
            data.back(member.unused_data if member.eof else member.unconsumed_tail, is_end=member.eof)
        while not member.eof:
            piece = member.decompress(b"", CHUNK)
            if not piece:
                raise Fault("gzip_corrupt")
            yield piece
    except zlib.error:
        raise Fault("gzip_corrupt") from None


def _unzstd(packed: IO[bytes], stop: Stop) -> Iterator[bytes]:
    """The content of all frames."""
    options: dict[int, int] = {zstd.DecompressionParameter.window_log_max: ZSTD_WINDOW_LOG}
    data, frame = _Data(packed), zstd.ZstdDecompressor(options=options)
    try:
        while piece := data.next():
            stop.check()
            if frame.eof:
                frame = zstd.ZstdDecompressor(options=options)
            yield frame.decompress(piece, CHUNK)
            while not frame.eof and not frame.needs_input:
                yield frame.decompress(b"", CHUNK)
            if frame.eof:
                data.back(frame.unused_data, is_end=True)
    except zstd.ZstdError:
        raise Fault("zstd_corrupt") from None
    if not frame.eof:
        raise Fault("zstd_corrupt")
