"""Gzip, honest and not."""

import random
import time
import zlib
from pathlib import Path
from typing import Any

import pytest

from portal.engine import unpack as unpack_module
from portal.engine.download import Limits
from portal.engine.stop import Stop
from portal.engine.unpack import packing_of, unpacked
from portal.engine.zstd import zstd
from portal.errors import Fault, Stopped
from tests.engine.servers import gz

TEXT = b"".join(b"%d,%d\n" % (number, number * 7919 % 1009) for number in range(100_000))
PACKED = gz(TEXT)
NOISE = random.Random(1).randbytes(600_000)
LIMITS = Limits(max_bytes=4 * 1024**2, ratio_after=1024**2)


def unpack(tmp_path: Path, packed: bytes, limits: Limits = LIMITS, stop: Stop | None = None) -> bytes:
    source = tmp_path / "packed"
    source.write_bytes(packed)
    assert packing_of(source) == "gzip"
    reports: list[tuple[int, int, int]] = []
    plain, peeled = unpacked(
        source, tmp_path, member=None, limits=limits, stop=stop or Stop(), report=lambda *report: reports.append(report)
    )
    assert reports == sorted(reports) and {report[1] for report in reports} <= {len(packed)}
    assert peeled == ["gzip"] and source.exists()
    return plain.read_bytes()


@pytest.mark.parametrize(
    ("packed", "plain"),
    [
        (PACKED, TEXT),
        (gz(NOISE), NOISE),
        (gz(b""), b""),
        (gz(b"a,b\n") + gz(b"") + gz(b"1,2\n"), b"a,b\n1,2\n"),
        (PACKED + PACKED, TEXT + TEXT),
        (gz(b"a\n") + b"\0" * 700_000, b"a\n"),
        (gz(b"a\n") + b"\0" * 512 + gz(b"1\n"), b"a\n1\n"),
    ],
)
def test_whole(tmp_path: Path, packed: bytes, plain: bytes) -> None:
    assert unpack(tmp_path, packed) == plain


@pytest.mark.parametrize(
    "packed",
    [
        PACKED[:-1],
        PACKED[:-9],
        PACKED[: len(PACKED) // 2],
        PACKED[:5],
        PACKED[:2],
        PACKED + b"garbage",
        PACKED + PACKED[:20],
        PACKED[:1000] + b"\xff" + PACKED[1001:],
        PACKED[:-8] + zlib.crc32(b"x").to_bytes(4, "little") + PACKED[-4:],
        b"\x1f\x8b\x09" + PACKED[3:],
    ],
)
def test_damaged(tmp_path: Path, packed: bytes) -> None:
    with pytest.raises(Fault) as caught:
        unpack(tmp_path, packed)
    assert (caught.value.code, caught.value.passing) == ("gzip_corrupt", False)


def test_a_bomb(tmp_path: Path) -> None:
    with pytest.raises(Fault) as caught:
        unpack(tmp_path, gz(b"\0" * 3_000_000))
    assert (caught.value.code, caught.value.params) == ("bomb", {"ratio": 200})
    assert (tmp_path / "plain0").stat().st_size < 2 * 1024**2


def test_too_much(tmp_path: Path) -> None:
    with pytest.raises(Fault) as caught:
        unpack(tmp_path, gz(NOISE * 8))
    assert (caught.value.code, caught.value.params) == ("too_large", {"limit": LIMITS.max_bytes})


def test_stop(tmp_path: Path) -> None:
    stop = Stop()
    stop.set()
    with pytest.raises(Stopped):
        unpack(tmp_path, PACKED, stop=stop)


@pytest.mark.parametrize("packing", ["gzip", "zstd"])
def test_members_by_the_hundred_thousand_are_read_once_and_not_by_the_million(
    packing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed = gz(b"1\n") if packing == "gzip" else zstd.compress(b"1\n")
    source = tmp_path / "packed"
    source.write_bytes(packed * 50_000)
    said: dict[str, Any] = {"member": None, "limits": LIMITS, "stop": Stop(), "report": lambda *_: None}
    began = time.process_time()
    plain, _ = unpacked(source, tmp_path, **said)
    assert time.process_time() - began < 5  # it took 20
    assert plain.read_bytes() == b"1\n" * 50_000
    monkeypatch.setattr(unpack_module, "MEMBERS_MAX", 49_998)
    with pytest.raises(Fault, match="too_many_members"):
        unpacked(source, tmp_path, **said)
