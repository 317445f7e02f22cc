"""A data address, or a file that was sent, becomes Parquet: download, unpack, sniff, decode, convert, profile."""

import errno
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

from portal.engine import convert, download, encoding, named, ndjson_source, sniff, unpack, web_pages
from portal.engine.charsets import UTF8
from portal.engine.columns import Column
from portal.engine.convert import MEMORY_MB, THREADS
from portal.engine.download import Allow, Limits
from portal.engine.encoding import Replaced, Written
from portal.engine.guard import Policy
from portal.engine.meter import Meter
from portal.engine.profile import profile
from portal.engine.reading import Reading
from portal.engine.sniff import Sniffed
from portal.engine.stop import Stop
from portal.engine.typed_copy import Converted
from portal.errors import Fault

# Where each step begins and ends, in per cent.
_CONNECTING, _DOWNLOADING, _UNPACKING, _DECODING = (0, 0), (1, 45), (45, 52), (52, 55)
_CONVERTING, _PROFILING, _STORING = (55, 87), (87, 97), (97, 99)
_PIECE = 4 * 1024**2  # bytes hashed between two looks at whether to stop


@dataclass(frozen=True)
class Web:
    """An address, the request headers for it, and where its file lies: what is there already is gone on with."""

    url: str
    headers: Mapping[str, str]
    path: Path


@dataclass(frozen=True)
class Local:
    """A file on this machine, which is only read; `found`: what was taken for granted of how it came."""

    path: Path
    name: str
    bytes: int
    sha256: str
    found: Mapping[str, Any] = field(default_factory=dict)


Source: TypeAlias = Web | Local


@dataclass(frozen=True)
class Fetched:
    """`path` is the Parquet file, inside the work folder; `source_*` are of the file as it was transferred.

    `found` is how it was read. `skipped` rows could not be and were left out; `first_skipped` tells of the first.
    """

    path: Path
    rows: int
    columns: list[Column]
    source_bytes: int
    source_sha256: str
    stored_bytes: int
    stored_sha256: str
    suggested_name: str
    found: dict[str, Any] = field(default_factory=dict)
    profile: list[dict[str, Any]] = field(default_factory=list)
    skipped: int = 0
    first_skipped: dict[str, Any] | None = None


def to_parquet(
    source: Source,
    work: Path,
    *,
    reading: Reading = Reading(),  # noqa: B008  # it cannot change
    policy: Policy,
    limits: Limits,
    allow: Allow = lambda count: None,
    measured: Callable[[int], object] = lambda size: None,
    memory_mb: int = MEMORY_MB,
    threads: int = THREADS,
    stop: Stop,
    meter: Meter,
) -> Fetched:
    """Make a dataset's file in `work`, an existing folder for this fetch alone; `reading`: what the user says of it.

    `meter` says how far it is, to whoever reads it; `measured` is told the size of the file once it is here.
    Raises `Stopped`, or `Fault` with the reason; what is left in `work`, and the downloaded file, are the caller's to
    remove.
    """
    try:
        return _Fetch(work, reading, policy, limits, allow, measured, memory_mb, threads, stop, meter).run(source)
    except OSError as problem:
        if problem.errno in (errno.ENOSPC, errno.EDQUOT):
            raise Fault("disk_full", passing=True) from problem
        raise


@dataclass(frozen=True)
class _Read:
    converted: Converted
    sniffed: Sniffed
    replaced: Replaced = Replaced()  # noqa: RUF009  # it cannot change


