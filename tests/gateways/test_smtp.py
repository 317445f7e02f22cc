"""What an SMTP server may answer at each point, and what it means to us."""

import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from portal.errors import Fault
from portal.gateways.mail import Mail
from tests import certificate
from tests.gateways.conftest import Make
from tests.gateways.post_office import PostOffice, Reply

MAIL = Mail("reader@ds.example", "verify", "Hello", "<b>Hello</b>", "Hello", "https://ds.example/v/1")


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    certificate.write(path)
    return path


@pytest.fixture(params=["starttls", "ssl"])
def encrypted(request: pytest.FixtureRequest, pem: Path) -> Iterator[tuple[PostOffice, dict[str, Any]]]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    with PostOffice(context, wrapped=request.param == "ssl") as office:
        login = {"smtp_username": office.username, "smtp_password": office.password}
        where = {"smtp_host": "127.0.0.1", "smtp_port": office.port, "smtp_security": request.param}
        yield office, {"mail_gateway": "smtp", **where, **login}


def fault_of(make: Make, settings: dict[str, Any], to: str = MAIL.to) -> tuple[str, bool, str]:
    with pytest.raises(Fault) as fault:
        make(**settings).mail.send(Mail(to, "verify", "Hello", "<b>Hello</b>", "Hello", ""))
    assert fault.value.__context__ is None
    return fault.value.code, fault.value.passing, fault.value.params["vendor"]


@pytest.mark.parametrize(
    ("point", "line", "code", "passing"),
    [
        ("greeting", b"421 4.3.2 busy", "mail_unavailable", True),
        ("greeting", b"554 go away", "mail_misconfigured", False),
        ("MAIL", b"451 4.3.0 later", "mail_unavailable", True),
        ("MAIL", b"530 5.7.0 log in first", "mail_misconfigured", False),
        ("MAIL", b"553 5.1.8 not your sender", "mail_misconfigured", False),
        ("RCPT", b"450 4.2.1 greylisted", "mail_unavailable", True),
        ("RCPT", b"450 4.7.1 too many", "mail_throttled", True),
        ("RCPT", b"452 4.5.3 too many recipients", "mail_throttled", True),
        ("RCPT", b"550 5.1.1 nobody here", "mail_address_refused", False),
        ("RCPT", b"550 nobody here", "mail_address_refused", False),
        ("RCPT", b"554 5.7.1 relay access denied", "mail_misconfigured", False),
        ("DATA", b"451 later", "mail_unavailable", True),
        ("DATA", b"554 no", "mail_misconfigured", False),
        ("end", b"451 4.3.0 later", "mail_unavailable", True),
        ("end", b"421 4.7.0 too fast", "mail_throttled", True),
        ("end", b"554 5.6.0 not this text", "mail_misconfigured", False),
    ],
)
def test_refusals(
    make: Make, mailer: dict[str, Any], office: PostOffice, point: str, line: bytes, code: str, passing: bool
) -> None:
    office.replies[point] = Reply(line)
    assert fault_of(make, mailer) == (code, passing, line[:3].decode())
    assert office.taken == []


@pytest.mark.parametrize("point", ["greeting", "EHLO", "MAIL", "RCPT", "DATA"])
@pytest.mark.parametrize("reply", [Reply(delay=1.0), Reply(close=True)], ids=["late", "lost"])
def test_silence_before_the_text_means_not_sent(
    make: Make, mailer: dict[str, Any], office: PostOffice, point: str, reply: Reply
) -> None:
    office.replies[point] = reply
    assert fault_of(make, mailer)[:2] == ("mail_unavailable", True)
    assert office.taken == []


@pytest.mark.parametrize(
    "to", ["", "nobody", "a b@c.example", "a@b.example>\r\nRCPT TO:<x@y.example", "读者@ds.example"]
)
def test_what_is_no_address_is_not_sent_to(make: Make, mailer: dict[str, Any], office: PostOffice, to: str) -> None:
    assert fault_of(make, mailer, to)[0] == "mail_address_refused"
    assert office.taken == []


def test_encrypted_and_logged_in(
    make: Make, encrypted: tuple[PostOffice, dict[str, Any]], pem: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    office, settings = encrypted
    monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    assert make(**settings).mail.send(MAIL).certain
    assert office.envelopes == [("no-reply@ds.example", MAIL.to)]
    assert fault_of(make, {**settings, "smtp_password": "wrong"}) == ("mail_misconfigured", False, "535")
    office.replies["AUTH"] = Reply(b"454 4.7.0 later")
    assert fault_of(make, settings) == ("mail_unavailable", True, "454")
    assert len(office.taken) == 1


def test_a_certificate_nobody_vouches_for(make: Make, encrypted: tuple[PostOffice, dict[str, Any]]) -> None:
    office, settings = encrypted
    assert fault_of(make, settings) == ("mail_misconfigured", False, "certificate")
    assert office.taken == []


def test_a_server_that_offers_no_encryption_is_told_nothing(
    make: Make, mailer: dict[str, Any], office: PostOffice
) -> None:
    assert fault_of(make, {**mailer, "smtp_security": "starttls"}) == ("mail_misconfigured", False, "unsupported")
    assert office.envelopes == []
