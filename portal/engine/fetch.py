"""A data address becomes a Parquet file: download, unpack, sniff, convert."""

import errno
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from portal.engine import convert, download, sniff, unpack
from portal.engine.columns import Column
from portal.engine.convert import MEMORY_MB, THREADS
from portal.engine.download import Download, Limits
from portal.engine.guard import Policy
from portal.engine.meter import Meter
from portal.engine.stop import Stop
from portal.errors import Fault

MAX_LAYERS = 2  # a .csv.gz that a server has packed once more on the way
_ENDINGS = re.compile(r"(\.(gz|gzip|csv|tsv|txt|tab|ndjson|jsonl|json))+\Z", re.IGNORECASE)

# Where each step begins and ends, in per cent.
_CONNECTING, _DOWNLOADING, _UNPACKING, _CONVERTING, _STORING = (0, 0), (1, 50), (50, 60), (60, 97), (97, 99)
_PIECE = 4 * 1024**2  # bytes hashed between two looks at whether to stop


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
    meter: Meter,
) -> Fetched:
    """Fetch `url` into `work`, an existing folder for this fetch alone; `format` is what the user says it is.

    `meter` says how far it is, to whoever reads it. Raises `Stopped`, or `Fault` with the reason;
    what is left in `work` is the caller's to remove.
    """
    try:
        return _to_parquet(url, work, format, policy, limits, memory_mb, threads, stop, meter)
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
    meter: Meter,
) -> Fetched:
    meter.step("connecting", _CONNECTING)
    source, target = work / "source", work / "data.parquet"

    def received(size: int, total: int | None) -> None:
        if size == 0:
            meter.step("downloading", _DOWNLOADING)
        meter.moved(size, total)

    came = download.download(url, source, policy=policy, limits=limits, stop=stop, report=received)
    source = _unpacked(source, limits, stop, meter)
    sniffed = sniff.sniff(source, said)
    meter.step("converting", _CONVERTING)
    converted = convert.convert(
        source,
        sniffed,
        target,
        work=work,
        memory_mb=memory_mb,
        threads=threads,
        stop=stop,
        report=lambda share: meter.moved(share, 1),
    )
    source.unlink()
    meter.step("storing", _STORING)
    stored_sha256 = _hashed(target, stop, meter)
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


def _hashed(path: Path, stop: Stop, meter: Meter) -> str:
    digest, size = hashlib.sha256(), path.stat().st_size
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            stop.check()
            digest.update(piece)
            meter.moved(file.tell(), size)
    stop.check()
    return digest.hexdigest()


def _unpacked(source: Path, limits: Limits, stop: Stop, meter: Meter) -> Path:
    for layer in range(MAX_LAYERS):
        if not unpack.is_gzip(source):
            break
        plain = source.with_name(f"plain{layer}")
        meter.step("unpacking", _UNPACKING)
        unpack.gunzip(
            source,
            plain,
            limits=limits,
            stop=stop,
            report=lambda read, size, written: meter.moved(read, size, bytes=written),
        )
        source.unlink()
        source = plain
    return source


def _name(came: Download) -> str:
    """What to call the dataset: the file's name without its endings, else the host."""
    host = came.final_url.partition("://")[2].partition("/")[0]
    return _ENDINGS.sub("", came.filename or "") or host
