"""An SMTP server on the loopback that does what a test tells it to."""

import base64
import email
import email.policy
import socket
import socketserver
import ssl
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Any, Self


@dataclass(frozen=True)
class Reply:
    """What to say at one point instead: `line` b"" says nothing. `delay` is in seconds; `close` hangs up after it."""

    line: bytes = b""
    delay: float = 0.0
    close: bool = False


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 1024  # a longer queue than there are callers, or some wait a second to connect


class PostOffice:
    """`with PostOffice() as office`. `replies` by point: greeting, EHLO, STARTTLS, AUTH, MAIL, RCPT, DATA, end.

    `tls` is the context for STARTTLS, or, with `wrapped`, for the whole connection.
    """

    def __init__(self, tls: ssl.SSLContext | None = None, *, wrapped: bool = False) -> None:
        self.username, self.password = "mailer", "smtp-secret-of-a-test"
        self.tls, self.wrapped = tls, wrapped
        self.replies: dict[str, Reply] = {}
        self.taken: list[EmailMessage] = []
        self.envelopes: list[tuple[str, str]] = []
        office = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                with suppress(OSError, EOFError), _Talk(office, self.request) as talk:
                    talk.run()

        self._server = _Server(("127.0.0.1", 0), Handler)

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Talk:
    """One connection."""

    def __init__(self, office: PostOffice, line: socket.socket) -> None:
        self.office, self.line = office, line
        self.encrypted = self.known = False
        self.sender = self.recipient = ""
        if office.wrapped and office.tls:
            self._encrypt()
        self.file: Any = self.line.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()
        self.line.close()  # the encrypted one is not the server's to close

    def run(self) -> None:
        self.say("greeting", b"220 ready")
        while True:
            words = self.read().decode("ascii", "replace").strip()
            verb, _, rest = words.partition(" ")
            verb = verb.upper()
            if verb == "QUIT":
                return self.say("QUIT", b"221 bye")
            act = getattr(self, f"on_{verb.lower()}", None)
            if act is None:
                self.say(verb, b"500 what?")
            else:
                act(rest)

    def say(self, point: str, line: bytes) -> None:
        reply = self.office.replies.get(point, Reply(line))
        time.sleep(reply.delay)
        if reply.line:
            self.line.sendall(reply.line + b"\r\n")
        if reply.close:
            self.line.shutdown(socket.SHUT_RDWR)
            raise EOFError

    def read(self) -> bytes:
        line: bytes = self.file.readline()
        if not line:
            raise EOFError
        return line

    def on_ehlo(self, rest: str) -> None:
        offers = [b"hello"]
        if self.office.tls and not self.encrypted:
            offers.append(b"STARTTLS")
        else:
            offers.append(b"AUTH PLAIN")
        lines = [b"250-" + offer for offer in offers[:-1]] + [b"250 " + offers[-1]]
        self.say("EHLO", b"\r\n".join(lines))

    def on_starttls(self, rest: str) -> None:
        self.say("STARTTLS", b"220 go ahead")
        self.file.close()
        self._encrypt()
        self.file = self.line.makefile("rb")

    def _encrypt(self) -> None:
        assert self.office.tls
        self.line = self.office.tls.wrap_socket(self.line, server_side=True)
        self.encrypted = True

    def on_auth(self, rest: str) -> None:
        given = base64.b64decode(rest.removeprefix("PLAIN ")).split(b"\0")[1:]
        self.known = given == [self.office.username.encode(), self.office.password.encode()]
        self.say("AUTH", b"235 welcome" if self.known else b"535 5.7.8 wrong name or password")

    def on_mail(self, rest: str) -> None:
        self.sender = rest.partition("<")[2].partition(">")[0]
        may = self.known or self.office.tls is None
        self.say("MAIL", b"250 ok" if may else b"530 5.7.0 log in first")

    def on_rcpt(self, rest: str) -> None:
        self.recipient = rest.partition("<")[2].partition(">")[0]
        self.say("RCPT", b"250 ok")

    def on_data(self, rest: str) -> None:
        self.say("DATA", b"354 go on")
        lines = []
        while (line := self.read()) != b".\r\n":
            lines.append(line[1:] if line.startswith(b".") else line)
        message = email.message_from_bytes(b"".join(lines), policy=email.policy.default)
        assert isinstance(message, EmailMessage)
        if "end" not in self.office.replies or self.office.replies["end"].line[:1] in (b"", b"2"):
            self.office.taken.append(message)
            self.office.envelopes.append((self.sender, self.recipient))
        self.say("end", b"250 2.0.0 taken")
