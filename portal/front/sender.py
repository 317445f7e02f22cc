"""Answers on their way to the client: never more in memory than a piece, and no thread waits for who does not read."""

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from portal.front import terms
from portal.front.answer import Answer
from portal.front.rate import Rate
from portal.front.request import Request

if TYPE_CHECKING:
    from portal.front.web import Web


class Sender:
    """Of one connection, used by the event loop alone; `done` is called when an answer has been handed over."""

    def __init__(self, web: "Web", transport: asyncio.Transport, done: Callable[[], None]) -> None:
        self._web, self._transport, self._done = web, transport, done
        self._answer: Answer | None = None
        self._network = ""
        self._rate = Rate(web.stall_seconds)
        self._until = float("inf")
        self._written = 0
        self._is_chunked = self._is_pulling = self._is_gone = False
        self._is_writable = True

    def write(self, data: bytes) -> None:
        self._written += len(data)
        self._transport.write(data)

    def send(self, request: Request, answer: Answer) -> None:
        """Head and first piece now, the rest as the client takes it."""
        is_bare = request.method == "HEAD" or answer.status in (204, 304)
        is_endless = answer.length is None and not answer.is_whole and not is_bare
        self._is_chunked = is_endless and request.version == "1.1"
        if is_endless and not self._is_chunked:
            request.is_lasting = False
        self._network = request.network
        head = answer.head(
            version=request.version, is_lasting=request.is_lasting, is_bare=is_bare, is_chunked=self._is_chunked
        )
        if is_bare:
            answer.piece, answer.is_whole = b"", True
            self._web.pool.submit(answer.close, self._network)
        elif not answer.is_whole:
            self._until = time.monotonic() + terms.ANSWER_SECONDS
        self._answer = answer
        self._send_piece(head)

    def writable(self, is_writable: bool) -> None:
        self._is_writable = is_writable
        if is_writable and self._answer:
            self._pull(self._answer)

    def is_late(self, now: float) -> bool:
        """Whether the client takes too little of what is there for it, or takes too long in all."""
        waiting = self.held
        if not waiting:
            self._rate.rest()
        return now > self._until or (waiting > 0 and self._rate.is_too_slow(now, self._written - waiting))

    @property
    def held(self) -> int:
        return 0 if self._is_gone else self._transport.get_write_buffer_size()

    def gone(self) -> None:
        """The connection is no more."""
        self._is_gone = True
        if self._answer and not self._is_pulling:
            self._web.pool.submit(self._answer.close, self._network)

    def _send_piece(self, head: bytes = b"") -> None:
        answer = self._answer
        if answer is None:
            return
        piece, answer.piece = answer.piece, b""
        if self._is_chunked and piece:
            piece = b"%x\r\n%b\r\n" % (len(piece), piece)
        if self._is_chunked and answer.is_whole:
            piece += b"0\r\n\r\n"
        self.write(head + piece)
        if answer.is_broken:
            self._answer = None
            self._transport.abort()
        elif answer.is_whole:
            self._answer, self._until = None, float("inf")
            self._done()
        elif self._is_writable:
            self._pull(answer)

    def _pull(self, answer: Answer) -> None:
        """Have a thread make the next piece."""
        if self._is_pulling:
            return
        self._is_pulling = True

        def step() -> None:
            answer.pull()
            self._web.loop.call_soon_threadsafe(self._pulled, answer)

        self._web.pool.submit(step, self._network)

    def _pulled(self, answer: Answer) -> None:
        self._is_pulling = False
        if self._is_gone:
            self._web.pool.submit(answer.close, self._network)
        else:
            self._send_piece()
