"""One answer as it goes out: made and pulled in a thread, piece by piece, sent by the event loop."""

import re
from collections.abc import Callable, Iterable, Iterator
from email.utils import formatdate
from http import HTTPStatus
from typing import Any

from loguru import logger

from portal.front import terms
from portal.front.refusals import refusal

Application = Callable[..., Iterable[bytes]]
_BREAK = re.compile(r"[\r\n\0]")
_PHRASES = {status.value: status.phrase for status in HTTPStatus}
_OWN = ("connection", "date", "keep-alive", "server", "transfer-encoding")  # headers that are the front's alone


class Answer:
    """`piece` is what is to be sent next; when `is_whole`, nothing comes after it."""

    def __init__(self, status: int, headers: list[tuple[str, str]], body: Iterable[bytes] = ()) -> None:
        self.status, self.headers = status, headers
        self.piece, self.is_whole, self.is_broken = b"", False, False
        self._body = body
        self._pieces: Iterator[bytes] = iter(body)

    def pull(self) -> None:
        """Have the next piece; `is_broken` says that the rest will not come."""
        pieces, size = [], 0
        try:
            for piece in self._pieces:
                pieces.append(piece)
                size += len(piece)
                if size >= terms.PIECE_BYTES:
                    break
            else:
                self.is_whole = True
        except Exception as error:  # noqa: BLE001  # whatever it is, the client must see that it is not whole
            logger.opt(exception=error).error("front: an answer breaks off")
            self.is_broken = True
        self.piece = b"".join(pieces)
        if self.is_whole or self.is_broken:
            self.close()

    def close(self) -> None:
        """Let go of what the application holds for it; not in the event loop."""
        try:
            if close := getattr(self._body, "close", None):
                close()
        except Exception as error:  # noqa: BLE001  # the answer is over
            logger.opt(exception=error).error("front: close")
        self._body = ()

    def head(self, *, version: str, is_lasting: bool, is_bare: bool, is_chunked: bool) -> bytes:
        """The status line and the headers; a `is_bare` answer has no body, whatever it says of its length."""
        date = formatdate(usegmt=True)
        lines = [f"HTTP/1.1 {self.status} {_PHRASES.get(self.status, '')}", f"Date: {date}"]
        has_length = False
        for name, value in self.headers:
            if name.lower() not in _OWN:
                lines.append(f"{name}: {value}")
                has_length = has_length or name.lower() == "content-length"
        if is_chunked:
            lines.append("Transfer-Encoding: chunked")
        elif not has_length and self.is_whole and not is_bare:
            lines.append(f"Content-Length: {len(self.piece)}")
        if not is_lasting:
            lines.append("Connection: close")
        elif version == "1.0":
            lines.append("Connection: keep-alive")
        return "\r\n".join((*lines, "", "")).encode("latin-1")

    @property
    def length(self) -> int | None:
        """What it says of its length."""
        for name, value in self.headers:
            if name.lower() == "content-length" and value.isdigit():
                return int(value)
        return None


def refused(status: int, target: bytes) -> Answer:
    """One of the front's own."""
    headers, body = refusal(status, target)
    answer = Answer(status, headers, [body])
    answer.pull()
    return answer


def made(application: Application, environ: dict[str, Any]) -> Answer:
    """What the application answers, with its first piece."""
    started: list[tuple[int, list[tuple[str, str]]]] = []

    def start(status: str, headers: list[tuple[str, str]], _: object = None) -> Callable[[bytes], None]:
        started[:] = [(int(status[:3]), headers)]
        return _no_write

    try:
        body = application(environ, start)
        answer = Answer(*(started or [(500, [])])[0], body)
        answer.pull()
    except Exception as error:  # noqa: BLE001  # Flask answers its own; this is a fault around it
        logger.opt(exception=error).error("front")
        return refused(500, environ["REQUEST_URI"].encode("latin-1"))
    if any(_BREAK.search(name + value) for name, value in answer.headers):
        logger.error("front: a header with a line break is not sent")
        answer.is_broken, answer.piece = True, b""
    if answer.is_broken and not answer.piece:
        answer.close()
        return refused(500, environ["REQUEST_URI"].encode("latin-1"))
    return answer


def _no_write(_: bytes) -> None:
    raise NotImplementedError("answers are returned")
