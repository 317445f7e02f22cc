"""Mail through any SMTP server."""

import re
import smtplib
import ssl
from contextlib import closing, suppress
from dataclasses import dataclass, field
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import localtime, make_msgid
from typing import Literal

from portal.gateways.delivery import Delivery
from portal.gateways.mail import Mail
from portal.gateways.outcomes import Outcome, refused, unknown

# Servers that cannot take 8 bits are still about.
WIRE = SMTP.clone(cte_type="7bit")
_ENHANCED = re.compile(rb"([245])\.(\d{1,3})\.\d{1,3}\b")


@dataclass(frozen=True)
class Server:
    """How to reach it; time-outs in seconds. Without a `username` nobody logs in."""

    host: str
    port: int
    security: Literal["starttls", "ssl", "none"]
    username: str
    password: str = field(repr=False)
    connect_seconds: float
    read_seconds: float


class _Refused(Exception):
    """An answer that ends the attempt; `part` is what we had said."""

    def __init__(self, part: str, code: int, text: bytes) -> None:
        self.part, self.code, self.text = part, code, text
        super().__init__(part)


@dataclass(frozen=True)
class _End:
    """How an attempt ended: `refusal` when it was surely not sent, else whether it surely was."""

    refusal: Outcome | None = None
    vendor: str = ""
    is_certain: bool = True


class SmtpMail:
    """A `MailGateway`: a connection for each mail."""

    def __init__(self, server: Server, sender: str, sender_name: str) -> None:
        self._server, self._sender = server, sender
        self._from = Address(sender_name, addr_spec=sender)
        self._domain = sender.rpartition("@")[2]

    def send(self, mail: Mail) -> Delivery:
        message_id = make_msgid(domain=self._domain)
        content = self._message(mail, message_id)
        end = self._attempt(mail.to, content) if content else _End(Outcome.ADDRESS_REFUSED)
        if end.refusal:
            raise refused("mail", end.refusal, end.vendor)
        return Delivery(id=message_id.strip("<>")) if end.is_certain else unknown("mail", end.vendor)

    def _message(self, mail: Mail, message_id: str) -> bytes | None:
        """As it goes over the wire; None when the address is none."""
        message = EmailMessage(policy=WIRE)
        try:
            message["To"] = Address(addr_spec=mail.to)
        except (ValueError, MessageError, IndexError):  # the last one is what its parser makes of an empty text
            return None
        message["From"] = self._from
        message["Subject"] = " ".join(mail.subject.split())
        message["Date"] = localtime()
        message["Message-ID"] = message_id
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(mail.text)
        message.add_alternative(mail.html, subtype="html")
        content = re.sub(rb"(?m)^\.", b"..", message.as_bytes())
        return content if content.endswith(b"\r\n") else content + b"\r\n"

    def _attempt(self, to: str, content: bytes) -> _End:
        handed_over = False
        try:
            with closing(self._connection()) as smtp:
                self._say(smtp, "sender", f"MAIL FROM:<{self._sender}>")
                self._say(smtp, "recipient", f"RCPT TO:<{to}>")
                self._say(smtp, "content", "DATA", expected=3)
                handed_over = True
                smtp.send(content + b".\r\n")
                self._say(smtp, "content", None)
                # The mail is theirs now: the answer to a farewell is of no interest.
                with suppress(OSError, smtplib.SMTPException):
                    smtp.putcmd("QUIT")
                return _End()
        except _Refused as error:
            return _End(_outcome(error.part, error.code, error.text), str(error.code))
        except (OSError, smtplib.SMTPException, UnicodeEncodeError) as error:
            return _End(is_certain=False) if handed_over else _before(error)

    def _connection(self) -> smtplib.SMTP:
        """Greeted, encrypted and logged in; the caller closes it."""
        server = self._server
        # Without a name of our own, smtplib would look one up, which may take long.
        where = (server.host, server.port, self._domain)
        line: smtplib.SMTP
        if server.security == "ssl":
            line = smtplib.SMTP_SSL(*where, timeout=server.connect_seconds, context=ssl.create_default_context())
        else:
            line = smtplib.SMTP(*where, timeout=server.connect_seconds)
        try:
            if line.sock:
                line.sock.settimeout(server.read_seconds)
            if server.security == "starttls":
                line.starttls(context=ssl.create_default_context())
            line.ehlo_or_helo_if_needed()
            if server.username:
                line.login(server.username, server.password)
        except BaseException:
            line.close()
            raise
        return line

    @staticmethod
    def _say(smtp: smtplib.SMTP, part: str, line: str | None, expected: int = 2) -> None:
        """Say a line and read the answer, or read it only; `expected` is its first digit."""
        code, text = smtp.docmd(line) if line else smtp.getreply()
        if code // 100 in (4, 5):
            raise _Refused(part, code, text)
        if code // 100 != expected:
            raise smtplib.SMTPException


def _before(error: Exception) -> _End:
    """What an error means that came before the mail was handed over."""
    if isinstance(error, smtplib.SMTPNotSupportedError):
        return _End(Outcome.MISCONFIGURED, "unsupported")
    if isinstance(error, smtplib.SMTPResponseException):  # to the greeting, to STARTTLS or to the log-in
        return _End(_outcome("greeting", error.smtp_code, b""), str(error.smtp_code))
    if isinstance(error, ssl.SSLCertVerificationError):
        return _End(Outcome.MISCONFIGURED, "certificate")
    if isinstance(error, UnicodeEncodeError):
        return _End(Outcome.ADDRESS_REFUSED)
    return _End(Outcome.UNAVAILABLE)


def _outcome(part: str, code: int, text: bytes) -> Outcome:
    """4xx passes; 5xx stays, and is about the recipient only when it answers the recipient and is no policy."""
    found = _ENHANCED.match(text)
    is_policy = bool(found and found[2] == b"7")
    if code < 500:
        return Outcome.THROTTLED if is_policy or code == 452 else Outcome.UNAVAILABLE
    return Outcome.ADDRESS_REFUSED if part == "recipient" and not is_policy else Outcome.MISCONFIGURED
