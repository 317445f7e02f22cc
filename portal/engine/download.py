"""An address becomes a file on disk: guarded at each hop, bounded in bytes and time, hashed, resumed after a fault."""

import http.client
import re
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias
from urllib.parse import urljoin

from portal.engine import guard
from portal.engine.connection import Connection, Watch
from portal.engine.response import fault_of, noted, utf8
from portal.engine.resume import Noted, Part, held
from portal.engine.stop import Stop
from portal.errors import Fault

USER_AGENT = "DataStation/1"
CHUNK = 256 * 1024
REPORT_SECONDS = 0.25
REDIRECTS = {301, 302, 303, 307, 308}
BUSY = {408, 425, 429}
ALLOWED_BLOCK = 8 * 1024**2
# A connection that breaks is made again at once: as long as each try brings so much, else so many times.
PROGRESS, TRIES = 1024**2, 3
AGAIN = {"connection_closed", "connection_failed", "too_slow", "no_answer"}

_ENCODINGS = {"identity", "gzip", "x-gzip", "zstd"}
_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")

Report: TypeAlias = Callable[[int, int | None], object]
Allow: TypeAlias = Callable[[int], object]


@dataclass(frozen=True)
class Limits:
    """Bytes and seconds. Less than `stall_rate` bytes a second over `stall_seconds` is a stall;
    unpacking to more than `max_ratio` times the size, once past `ratio_after` bytes, is a bomb."""

    max_bytes: int = 2 * 1024**3
    max_seconds: float = 1500
    stall_seconds: float = 30
    stall_rate: int = 1024
    connect_seconds: float = 5
    max_redirects: int = 5
    max_ratio: int = 200
    ratio_after: int = 16 * 1024**2


@dataclass(frozen=True)
class Download:
    """What arrived, as transferred: `bytes` and `sha256` are of the file at the path that was given."""

    bytes: int
    sha256: str
    final_url: str
    content_type: str | None
    filename: str | None


def download(
    url: str,
    path: Path,
    *,
    headers: Mapping[str, str] | None = None,
    policy: guard.Policy,
    limits: Limits,
    stop: Stop,
    report: Report,
    allow: Allow = lambda count: None,
) -> Download:
    """Write what the address answers to `path`; `report` gets the bytes so far and the total, if known.

    What an earlier call left at `path` is gone on with, if the server still has the same. `headers` go to the address's
    own origin alone. `allow` is called before so many more bytes are taken, with a negative number for those that did
    not come; it may raise. Raises `Stopped`, or a `Fault` that says what was wrong with the address, the server or the
    connection.
    """
    with Watch(limits.max_seconds) as watch, stop.interrupting(watch.cut), held(path, stop) as part:
        fetch = _Fetch(url, dict(headers or {}), policy, limits, watch, stop, report, _Allowance(allow), part)
        try:
            return fetch.run()
        except (OSError, http.client.HTTPException) as problem:
            stop.check()
            raise fetch.fault(problem) from problem
        finally:
            fetch.allowance.settle()


class _Allowance:
    """Asks for bytes in blocks, and gives back what was not used."""

    def __init__(self, allow: Allow) -> None:
        self._allow, self._left = allow, 0

    def use(self, count: int, expected: int) -> None:
        if count > self._left:
            block = max(count - self._left, min(ALLOWED_BLOCK, expected))
            self._allow(block)
            self._left += block
        self._left -= count

    def settle(self) -> None:
        left, self._left = self._left, 0
        if left:
            self._allow(-left)


class _Anew(Exception):
    """What lies here is not of what the server has now."""


