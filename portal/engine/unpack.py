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
ZSTD_WINDOW_LOG = 27  # 128 MiB, what unpacking may hold; `zstd --long` asks for no more

_MAGICS = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"PK\x03\x04": "zip", b"PK\x05\x06": "zip"}

Report: TypeAlias = Callable[[int, int, int], object]


def unpacked(
    source: Path, work: Path, *, member: str | None, limits: Limits, stop: Stop, report: Report
) -> tuple[Path, list[str]]:
    """Peel all layers off; answers the plain file (`source` itself, or one in `work`) and what was peeled.

    `member` is the file to take out of a zip archive. `source` stays. `report` gets the bytes read, those there are,
    and those written. Raises `Fault`: `gzip_corrupt`, `zstd_corrupt`, `zip_…`, `too_large`, `bomb`.
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
    """gzip, zstd or zip by content; a workbook, which is a zip archive, is not packed."""
    with path.open("rb") as file:
        head = file.read(4)
        packing = next((name for magic, name in _MAGICS.items() if head.startswith(magic)), None)
        return None if packing == "zip" and zip_member.is_workbook(file) else packing


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


def _gunzip(packed: IO[bytes], stop: Stop) -> Iterator[bytes]:
    """The content of all members."""
    data, member = b"", zlib.decompressobj(GZIP)
    try:
        while data := data or packed.read(CHUNK):
            stop.check()
            if member.eof:
                data = data.lstrip(b"\0")  # padding, as tape archives have it
                if not data:
                    continue
                member = zlib.decompressobj(GZIP)
            yield member.decompress(data, CHUNK)
            data = member.unused_data if member.eof else member.unconsumed_tail
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
    data, frame = b"", zstd.ZstdDecompressor(options=options)
    try:
        while data := data or packed.read(CHUNK):
            stop.check()
            if frame.eof:
                frame = zstd.ZstdDecompressor(options=options)
            yield frame.decompress(data, CHUNK)
            while not frame.eof and not frame.needs_input:
                yield frame.decompress(b"", CHUNK)
            data = frame.unused_data if frame.eof else b""
    except zstd.ZstdError:
        raise Fault("zstd_corrupt") from None
    if not frame.eof:
        raise Fault("zstd_corrupt")
