"""Gzip to plain, streamed, with the size counted while reading: what the header of a file claims is not believed."""

import zlib
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from portal.engine.download import CHUNK, Limits
from portal.engine.stop import Stop
from portal.errors import Fault

MAGIC = b"\x1f\x8b"
GZIP = 31  # window bits of zlib that mean: gzip header and checksum

Report: TypeAlias = Callable[[int, int, int], object]


def is_gzip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == MAGIC


def gunzip(source: Path, target: Path, *, limits: Limits, stop: Stop, report: Report) -> int:
    """Unpack all members; returns the bytes written. `report` gets the bytes read, those there are, and those written.

    Raises `Fault`: `gzip_corrupt` (damaged, cut short, something else behind it), `too_large` or `bomb`.
    """
    size = max(1, source.stat().st_size)
    written, data = 0, b""
    member = zlib.decompressobj(GZIP)
    with source.open("rb") as packed, target.open("wb") as plain:
        while data := data or packed.read(CHUNK):
            stop.check()
            if member.eof:
                data = data.lstrip(b"\0")  # padding, as tape archives have it
                if not data:
                    continue
                member = zlib.decompressobj(GZIP)
            data, piece = _step(member, data)
            written += plain.write(piece)
            consumed = packed.tell() - len(data)
            _check(written, consumed, limits)
            report(consumed, size, written)
        while not member.eof:
            stop.check()
            _, piece = _step(member, b"")
            if not piece:
                raise Fault("gzip_corrupt")
            written += plain.write(piece)
            _check(written, size, limits)
    return written


def _step(member: "zlib._Decompress", data: bytes) -> tuple[bytes, bytes]:
    """The data still to be read, and the next piece of plain bytes."""
    try:
        piece = member.decompress(data, CHUNK)
    except zlib.error:
        raise Fault("gzip_corrupt") from None
    return member.unused_data if member.eof else member.unconsumed_tail, piece


def _check(written: int, consumed: int, limits: Limits) -> None:
    if written > limits.ratio_after and written > limits.max_ratio * consumed:
        raise Fault("bomb", ratio=limits.max_ratio)
    if written > limits.max_bytes:
        raise Fault("too_large", limit=limits.max_bytes)