@dataclass(frozen=True)
class _Fetch:
    url: str
    headers: Mapping[str, str]
    policy: guard.Policy
    limits: Limits
    watch: Watch
    stop: Stop
    report: Report
    allowance: _Allowance
    part: Part

    def run(self) -> Download:
        self.part.take_up(self.url)
        idle = 0
        while True:
            before = self.part.size
            try:
                return self._once()
            except _Anew:
                idle += 1
                self.part.start_over()
                if idle >= TRIES:
                    raise Fault("bad_answer") from None
            except (OSError, http.client.HTTPException, Fault) as problem:
                self.stop.check()
                fault = self.fault(problem)
                idle = 0 if self.part.size - before >= PROGRESS else idle + 1
                can_go_on = self.part.noted and self.part.noted.validator and self.part.size
                again = isinstance(fault, Fault) and fault.code in AGAIN and not self.watch.overran
                if not (again and can_go_on and idle < TRIES):
                    raise fault from problem
                self.watch.renew()
                self.stop.check()

    def fault(self, problem: Exception) -> Exception:
        """What to say of it."""
        if isinstance(problem, Fault):
            return problem
        return self._out_of_time("no_answer") if self.watch.expired else fault_of(problem)

    def _once(self) -> Download:
        url, secure, origin = self.url, False, None
        for _ in range(self.limits.max_redirects + 1):
            address = guard.check_url(url, self.policy)
            if secure and address.scheme == "http":
                raise Fault("redirect_insecure")
            secure = address.scheme == "https"
            here = (address.scheme, address.host, address.port)
            origin = origin or here
            sockaddrs = guard.resolve(address, self.policy, self.stop)
            with closing(Connection(address, sockaddrs, self.watch, self.limits.connect_seconds)) as connection:
                # Once away from where they are meant for, they are not sent any more.
                origin = origin if origin == here else ("", "", 0)
                connection.request("GET", address.target, headers=self._headers(address, own=origin == here))
                self.watch.allow(self.limits.stall_seconds)
                with connection.getresponse() as response:
                    if self.watch.expired:  # headers that were cut look like headers that ended
                        raise self._out_of_time("no_answer")
                    location = response.headers["Location"]
                    if response.status not in REDIRECTS or not location:
                        return self._take(response, address)
                    url = urljoin(address.url, utf8(location.strip()))
        raise Fault("too_many_redirects", limit=self.limits.max_redirects)

    def _headers(self, address: guard.Address, *, own: bool) -> dict[str, str]:
        given = self.headers if own else {}
        headers = {"User-Agent": USER_AGENT, "Accept": "*/*"}
        replaced = {name.lower() for name in given}
        headers = {name: value for name, value in headers.items() if name.lower() not in replaced} | dict(given)
        headers |= {"Host": address.authority, "Accept-Encoding": "identity"}
        lies = self.part.noted
        if lies and lies.validator and self.part.size:
            headers |= {"Range": f"bytes={self.part.size}-", "If-Range": lies.validator}
        return headers

    def _take(self, response: http.client.HTTPResponse, address: guard.Address) -> Download:
        said = noted(self.url, response, address)
        if response.status == 416 and self.part.noted:
            if self._is_whole(response, said):
                return self._done(self.part.noted)
            raise _Anew
        self._check(response)
        if not self._goes_on(response, said):
            if response.status == 206:  # of another state, or another part: ask anew for all of it
                raise _Anew
            self.part.start_over()
            self.part.note(said)
        self._receive(response)
        return self._done(self.part.noted or said)

    def _done(self, of: Noted) -> Download:
        return Download(self.part.size, self.part.digest.hexdigest(), of.final_url, of.content_type, of.filename)

    def _same(self, said: Noted) -> bool:
        """Whether the server still has what a part of lies here, as far as it says."""
        lies = self.part.noted
        if lies is None:
            return False
        pairs = ((lies.etag, said.etag), (lies.modified, said.modified))
        return all(one == other for one, other in pairs if one and other)

    def _goes_on(self, response: http.client.HTTPResponse, said: Noted) -> bool:
        if response.status != 206 or not self.part.noted or not self._same(said):
            return False
        place = _RANGE.fullmatch((response.headers["Content-Range"] or "").strip())
        if not place or int(place[1]) != self.part.size:
            return False
        total = self.part.noted.total
        return total is None or place[3] == "*" or int(place[3]) == total

    def _is_whole(self, response: http.client.HTTPResponse, said: Noted) -> bool:
        """A range behind the end: all of it lies here, if the file is still as long."""
        length = (response.headers["Content-Range"] or "").strip().removeprefix("bytes */")
        return self._same(said) and length == str(self.part.size) == str(self.part.noted and self.part.noted.total)

    def _check(self, response: http.client.HTTPResponse) -> None:
        status = response.status
        if status in (404, 410):
            raise Fault("http_not_found", status=status)
        if status in (401, 403, 407):
            raise Fault("http_forbidden", status=status)
        if status not in (200, 203, 206) or (status == 206 and not self.part.noted):
            raise Fault("http_status", passing=status >= 500 or status in BUSY, status=status)
        encoding = (response.headers["Content-Encoding"] or "identity").strip().lower()
        if encoding not in _ENCODINGS:
            raise Fault("format_not_supported", found=encoding)
        if (response.length or 0) > self.limits.max_bytes - (self.part.size if status == 206 else 0):
            raise Fault("too_large", limit=self.limits.max_bytes)

    def _receive(self, response: http.client.HTTPResponse) -> None:
        limits, watch, part = self.limits, self.watch, self.part
        begin, coming = part.size, response.length
        total = None if coming is None else begin + coming
        mark, since = begin, time.monotonic()
        watch.allow(limits.stall_seconds)
        self.report(part.size, total)
        while chunk := self._read(response):
            self.allowance.use(len(chunk), CHUNK if total is None else total - part.size)
            part.add(chunk)
            if part.size > limits.max_bytes:
                raise Fault("too_large", limit=limits.max_bytes)
            now = time.monotonic()
            if part.size - mark >= limits.stall_rate * limits.stall_seconds and now - since > REPORT_SECONDS:
                mark, since = part.size, now
                watch.allow(limits.stall_seconds)
            self.report(part.size, total)
        if total is not None and part.size != total:
            raise Fault("connection_closed", passing=True, received=part.size, total=total)
        self.report(part.size, total)

    def _read(self, response: http.client.HTTPResponse) -> bytes:
        """The next bytes, or b"" at the end. A cut socket looks like an end, too, and must not be taken for one."""
        try:
            chunk = response.read1(CHUNK)
        except (OSError, ValueError, http.client.HTTPException) as problem:
            self.stop.check()
            if self.watch.expired:
                raise self._out_of_time("too_slow") from problem
            raise Fault("connection_closed", passing=True, received=None, total=None) from problem
        self.stop.check()
        if self.watch.expired:
            raise self._out_of_time("too_slow")
        return chunk

    def _out_of_time(self, code: str) -> Fault:
        if self.watch.overran:
            return Fault("too_long", passing=True, seconds=int(self.limits.max_seconds))
        return Fault(code, passing=True)
