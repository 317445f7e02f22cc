"""What a connection has sent, taken apart into requests; bounded at every step."""

from collections import deque

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser

from portal import limits
from portal.front import terms
from portal.front.request import Request


class Reader:
    """`requests` are those whose head is there, in their order; one that is refused is the last."""

    def __init__(self) -> None:
        self.requests: deque[Request] = deque()
        self.is_deaf = False  # nothing is read any more
        self.received = 0
        self._parser = HttpRequestParser(self)
        self._coming: Request | None = None
        self._head_bytes = self._chunk_bytes = 0

    @property
    def is_in_head(self) -> bool:
        """Whether a request has begun whose head is not all there."""
        return self._coming is not None and not self._coming.is_head_whole

    @property
    def held(self) -> int:
        return sum(len(request.body) for request in self.requests) + self._head_bytes

    def feed(self, data: bytes) -> None:
        """Take in what has come."""
        self.received += len(data)
        if self.is_deaf:
            return
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade:  # answered as if nothing but the request had been sent: only HTTP/1.1 is spoken
            self.is_deaf = True
            if self.requests:
                self.requests[-1].is_lasting = False
        except HttpParserError:
            self.refuse(400)
        if coming := self._coming:
            if self.is_in_head:
                self._head_bytes += len(data)
                if self._head_bytes > terms.HEAD_BYTES:
                    coming.refused = coming.refused or 431
            elif coming.is_chunked:  # sizes, extensions and trailers count, too
                self._chunk_bytes += len(data)
                if self._chunk_bytes > terms.CHUNKED_SHARE * limits.BODY_BYTES:
                    coming.refused = coming.refused or 413
            if coming.refused:
                self.refuse(coming.refused)

    def refuse(self, status: int) -> None:
        """Have what is coming answered so, after all that was asked before; and hear nothing more."""
        if self.is_deaf:
            return
        request = self._coming or Request()
        request.refuse(status)
        if request not in self.requests and not request.is_begun:
            self.requests.append(request)
        self._coming, self.is_deaf = None, True

    # What the parser calls; it wraps what is raised, so that nothing is raised

    def on_message_begin(self) -> None:
        if not (self._coming and self._coming.refused):  # else what follows is not heard
            self._coming, self._head_bytes, self._chunk_bytes = Request(), 0, 0

    def on_url(self, part: bytes) -> None:
        if self._coming and not self._coming.refused:
            self._coming.target += part
            if len(self._coming.target) > terms.TARGET_BYTES:
                self._coming.refused = 414

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._coming and not self._coming.refused and not self._coming.is_head_whole:  # what trails is no header
            self._coming.headers.append((name.lower(), value))
            self._coming.head_bytes += len(name) + len(value)
            if self._coming.head_bytes > terms.HEAD_BYTES or len(self._coming.headers) > terms.HEADERS:
                self._coming.refused = 431

    def on_headers_complete(self) -> None:
        if (request := self._coming) and not request.is_head_whole:
            request.head_read(
                self._parser.get_method().decode("latin-1"),
                self._parser.get_http_version(),
                is_lasting=self._parser.should_keep_alive(),
            )
            self._head_bytes = 0
            if len(self.requests) >= terms.PIPELINED:
                request.refused = 400
            self.requests.append(request)

    def on_body(self, data: bytes) -> None:
        if (request := self._coming) and not request.refused:
            request.body += data
            if not request.incoming and len(request.body) > limits.BODY_BYTES:
                request.refused = 413

    def on_message_complete(self) -> None:
        if (request := self._coming) and not request.refused:
            request.is_whole, self._coming = True, None
