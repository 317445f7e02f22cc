"""What an HTTP response says of the file it brings, and what to say of one that did not come."""

import errno
import http.client
import ssl
from datetime import UTC, datetime
from email.errors import MissingHeaderBodySeparatorDefect
from email.utils import parsedate_to_datetime
from hashlib import sha256
from typing import Any

from portal.engine import file_names, secret_parts
from portal.engine.guard import Address
from portal.engine.resume import Noted
from portal.errors import Fault

BUSY = {408, 425, 429}
REFUSED = {401, 403, 407}
ABSENT = {404, 410}

# Codings that change bytes in a way we do not undo; gzip and zstd are told by the bytes. What else stands in the header
# (utf-8, none, binary, aws-chunked, …) codes nothing, and the bytes are read as they are.
_UNREADABLE = {"br", "compress", "x-compress", "deflate", "exi", "pack200-gzip", "dcb", "dcz", "lz4", "snappy"}
_READABLE = {"", "identity", "gzip", "x-gzip", "zstd"}


def codings_of(response: http.client.HTTPResponse) -> list[str]:
    said = ",".join(response.headers.get_all("Content-Encoding", []))
    return [coding.strip().lower() for coding in said.split(",")]


def noted(url: str, response: http.client.HTTPResponse, address: Address) -> Noted:
    """`url` is what was asked for, `address` what answered."""
    etag = header(response, "ETag")
    charset = response.headers.get_content_charset()
    return Noted(
        address=sha256(url.encode(errors="surrogatepass")).hexdigest(),
        etag=etag if etag.startswith('"') else None,  # a weak one says nothing of single bytes
        modified=_modified(response),
        total=response.length if response.status in (200, 203) else None,
        content_type=response.headers.get_content_type() if "Content-Type" in response.headers else None,
        codings=codings_of(response),
        filename=file_names.named(header(response, "Content-Disposition"), address.target, charset),
    )


def _modified(response: http.client.HTTPResponse) -> str | None:
    """`Last-Modified`, unless the file may have changed again within that second (RFC 9110, section 8.8.2.2)."""
    said = header(response, "Last-Modified")
    try:
        changed = _moment(said)
    except (ValueError, TypeError):
        return None
    try:
        sent = _moment(header(response, "Date"))
    except (ValueError, TypeError):
        sent = datetime.now(UTC)
    return said if (sent - changed).total_seconds() >= 1 else None


def _moment(header: str) -> datetime:
    found = parsedate_to_datetime(header)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def header(response: http.client.HTTPResponse, name: str) -> str:
    """What it says, "" for nothing, as Latin-1, which keeps its bytes."""
    # Not strip() alone: UTF-8 that was read as Latin-1 may end in what looks like a space.
    return str(response.headers[name] or "").strip(" \t")


def check(response: http.client.HTTPResponse, *addresses: str) -> None:
    """Raises `Fault` for an answer that brings no file, or one in a form that cannot be read; `addresses` are those
    that led to it."""
    status = response.status
    signed: dict[str, Any] = {"reason": "expired"} if any(map(secret_parts.is_signed, addresses)) else {}
    if status in ABSENT:
        raise Fault("http_not_found", status=status)
    if status in REFUSED:
        raise Fault("http_forbidden", status=status, **signed)
    if status not in (200, 203, 206):
        passing = status >= 500 or status in BUSY
        raise Fault("http_status", passing=passing, status=status, **(signed if status == 400 else {}))
    _check_framing(response)
    if unreadable := [coding for coding in codings_of(response) if coding in _UNREADABLE]:
        raise Fault("format_not_supported", found=unreadable[0])


def ignored_codings(codings: list[str]) -> list[str]:
    """Those that code nothing."""
    return [coding[:40] for coding in codings if coding not in _READABLE]


def _check_framing(response: http.client.HTTPResponse) -> None:
    """Raises `Fault('bad_answer')` where nobody can tell the end of the body.

    That is so, too, behind a line that is no header: of those that stand after it nothing is known.
    """
    transfer = ",".join(response.headers.get_all("Transfer-Encoding", [])).strip().lower()
    lengths = {length.strip() for said in response.headers.get_all("Content-Length", []) for length in said.split(",")}
    if (
        any(isinstance(defect, MissingHeaderBodySeparatorDefect) for defect in response.headers.defects)
        or (transfer not in ("", "identity") and (transfer != "chunked" or not response.chunked))
        or len(lengths) > 1
        or not all(length.isascii() and length.isdigit() for length in lengths)
    ):
        raise Fault("bad_answer")


def fault_of(problem: Exception) -> Exception:
    """What a broken connection is called; an error of the disk stays as it is."""
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
