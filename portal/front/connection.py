"""One client's connection: each request gets a thread when it is all there, and is answered in its turn."""

import asyncio
import time
from collections.abc import Callable
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, cast

from portal.front import quick, terms
from portal.front.answer import Answer, made, refused
from portal.front.crowd import network_of
from portal.front.rate import Rate
from portal.front.reader import Reader
from portal.front.request import Request
from portal.front.sender import Sender
from portal.incoming import Incoming

if TYPE_CHECKING:
    from portal.front.web import Web


class Phase(Enum):
    IDLE = "between two requests"
    HEAD = "a head is coming"
    BODY = "a body is coming, into memory"
    UPLOAD = "a body is coming, onto the disk"
    WORK = "a thread is at it, or its answer goes out"
    FAREWELL = "all is answered; what still comes is read away"


_WAITING = (Phase.IDLE, Phase.HEAD, Phase.BODY)  # nothing but the client keeps these from going on


class Connection(asyncio.Protocol):
    """Used by the event loop alone."""

    def __init__(self, web: "Web") -> None:
        self._web = web
        self._reader = Reader()
        self._current: Request | None = None
        self._rate = Rate(web.stall_seconds)
        self._counted = ""
        self._farewell = 0  # bytes read away
        self._is_gone = self._is_disk_busy = self._is_half = self._is_paused = False

    # What asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=terms.PIECE_BYTES, low=terms.PIECE_BYTES // 4)
        self._sender = Sender(self._web, self._transport, self._done)
        self._peer: tuple[str, int] = (transport.get_extra_info("peername") or ("", 0))[:2]
        self._here: tuple[str, int] = (transport.get_extra_info("sockname") or ("", 0))[:2]
        self._enter(Phase.HEAD, terms.HEAD_SECONDS)
        self._web.crowd.came(self)
        if not self._web.proxies:
            self._count(self._peer[0])

    def connection_lost(self, _: Exception | None) -> None:
        self._is_gone = True
        self._web.crowd.went(self)
        self._count_no_more()
        self._sender.gone()
        for request in self._reader.requests:
            request.close()
        # A thread that is at it, or at its file, lets go of it itself.
        if self._current and self._phase is not Phase.WORK and not self._is_disk_busy:
            self._current.close()

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        if self._phase is Phase.FAREWELL:
            self._farewell += len(data)
        if self._phase is Phase.IDLE and self._reader.is_in_head:
            self._enter(Phase.HEAD, terms.HEAD_SECONDS)
            if not self._web.proxies:
                self._count(self._peer[0])
        self._go_on()

    def eof_received(self) -> bool:
        """Who has sent all may still wait for the answer."""
        self._is_half = True
        return self._phase is Phase.WORK

    def pause_writing(self) -> None:
        self._sender.writable(False)

    def resume_writing(self) -> None:
        self._sender.writable(True)

    # One request after the other

    def _enter(self, phase: Phase, seconds: float = float("inf")) -> None:
        self._phase, self.since = phase, time.monotonic()
        self._until = self.since + seconds

    def _go_on(self) -> None:
        """Begin the next request, or go on with the one at hand, as far as it is there."""
        if self._is_gone:
            return
        if self._phase is Phase.FAREWELL:
            self._pace()
            return
        current = self._current
        if current is None and self._reader.requests:
            self._begin(self._reader.requests.popleft())
        elif current and self._phase is Phase.BODY and (current.is_whole or current.refused):
            self._work(current)
        elif current and self._phase is Phase.UPLOAD:
            self._write_down(current)
        self._pace()

    def _pace(self) -> None:
        """Read on only where there is room for what comes."""
        current = self._current
        is_asking = self._phase is Phase.WORK and current is not None and not current.is_whole
        is_enough = self._farewell > terms.FAREWELL_BYTES
        if is_asking or is_enough or self._is_disk_busy or self._reader.requests:
            if not self._is_paused:
                self._transport.pause_reading()
            self._is_paused = True
        elif self._is_paused:
            self._transport.resume_reading()
            self._is_paused = False

    def _begin(self, request: Request) -> None:
        self._current, request.is_begun = request, True
        if request.refused or request.incoming or request.is_whole:
            self._work(request)
        else:
            self._enter(Phase.BODY, terms.BODY_SECONDS)
            self._count(request.client(self._peer[0], self._web.proxies))
            self._say_continue(request)

    def _say_continue(self, request: Request) -> None:
        if request.expects:
            self._sender.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _work(self, request: Request) -> None:
        """Have it answered. Of a large body only the head is there at first: the portal says whether it may come."""
        self._count_no_more()
        self._enter(Phase.WORK)
        if request.refused:
            self._refuse(request, request.refused)
        elif answer := quick.answered(request, self._web):
            self._answered(request, answer)
        else:
            request.network = network_of(request.client(self._peer[0], self._web.proxies))
            self._web.pool.submit(partial(self._make, request), request.network, let_go=partial(self._refuse, request))

    def _make(self, request: Request) -> None:
        """In a thread."""
        answer = made(self._web.application, request.environ(self._peer, self._here))
        self._web.loop.call_soon_threadsafe(self._answered, request, answer)

    def _refuse(self, request: Request, status: int) -> None:
        self._answered(request, refused(status, request.target))

    def _answered(self, request: Request, answer: Answer) -> None:
        incoming = request.incoming
        if self._is_gone:
            request.close()
            self._web.pool.submit(answer.close, request.network)
        elif incoming and incoming.is_granted and not incoming.is_whole:
            self._take_in(request, incoming)
        else:
            request.close()
            request.is_lasting = request.is_lasting and request.is_whole and not self._web.is_stopping
            self._sender.send(request, answer)

    def _done(self) -> None:
        request, self._current = self._current, None
        if request and request.is_lasting and not (self._reader.is_deaf and not self._reader.requests):
            self._enter(Phase.HEAD if self._reader.is_in_head else Phase.IDLE, terms.IDLE_SECONDS)
            self._web.loop.call_soon(self._go_on)
        else:
            self._leave(is_read=request is not None and request.is_whole)

    def _leave(self, *, is_read: bool) -> None:
        """Close, so that the answer arrives: whoever has unread data thrown at them loses it."""
        self._enter(Phase.FAREWELL, terms.FAREWELL_SECONDS)
        self._reader.is_deaf = True
        if is_read or self._is_half:
            self._transport.close()
        else:
            self._pace()
            self._transport.write_eof()

    # Large bodies

    def _take_in(self, request: Request, incoming: Incoming) -> None:
        self._enter(Phase.UPLOAD, self._web.body_seconds)
        self._count(request.client(self._peer[0], self._web.proxies))
        self._rate.rest()
        self._say_continue(request)
        self._on_disk(lambda: incoming.open(self._web.folder))

    def _write_down(self, request: Request) -> None:
        """Put onto the disk what has come; when all is there, the portal goes on with it."""
        incoming = request.incoming
        if self._is_disk_busy or incoming is None:
            return
        if incoming.failure or request.refused:
            request.is_whole, incoming.is_whole = False, True
            self._work(request)
        elif request.body and (request.is_whole or len(request.body) >= terms.PIECE_BYTES):
            piece = bytes(request.body)
            request.body.clear()
            self._on_disk(lambda: incoming.write(piece))
        elif incoming.is_whole:
            self._work(request)
        elif request.is_whole:
            self._on_disk(incoming.finish)

    def _on_disk(self, step: Callable[[], None]) -> None:
        self._is_disk_busy = True
        self._web.on_disk(step, self._disk_done)
        self._pace()

    def _disk_done(self) -> None:
        self._is_disk_busy = False
        if self._is_gone and self._current:
            self._current.close()
        self._go_on()

    # Who is late

    @property
    def is_waiting(self) -> bool:
        return self._phase in _WAITING

    @property
    def held(self) -> int:
        """Bytes in memory."""
        return self._sender.held + self._reader.held + (len(self._current.body) if self._current else 0)

    def look(self, now: float) -> None:
        """End it if its time is up, or if it is too slow."""
        is_over = now > self._until
        if self._sender.is_late(now):
            self.cut()
        elif self._phase is Phase.IDLE:
            if is_over or self._web.is_stopping:
                self.cut()
        elif self._phase is Phase.FAREWELL:
            if is_over and not self._sender.held:
                self.cut()
        elif self._phase is Phase.UPLOAD:
            if not self._is_disk_busy and (is_over or self._rate.is_too_slow(now, self._reader.received)):
                self.late()
        elif is_over:
            self.late()

    def late(self) -> None:
        """Say that time is up, where somebody asked something."""
        if self._current and self._phase in (Phase.BODY, Phase.UPLOAD):
            self._current.refuse(408)
            self._reader.is_deaf = True
            self._go_on()
        elif self._reader.is_in_head:
            self._reader.refuse(408)
            self._go_on()
        else:
            self.cut()

    def cut(self) -> None:
        self._transport.abort()

    def _count(self, client: str) -> None:
        self._count_no_more()
        self._counted = self._web.crowd.begins(self, client)

    def _count_no_more(self) -> None:
        if self._counted:
            self._web.crowd.ends(self, self._counted)
        self._counted = ""
