"""Answers to range requests, written byte by byte: what a server sends for one request after the other."""

import re
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tests.engine.servers import head

LINES = 100
CONTENT = b"".join(b"%05d\n" % number for number in range(LINES))
OTHER = b"".join(b"%05d\n" % (90_000 + number) for number in range(LINES))
SIZE = len(CONTENT)
ETAG, OTHER_ETAG = '"one"', '"two"'

Answer = Callable[[str], bytes]


@dataclass
class Script:
    """Gives its answers in order, the last one again and again; a connection ends with each."""

    answers: Sequence[Answer]
    asked: int = 0

    def __call__(self, sock: socket.socket, request: str) -> None:
        answer = self.answers[min(self.asked, len(self.answers) - 1)]
        self.asked += 1
        sock.sendall(answer(request))


def begin_of(request: str) -> int | None:
    """Where the range that was asked for begins; None if none was."""
    found = re.search(r"^Range: bytes=(\d+)-\r?$", request, re.MULTILINE)
    return int(found[1]) if found else None


def answer(
    status: str,
    body: bytes,
    *,
    cut: int | None = None,
    etag: str | None = ETAG,
    length: str | int | None = "",
    chunked: bool = False,
    **headers: str | None,
) -> Answer:
    """A status and a body of which only the first `cut` bytes come; `length` is that of the body unless it is said."""
    named = {"ETag": etag, "Content_Length": str(len(body)) if length == "" else length} | headers
    if chunked:
        named |= {"Content_Length": None, "Transfer_Encoding": "chunked"}
    said = {name: str(value) for name, value in named.items() if value is not None}
    sent = body[:cut]
    if chunked:
        sent = b"%x\r\n%s\r\n" % (len(sent), sent) + (b"0\r\n\r\n" if cut is None else b"")
    return lambda _: head(status, **said) + sent


def full(content: bytes = CONTENT, **more: Any) -> Answer:
    return answer("200 OK", content, **more)


def part(first: int, last: int = SIZE - 1, total: object = SIZE, content: bytes = CONTENT, **more: Any) -> Answer:
    """Bytes of the content, and a `Content-Range` that says so unless another is given."""
    said = {"Content_Range": f"bytes {first}-{last}/{total}"} | more
    return answer("206 Partial Content", content[first : last + 1], **said)


def honest(most: int = SIZE, total: object = SIZE, **more: Any) -> Answer:
    """The next bytes of what was asked for, at the most so many; all of it where no range was."""

    def choose(request: str) -> bytes:
        begin = begin_of(request)
        if begin is None:
            return full(**more)(request)
        if begin >= SIZE:
            return answer("416 No", b"", Content_Range=f"bytes */{SIZE}", **more)(request)
        return part(begin, min(begin + most, SIZE) - 1, total, **more)(request)

    return choose
