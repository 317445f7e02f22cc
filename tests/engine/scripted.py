"""A server that plays a script: answers by path, used in order, the last one again."""

import base64
import socket
from collections.abc import Sequence
from typing import Any

from tests.engine.servers import Site


class Script:
    """Lets a site answer the fetch of one of `tests.cases.SERVERS`; `url` is the address to be fetched.

    A key of its answers is a path, `GET exact` (the fetch's, byte for byte) or `HEAD *`. An answer has `status`,
    `headers` (also `headers_latin1`, `headers_utf8`: how their values are written), `body` or `body64`; it may hold
    `unless_cookie` (until that cookie comes) and `cut_after` (so many bytes of its body, then the connection breaks).
    """

    def __init__(self, site: Site, case: dict[str, Any]) -> None:
        self.url = site.url(case["fetch"])
        self._site, self._answers, self._given = site, case["answers"], dict[str, int]()
        for key in self._answers:
            site.on(case["fetch"] if key in ("GET exact", "HEAD *") else key, self._answer)

    def _answer(self, sock: socket.socket, request: str) -> None:
        method, path, _ = request.split(" ", 2)
        key = "HEAD *" if method == "HEAD" and "HEAD *" in self._answers else path
        key = key if key in self._answers else "GET exact"
        answer = self._next(key, self._answers[key], request)
        body = base64.b64decode(answer["body64"]) if "body64" in answer else answer.get("body", "").encode()
        head = [f"HTTP/1.1 {answer['status']} Scripted".encode(), b"Content-Length: %d" % len(body)]
        for kind, written in (("headers", "ascii"), ("headers_latin1", "latin-1"), ("headers_utf8", "utf-8")):
            head += [f"{name}: {value}".encode(written) for name, value in answer.get(kind, {}).items()]
        sent = b"" if method == "HEAD" else body[: answer.get("cut_after")]
        sock.sendall(b"\r\n".join(head) + b"\r\n\r\n" + sent)

    def _next(self, key: str, answers: Sequence[dict[str, Any]], request: str) -> dict[str, Any]:
        at = min(self._given.get(key, 0), len(answers) - 1)
        cookie = answers[at].get("unless_cookie")
        if cookie and any(cookie in line for line in request.split("\r\n") if line.lower().startswith("cookie:")):
            at += 1
        self._given[key] = at if answers[at].get("unless_cookie") else at + 1
        return answers[at]
