"""Large bodies of both doors: files that come in go to disk piece by piece, files that go out can be resumed."""

import unicodedata
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import IO, Any, BinaryIO, cast
from urllib.parse import quote

from flask import Request as FlaskRequest
from flask import Response, request
from werkzeug.datastructures import FileStorage
from werkzeug.exceptions import PreconditionFailed, RequestedRangeNotSatisfiable

from portal import incoming, limits
from portal.errors import Invalid, Unavailable
from portal.extensions import csrf, settings
from portal.incoming import BodyAwaited, Incoming
from portal.models import Export, User
from portal.services import exports, uploads
from portal.services.uploads import Received
from portal.shares import Places

OCTETS = "application/octet-stream"
_places = Places("transfers_too_many", limits.TRANSFERS_SHARE, retry_after=10)


class Request(FlaskRequest):
    """Files of a form stay in memory, for a body ends at 256 KiB; those of `form_file` go to the disk."""

    keeps_files = False

    def _get_file_stream(self, *_: Any, **__: Any) -> IO[bytes]:
        return incoming.nameless(_folder()) if self.keeps_files else BytesIO()


@contextmanager
def body(user: User) -> Iterator[Received]:
    """The body of the user's request as a file; it was announced before. Gone afterwards."""
    size = request.content_length or 0
    request.max_content_length = size + 1  # servers differ in what they say at the very end
    with _coming(user) as sent:
        if sent:
            yield Received(incoming.path_of(sent.file), sent.bytes, sent.sha256)
            return
        with _stored() as file:
            yield uploads.receive(request.stream, file, size)


@contextmanager
def form_file(user: User, field: str) -> Iterator[tuple[str, Received]]:
    """The name and the content of a file in the user's form. Gone afterwards.

    The view is exempt from the general CSRF check, which is made here: it reads the whole form, and strangers must not
    make us do that.
    """
    size = request.content_length or 0
    request.max_content_length = size + 1
    with _coming(user), _stored_form() as form:
        csrf.protect()
        sent: FileStorage | None = form.files.get(field)
        if sent is None or not sent.filename:
            raise Invalid("file_missing_in_form", field="file")
        yield sent.filename, uploads.measured(sent.stream)


@contextmanager
def _coming(user: User) -> Iterator[Incoming | None]:
    """A place among the transfers. Where the front has shown us no more than a large body's headers, ask for the body:
    raises `BodyAwaited`, and the view is called again when it is there.
    """
    sent: Incoming | None = request.environ.get(incoming.ENVIRON)
    if sent is None:
        with _places.place(user.id):
            yield None
        return
    if not sent.is_whole:
        sent.grant(_places.take(user.id))
        raise BodyAwaited
    if sent.failure:
        raise Unavailable("storage_full") from sent.failure
    yield sent


@contextmanager
def _stored() -> Iterator[BinaryIO]:
    try:
        with incoming.nameless(_folder()) as file:
            yield file
    except OSError as error:
        raise Unavailable("storage_full") from error


@contextmanager
def _stored_form() -> Iterator[Request]:
    form = cast(Request, request)
    form.keeps_files = True
    try:
        yield form
    except OSError as error:
        raise Unavailable("storage_full") from error
    finally:
        form.close()


def _folder() -> Path:
    return settings().instance_path / "incoming"


def download(export: Export) -> Response:
    """The file of an export, or the part of it that is asked for; ETag and Repr-Digest (RFC 9530) are of the whole.

    Conditions are those of RFC 9110. Raises `PreconditionFailed`, `RequestedRangeNotSatisfiable`, `Unavailable`.
    """
    etag = f'"{export.sha256}"'
    if request.if_match and export.sha256 not in request.if_match:
        raise PreconditionFailed
    if request.if_none_match.contains_weak(export.sha256):
        return Response(status=304, headers={"ETag": etag})
    start, end, status = 0, export.bytes, 200
    if part := _part(etag, export.bytes):
        (start, end), status = part, 206
    asked = request.accept_mimetypes.best  # generated clients that know no other type of bytes ask for this one
    answer = Response(status=status, content_type=OCTETS if asked == OCTETS else export.media_type)
    answer.vary.add("Accept")
    answer.headers["ETag"] = etag
    answer.headers["Accept-Ranges"] = "bytes"
    answer.headers["Content-Length"] = str(end - start)
    answer.headers["Content-Disposition"] = disposition(export.filename)
    answer.headers["Repr-Digest"] = f"sha-256=:{b64encode(bytes.fromhex(export.sha256)).decode()}:"
    answer.headers["Cache-Control"] = "private, no-cache"
    answer.headers["X-Row-Count"] = str(export.rows)
    if status == 206:
        answer.headers["Content-Range"] = f"bytes {start}-{end - 1}/{export.bytes}"
    if request.method != "HEAD":
        release = _places.take(export.owner_id)
        answer.call_on_close(release)  # also where nobody reads as much as the first piece
        try:
            answer.response = _until_sent(exports.read(export, start, end), release)
        except BaseException:
            release()
            raise
    return answer


def _until_sent(pieces: Iterator[bytes], release: Callable[[], None]) -> Iterator[bytes]:
    try:
        yield from pieces
    finally:
        release()


def _part(etag: str, size: int) -> tuple[int, int] | None:
    """The bytes that are asked for, None for all: several parts, and what is no range of bytes, are not answered."""
    wanted = request.range
    if request.method != "GET" or not wanted or wanted.units != "bytes" or len(wanted.ranges) != 1:
        return None
    if request.headers.get("If-Range", etag) != etag:  # a weak tag, too, says that it may be another file
        return None
    found = wanted.range_for_length(size)
    if found is None:
        raise RequestedRangeNotSatisfiable(length=size)
    return found


def disposition(filename: str) -> str:
    """RFC 6266: the name in UTF-8, and for old programs in ASCII."""
    plain = unicodedata.normalize("NFKD", filename).encode("ascii", "ignore").decode()
    plain = "".join("_" if char in '"\\%' else char for char in plain).strip() or "data"
    plain = f"data{plain}" if plain.startswith(".") else plain
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(filename, safe='')}"
