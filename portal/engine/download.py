"""An address becomes a file on disk: guarded at each hop, bounded in bytes and time, hashed on the way."""

import errno
import hashlib
import http.client
import ssl
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import TypeAlias
from urllib.parse import unquote, urljoin, urlsplit

from portal.engine import guard
from portal.engine.connection import Connection, Watch
from portal.engine.stop import Stop
from portal.errors import Fault

USER_AGENT = "DataStation/1"
CHUNK = 256 * 1024
REPORT_SECONDS = 0.25
REDIRECTS = {301, 302, 303, 307, 308}
BUSY = {408, 425, 429}

Report: TypeAlias = Callable[[int, int | None], object]


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


def download(url: str, path: Path, *, policy: guard.Policy, limits: Limits, stop: Stop, report: Report) -> Download:
    """Write what the address answers to `path`; `report` gets the bytes so far (first 0) and the total, if known.

    Raises `Stopped`, or a `Fault` that says what was wrong with the address, the server or the connection.
    """
    with Watch(limits.max_seconds) as watch, stop.interrupting(watch.cut):
        try:
            return _follow(url, path, policy, limits, watch, stop, report)
        except (OSError, http.client.HTTPException) as problem:
            stop.check()
            if watch.expired:
                raise _out_of_time(watch, limits, "no_answer") from problem
            raise _fault(problem) from problem


def _follow(
    url: str, path: Path, policy: guard.Policy, limits: Limits, watch: Watch, stop: Stop, report: Report
) -> Download:
    secure = False
    for _ in range(limits.max_redirects + 1):
        address = guard.check_url(url, policy)
        if secure and address.scheme == "http":
            raise Fault("redirect_insecure")
        secure = address.scheme == "https"
        sockaddrs = guard.resolve(address, policy, stop)
        with closing(Connection(address, sockaddrs, watch, limits.connect_seconds)) as connection:
            connection.request("GET", address.target, headers=_headers(address))
            watch.allow(limits.stall_seconds)
            with connection.getresponse() as response:
                if watch.expired:  # headers that were cut look like headers that ended
                    raise _out_of_time(watch, limits, "no_answer")
                location = response.headers["Location"]
                if response.status not in REDIRECTS or not location:
                    _check(response, limits)
                    size, sha256 = _receive(response, path, limits, watch, stop, report)
                    kind = response.headers.get_content_type() if "Content-Type" in response.headers else None
                    return Download(size, sha256, address.url, kind, _filename(response, address))
                url = urljoin(address.url, _utf8(location.strip()))
    raise Fault("too_many_redirects", limit=limits.max_redirects)


def _headers(address: guard.Address) -> dict[str, str]:
    return {"Host": address.authority, "User-Agent": USER_AGENT, "Accept": "*/*", "Accept-Encoding": "identity"}


def _check(response: http.client.HTTPResponse, limits: Limits) -> None:
    status = response.status
    if status in (404, 410):
        raise Fault("http_not_found", status=status)
    if status in (401, 403, 407):
        raise Fault("http_forbidden", status=status)
    if status not in (200, 203):
        raise Fault("http_status", passing=status >= 500 or status in BUSY, status=status)
    encoding = (response.headers["Content-Encoding"] or "identity").strip().lower()
    if encoding not in ("identity", "gzip", "x-gzip"):
        raise Fault("format_not_supported", found=encoding)
    if (response.length or 0) > limits.max_bytes:
        raise Fault("too_large", limit=limits.max_bytes)


def _receive(
    response: http.client.HTTPResponse, path: Path, limits: Limits, watch: Watch, stop: Stop, report: Report
) -> tuple[int, str]:
    total, received, digest = response.length, 0, hashlib.sha256()
    mark, since = 0, time.monotonic()
    watch.allow(limits.stall_seconds)
    report(received, total)
    with path.open("wb") as file:
        while chunk := _read(response, limits, watch, stop):
            file.write(chunk)
            digest.update(chunk)
            received += len(chunk)
            if received > limits.max_bytes:
                raise Fault("too_large", limit=limits.max_bytes)
            now = time.monotonic()
            if received - mark >= limits.stall_rate * limits.stall_seconds and now - since > REPORT_SECONDS:
                mark, since = received, now
                watch.allow(limits.stall_seconds)
            report(received, total)
    if total is not None and received != total:
        raise Fault("connection_closed", passing=True, received=received, total=total)
    report(received, total)
    return received, digest.hexdigest()


def _read(response: http.client.HTTPResponse, limits: Limits, watch: Watch, stop: Stop) -> bytes:
    """The next bytes, or b"" at the end. A cut socket looks like an end, too, and must not be taken for one."""
    try:
        chunk = response.read1(CHUNK)
    except (OSError, ValueError, http.client.HTTPException) as problem:
        stop.check()
        if watch.expired:
            raise _out_of_time(watch, limits, "too_slow") from problem
        raise Fault("connection_closed", passing=True, received=None, total=None) from problem
    stop.check()
    if watch.expired:
        raise _out_of_time(watch, limits, "too_slow")
    return chunk


def _out_of_time(watch: Watch, limits: Limits, code: str) -> Fault:
    if watch.overran:
        return Fault("too_long", passing=True, seconds=int(limits.max_seconds))
    return Fault(code, passing=True)


def _fault(problem: Exception) -> Exception:
    match problem:
        case ssl.SSLCertVerificationError():
            return Fault("tls_failed", reason=problem.verify_message)
        case ssl.SSLError():
            return Fault("tls_failed", passing=True, reason=(problem.reason or "handshake").replace("_", " ").lower())
        case http.client.RemoteDisconnected() | http.client.IncompleteRead() | ConnectionResetError():
            return Fault("connection_closed", passing=True, received=None, total=None)
        case http.client.HTTPException():
            return Fault("bad_answer")
        case OSError(errno=errno.ENOSPC | errno.EDQUOT):
            return problem
        case _:
            return Fault("connection_failed", passing=True)


def _filename(response: http.client.HTTPResponse, address: guard.Address) -> str | None:
    said = Message()
    said["Content-Disposition"] = _utf8(response.headers["Content-Disposition"] or "")
    name = said.get_filename() or unquote(urlsplit(address.url).path)
    name = name.replace("\\", "/").rpartition("/")[2]
    name = "".join(character for character in name if character.isprintable()).strip()
    return name[-120:] or None


def _utf8(header: str) -> str:
    """Headers are read as Latin-1; servers that send names in UTF-8 are the rule."""
    try:
        return header.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return header