@dataclass(frozen=True)
class _Fetch:
    work: Path
    reading: Reading
    policy: Policy
    limits: Limits
    allow: Allow
    measured: Callable[[int], object]
    memory_mb: int
    threads: int
    stop: Stop
    meter: Meter

    def run(self, source: Source) -> Fetched:
        if isinstance(source, Local):
            return self._read(source)
        with web_pages.explaining(source.url, source.path) as page:
            came, page.reached = self._downloaded(source)
            return self._read(came)

    def _read(self, came: Local) -> Fetched:
        self.measured(came.bytes)
        plain, peeled = self._unpacked(came.path)
        sniffed = sniff.sniff(plain, self.reading)
        target = self.work / "data.parquet"
        read = self._converted(plain, sniffed, target, keep=came.path)
        for left in (plain, self.work / "decoded", self.work / "plain"):
            if left != came.path:
                left.unlink(missing_ok=True)
        converted = read.converted
        self.meter.step("profiling", _PROFILING)
        found = profile(
            target,
            converted.columns,
            work=self.work,
            threads=self.threads,
            stop=self.stop,
            report=lambda share: self.meter.moved(share, 1),
        )
        self.meter.step("storing", _STORING)
        stored_sha256 = _hashed(target, self.stop, self.meter)
        return Fetched(
            path=target,
            rows=converted.rows,
            columns=converted.columns,
            source_bytes=came.bytes,
            source_sha256=came.sha256,
            stored_bytes=target.stat().st_size,
            stored_sha256=stored_sha256,
            suggested_name=named.suggested(came.name),
            found={**_found(read, peeled, came.name, self.reading), **came.found},
            profile=found,
            skipped=converted.skipped,
            first_skipped=converted.first_skipped,
        )

    def _downloaded(self, source: Web) -> tuple[Local, str]:
        """The file, and the address that it came from in the end."""
        self.meter.step("connecting", _CONNECTING)
        begun = False

        def received(size: int, total: int | None) -> None:
            nonlocal begun
            if not begun:
                self.meter.step("downloading", _DOWNLOADING)
                begun = True
            self.meter.moved(size, total)

        came = download.download(
            source.url,
            source.path,
            headers=source.headers,
            policy=self.policy,
            limits=self.limits,
            stop=self.stop,
            report=received,
            allow=self.allow,
        )
        host = came.final_url.partition("://")[2].partition("/")[0]
        name = came.filename if came.filename and named.stem(came.filename) else host
        assumed = {"ignored_codings": came.ignored, "unsized": came.is_unsized}
        found = {key: value for key, value in assumed.items() if value}
        return Local(source.path, name, came.bytes, came.sha256, found), came.final_url

    def _unpacked(self, path: Path) -> tuple[Path, list[str]]:
        if unpack.packing_of(path):
            self.meter.step("unpacking", _UNPACKING)
        return unpack.unpacked(
            path,
            self.work,
            member=self.reading.member,
            limits=self.limits,
            stop=self.stop,
            report=lambda read, size, written: self.meter.moved(read, size, bytes=written),
        )

    def _converted(self, plain: Path, sniffed: Sniffed, target: Path, *, keep: Path) -> _Read:
        written = sniffed.written
        if written is None:
            return _Read(self._convert(plain, sniffed, target, keep), sniffed)
        if written.encoding != UTF8:
            return self._of_decoded(plain, sniffed, target, keep)
        if self.reading.replace_undecodable and encoding.first_undecodable(plain, self.stop):
            return self._of_decoded(plain, self._written_late(plain, sniffed) or sniffed, target, keep)
        try:
            converted = self._convert(plain, sniffed, target, keep)
        except Fault as fault:
            place = encoding.first_undecodable(plain, self.stop) if encoding.may_be_at_fault(fault) else None
            if place is None:
                raise
            late = self._written_late(plain, sniffed)
            if late is None:
                raise encoding.not_utf8(place) from None
        else:
            is_of_encoding = (converted.first_skipped or {}).get("reason") == "encoding"
            late = self._written_late(plain, sniffed) if is_of_encoding else None
            if late is None:
                return _Read(converted, sniffed)
        target.unlink(missing_ok=True)
        return self._of_decoded(plain, late, target, keep)

    def _written_late(self, plain: Path, sniffed: Sniffed) -> Sniffed | None:
        """Its beginning was ASCII, and the rest is not UTF-8: what it may be."""
        if self.reading.encoding:
            return None
        likely = encoding.late(plain, self.reading, self.stop)
        return replace(sniffed, written=Written(likely.encoding, likely)) if likely else None

    def _of_decoded(self, plain: Path, sniffed: Sniffed, target: Path, keep: Path) -> _Read:
        self.meter.step("decoding", _DECODING)
        decoded, written = self.work / "decoded", sniffed.written or Written()
        replaced = encoding.to_utf8(
            plain, decoded, written.encoding, self.reading, stop=self.stop, report=self.meter.moved
        )
        if plain != keep:
            plain.unlink()
        return _Read(self._convert(decoded, sniffed, target, keep), sniffed, replaced)

    def _convert(self, plain: Path, sniffed: Sniffed, target: Path, keep: Path) -> Converted:
        if sniffed.format == "ndjson" and plain == keep:  # a byte order mark in it is going to be blanked
            plain = ndjson_source.own_copy(plain, self.work / "plain", self.stop)
        self.meter.step("converting", _CONVERTING)
        return convert.convert(
            plain,
            sniffed,
            target,
            work=self.work,
            reading=self.reading,
            memory_mb=self.memory_mb,
            threads=self.threads,
            max_bytes=self.limits.max_bytes,
            stop=self.stop,
            report=lambda share: self.meter.moved(share, 1),
        )


def _found(read: _Read, peeled: list[str], name: str, reading: Reading) -> dict[str, Any]:
    sniffed, converted, replaced = read.sniffed, read.converted, read.replaced
    found: dict[str, Any] = {"format": sniffed.format}
    if sniffed.written:
        found["encoding"] = sniffed.written.encoding
        if likely := sniffed.written.guess:
            found |= {"encoding_guessed": True, "encodings": list(likely.fitting)}
    if replaced.first:
        found["replaced"] = {"count": replaced.count, **asdict(replaced.first)}
    if dialect := sniffed.dialect:
        quote = "" if converted.bare else dialect.quote
        found |= {"delimiter": dialect.delimiter, "quote": quote, "header": dialect.header}
        found["header_by"] = dialect.header_by
        lines = {"skip_rows": dialect.skip, "above": list(dialect.above), "footer_rows": reading.footer_rows}
        found |= {name: value for name, value in lines.items() if value}
        if dialect.header:
            found["header_row"] = dialect.skip + 1
    if peeled:
        found["packed"] = peeled
    more = {"sheet": converted.sheet, "wide": converted.wide, "converted": converted.converted}
    more["named"] = named.otherwise(name, sniffed.format, peeled)
    return found | {name: value for name, value in more.items() if value} | converted.found


def _hashed(path: Path, stop: Stop, meter: Meter) -> str:
    digest, size = hashlib.sha256(), path.stat().st_size
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            stop.check()
            digest.update(piece)
            meter.moved(file.tell(), size)
    stop.check()
    return digest.hexdigest()
