"""A data address becomes a Parquet file: download, unpack, sniff, convert."""

import errno
import hashlib
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from portal.engine import convert, download, sniff, unpack
from portal.engine.columns import Column
from portal.engine.convert import MEMORY_MB, THREADS
from portal.engine.download import Download, Limits
from portal.engine.guard import Policy
from portal.engine.stop import Stop
from portal.errors import Fault

Report: TypeAlias = Callable[[int, str, dict[str, Any]], object]

MAX_LAYERS = 2  # a .csv.gz that a server has packed once more on the way
_ENDINGS = re.compile(r"(\.(gz|gzip|csv|tsv|txt|tab|ndjson|jsonl|json))+\Z", re.IGNORECASE)

# Where each step begins and ends, in per cent.
_DOWNLOADING, _UNPACKING, _CONVERTING, _STORING = (1, 50), (50, 60), (60, 97), 98


@dataclass(frozen=True)
class Fetched:
    """`path` is the Parquet file, inside the work folder; `source_*` are of the file as it was transferred."""

    path: Path
    rows: int
    columns: list[Column]
    source_bytes: int
    source_sha256: str
    stored_bytes: int
    stored_sha256: str
    final_url: str
    suggested_name: str


class _Meter:
    """Turns the shares of the steps into one percentage that never goes back."""

    def __init__(self, report: Report) -> None:
        self._report, self._highest, self._began = report, 0, time.monotonic()

    def at(self, percent: float, code: str, **params: Any) -> None:
        self._highest = max(self._highest, min(99, int(percent)))
        self._report(self._highest, code, params)

    def within(self, span: tuple[int, int], share: float, code: str, **params: Any) -> None:
        self.at(span[0] + (span[1] - span[0]) * min(1.0, share), code, **params)

    def received(self, size: int, total: int | None) -> None:
        # Without a total the bar still moves, ever more slowly: half of it at 64 MiB.
        share = size / total if total else size / (size + 64 * 1024**2)
        rate = int(size / max(0.001, time.monotonic() - self._began))
        self.within(_DOWNLOADING, share, "downloading", bytes=size, total=total, rate=rate)


def to_parquet(
    url: str,
    work: Path,
    *,
    format: str | None = None,
    policy: Policy,
    limits: Limits,
    memory_mb: int = MEMORY_MB,
    threads: int = THREADS,
    stop: Stop,
    report: Report,
) -> Fetched:
    """Fetch `url` into `work`, an existing folder for this fetch alone; `format` is what the user says it is.

    `report(percent, code, params)` is called in this thread, with rising percentages from 0 to 99.
    Raises `Stopped`, or `Fault` with the reason; what is left in `work` is the caller's to remove.
    """
    try:
        return _to_parquet(url, work, format, policy, limits, memory_mb, threads, stop, _Meter(report))
    except OSError as problem:
        if problem.errno in (errno.ENOSPC, errno.EDQUOT):
            raise Fault("disk_full", passing=True) from problem
        raise


def _to_parquet(
    url: str,
    work: Path,
    said: str | None,
    policy: Policy,
    limits: Limits,
    memory_mb: int,
    threads: int,
    stop: Stop,
    meter: _Meter,
) -> Fetched:
    meter.at(0, "connecting")
    source, target = work / "source", work / "data.parquet"
    came = download.download(url, source, policy=policy, limits=limits, stop=stop, report=meter.received)
    source = _unpacked(source, limits, stop, meter)
    sniffed = sniff.sniff(source, said)
    meter.at(_CONVERTING[0], "converting")
    converted = convert.convert(
        source,
        sniffed,
        target,
        work=work,
        memory_mb=memory_mb,
        threads=threads,
        stop=stop,
        report=lambda share: meter.within(_CONVERTING, share, "converting"),
    )
    source.unlink()
    meter.at(_STORING, "storing")
    with target.open("rb") as file:
        stored_sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    stop.check()
    return Fetched(
        path=target,
        rows=converted.rows,
        columns=converted.columns,
        source_bytes=came.bytes,
        source_sha256=came.sha256,
        stored_bytes=target.stat().st_size,
        stored_sha256=stored_sha256,
        final_url=came.final_url,
        suggested_name=_name(came),
    )


def _unpacked(source: Path, limits: Limits, stop: Stop, meter: _Meter) -> Path:
    for layer in range(MAX_LAYERS):
        if not unpack.is_gzip(source):
            break
        plain = source.with_name(f"plain{layer}")
        unpack.gunzip(
            source,
            plain,
            limits=limits,
            stop=stop,
            report=lambda share, size: meter.within(_UNPACKING, share, "unpacking", bytes=size),
        )
        source.unlink()
        source = plain
    return source


def _name(came: Download) -> str:
    """What to call the dataset: the file's name without its endings, else the host."""
    host = came.final_url.partition("://")[2].partition("/")[0]
    return _ENDINGS.sub("", came.filename or "") or host
