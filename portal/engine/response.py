"""What an HTTP response says of the file it brings, and what to say of one that did not come."""

import errno
import http.client
import ssl
from email.message import Message
from urllib.parse import unquote, urlsplit

from portal.engine.guard import Address
from portal.engine.resume import Noted
from portal.errors import Fault


def noted(url: str, response: http.client.HTTPResponse, address: Address) -> Noted:
    """`url` is what was asked for, `address` what answered."""
    etag = (response.headers["ETag"] or "").strip()
    kind = response.headers.get_content_type() if "Content-Type" in response.headers else None
    return Noted(
        url=url,
        final_url=address.url,
        etag=etag if etag.startswith('"') else None,  # a weak one says nothing of single bytes
        modified=(response.headers["Last-Modified"] or "").strip() or None,
        total=response.length if response.status == 200 else None,
        content_type=kind,
        filename=_filename(response, address),
    )


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


def _filename(response: http.client.HTTPResponse, address: Address) -> str | None:
    said = Message()
    said["Content-Disposition"] = utf8(response.headers["Content-Disposition"] or "")
    name = said.get_filename() or unquote(urlsplit(address.url).path)
    name = name.replace("\\", "/").rpartition("/")[2]
    name = "".join(character for character in name if character.isprintable()).strip()
    return name[-120:] or None


def utf8(header: str) -> str:
    """Headers are read as Latin-1; servers that send names in UTF-8 are the rule."""
    try:
        return header.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return header
