"""An address becomes a file on disk: guarded at each hop, bounded in bytes and time, hashed, resumed after a fault."""

import http.client
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeAlias

from portal.engine import guard, ranges, redirects, response
from portal.engine.connection import Connection, Watch
from portal.engine.cookies import Cookies
from portal.engine.ranges import Anew, Place
from portal.engine.resume import Part, held
from portal.engine.stop import Stop
from portal.errors import Fault

USER_AGENT = "DataStation/1"
CHUNK = 256 * 1024
REPORT_SECONDS = 0.25
REDIRECTS = {301, 302, 303, 307, 308}
ALLOWED_BLOCK = 8 * 1024**2
# A connection that breaks is made again at once: as long as each try brings so much, else so many times.
PROGRESS, TRIES = 1024**2, 3
AGAIN = {"connection_closed", "connection_failed", "too_slow", "no_answer"}

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
    """What arrived, as transferred: `bytes` and `sha256` are of the file at the path that was given.

    `ignored` are content codings that the server named and that code nothing. `is_unsized`: it never said how long the
    file is, and its end was the end of the connection.
    """

    bytes: int
    sha256: str
    final_url: str
    content_type: str | None
    filename: str | None
    ignored: list[str] = field(default_factory=list)
    is_unsized: bool = False


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
    cookies: Cookies = field(default_factory=Cookies)

    def run(self) -> Download:
        self.part.take_up(self.url)
        idle, mark, since = 0, self.part.size, time.monotonic()
        while True:
            before = self.part.size
            try:
                if came := self._once():
                    return came
            except Anew:
                idle += 1
                self.part.start_over()
                mark, since = 0, time.monotonic()
                if idle >= TRIES:
                    raise Fault("parts_disagree", passing=True) from None
            except (OSError, http.client.HTTPException, Fault) as problem:
                self.stop.check()
                fault = self.fault(problem)
                idle = 0 if self.part.size - before >= PROGRESS else idle + 1
                again = isinstance(fault, Fault) and fault.code in AGAIN and not self.watch.overran
                if not (again and ranges.can_go_on(self.part) and idle < TRIES):
                    raise fault from problem
                self.watch.renew()
                self.stop.check()
            else:  # a part, which servers may send of what was asked for: the next one
                now = time.monotonic()
                if now - since > self.limits.stall_seconds:
                    if self.part.size - mark < self.limits.stall_rate * (now - since):
                        raise Fault("too_slow", passing=True)
                    mark, since = self.part.size, now

    def fault(self, problem: Exception) -> Exception:
        """What to say of it."""
        if isinstance(problem, Fault):
            return problem
        return self._out_of_time("no_answer") if self.watch.expired else response.fault_of(problem)

    def _once(self) -> Download | None:
        """None when it was a part, and more has to be asked for."""
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
                with connection.getresponse() as answer:
                    if self.watch.expired:  # headers that were cut look like headers that ended
                        raise self._out_of_time("no_answer")
                    self.cookies.keep(answer, address)
                    location = answer.headers["Location"]
                    if answer.status not in REDIRECTS or not location:
                        return self._take(answer, address)
                    url = redirects.followed(address, location)
        raise Fault("too_many_redirects", limit=self.limits.max_redirects)

    def _headers(self, address: guard.Address, *, own: bool) -> dict[str, str]:
        given = {name: value for name, value in self.headers.items() if name.lower() != "cookie"} if own else {}
        theirs = [value for name, value in self.headers.items() if name.lower() == "cookie" and own]
        headers = {"User-Agent": USER_AGENT, "Accept": "*/*"}
        replaced = {name.lower() for name in given}
        headers = {name: value for name, value in headers.items() if name.lower() not in replaced} | given
        if cookies := self.cookies.of(address, ";".join(theirs)):
            headers["Cookie"] = cookies
        headers |= {"Host": address.authority, "Accept-Encoding": "identity"}
        lies = self.part.noted
        if lies and lies.validator and self.part.size:
            headers |= {"Range": f"bytes={self.part.size}-", "If-Range": lies.validator}
        return headers

    def _take(self, answer: http.client.HTTPResponse, address: guard.Address) -> Download | None:
        said = response.noted(self.url, answer, address)
        if answer.status == 416 and ranges.can_go_on(self.part):
            if ranges.ends_here(answer, said, self.part):
                return self._done(address)
            raise Anew
        response.check(answer, self.url, address.url)
        place = ranges.place_of(answer, said, self.part)
        if (answer.length or 0) > self.limits.max_bytes - (self.part.size if place.is_part else 0):
            raise Fault("too_large", limit=self.limits.max_bytes)
        if not place.is_part:
            self.part.start_over()
        begun = self.part.noted or said
        if begun.total != place.total or not self.part.noted:
            self.part.note(replace(begun, total=place.total))
        self._receive(answer, place)
        if place.is_part and self.part.size != place.total:
            return None
        is_unsized = place.end is None and not answer.chunked
        return self._done(address, is_unsized=is_unsized)

    def _done(self, address: guard.Address, *, is_unsized: bool = False) -> Download:
        size, digest, of = self.part.size, self.part.digest.hexdigest(), self.part.noted
        kind, name, codings = (of.content_type, of.filename, of.codings) if of else (None, None, [])
        ignored = response.ignored_codings(codings)
        return Download(size, digest, address.url, kind, name, ignored, is_unsized)

    def _receive(self, answer: http.client.HTTPResponse, place: Place) -> None:
        limits, watch, part = self.limits, self.watch, self.part
        mark, since = part.size, time.monotonic()
        watch.allow(limits.stall_seconds)
        self.report(part.size, place.total)
        while chunk := self._read(answer):
            if place.end is not None and part.size + len(chunk) > place.end:
                raise Anew
            self.allowance.use(len(chunk), CHUNK if place.end is None else place.end - part.size)
            part.add(chunk)
            if part.size > limits.max_bytes:
                raise Fault("too_large", limit=limits.max_bytes)
            now = time.monotonic()
            if part.size - mark >= limits.stall_rate * limits.stall_seconds and now - since > REPORT_SECONDS:
                mark, since = part.size, now
                watch.allow(limits.stall_seconds)
            self.report(part.size, place.total)
        if place.end is not None and part.size != place.end:
            raise Fault("connection_closed", passing=True, received=part.size, total=place.total or place.end)
        self.report(part.size, place.total)

    def _read(self, answer: http.client.HTTPResponse) -> bytes:
        """The next bytes, or b"" at the end. A cut socket looks like an end, too, and must not be taken for one."""
        try:
            chunk = answer.read1(CHUNK)
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
