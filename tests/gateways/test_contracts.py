"""What callers may rely on, whoever the provider is."""

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from altcha import Challenge, Payload, solve_challenge

from portal.config.gateways import SMS_PURPOSES, SMS_WITHOUT_CODE
from portal.errors import Fault
from portal.gateways import Gateways
from portal.gateways.mail import Mail
from portal.gateways.outcomes import Outcome
from portal.wording import SENTENCES
from tests.cloud import Answer, Cloud
from tests.gateways.conftest import Make
from tests.gateways.post_office import PostOffice, Reply

MAIL = Mail("reader@ds.example", "verify", "请验证邮箱", "<b>Hello</b>", "Hello\n.\nBye", "https://ds.example/v/1")


@pytest.fixture(params=["outbox", "aliyun"])
def texting(request: pytest.FixtureRequest, make: Make) -> Gateways:
    return make(sms_gateway=request.param)


@pytest.fixture(params=["outbox", "directmail", "smtp"])
def mailing(request: pytest.FixtureRequest, make: Make, mailer: dict[str, Any]) -> Gateways:
    return make(**{**mailer, "mail_gateway": request.param})


@pytest.mark.parametrize("purpose", SMS_PURPOSES)
def test_every_purpose_is_sent(texting: Gateways, cloud: Cloud, purpose: str) -> None:
    code = None if purpose in SMS_WITHOUT_CODE else "042042"
    delivery = texting.sms.send("+8613800138000", purpose, code)
    assert delivery.certain
    if cloud.calls:
        assert cloud.sent_sms == [("13800138000", f"SMS_{purpose}", {"code": code} if code else {})]
        assert delivery.id


@pytest.mark.parametrize(("to", "written"), [("+85251234567", "85251234567"), ("+12025550123", "12025550123")])
def test_numbers_abroad(make: Make, cloud: Cloud, to: str, written: str) -> None:
    make().sms.send(to, "login", "123456")
    assert [sms.number for sms in cloud.sent_sms] == [written]


def test_a_mail_arrives_as_written(mailing: Gateways, cloud: Cloud, office: PostOffice) -> None:
    delivery = mailing.mail.send(MAIL)
    assert delivery.certain
    if cloud.calls:
        assert cloud.sent_mail == [(MAIL.to, MAIL.subject, MAIL.text, MAIL.html)]
    elif office.taken:
        (got,) = office.taken
        assert (got["To"], got["Subject"]) == (MAIL.to, MAIL.subject)
        parts = [part.get_content().split() for part in got.walk() if not part.is_multipart()]
        assert parts == [MAIL.text.split(), MAIL.html.split()]
        assert delivery.id in got["Message-ID"]


def test_the_outbox_keeps_both_channels(make: Make, tmp_path: Any) -> None:
    local = make(sms_gateway="outbox", mail_gateway="outbox")
    local.sms.send("+8613800138000", "login", "123456")
    local.mail.send(MAIL)
    sms, mail = (json.loads(line) for line in (tmp_path / "outbox.jsonl").read_text(encoding="utf-8").splitlines())
    assert sms.pop("sent_at") <= mail.pop("sent_at")
    assert sms == {"channel": "sms", "to": "+8613800138000", "purpose": "login", "code": "123456"}
    said = {"to": MAIL.to, "purpose": MAIL.purpose, "link": MAIL.link, "subject": MAIL.subject}
    assert mail == {"channel": "mail", "code": None, **said}


def _text(gateways: Gateways) -> object:
    return gateways.sms.send("+8613800138000", "login", "123456")


def _post(gateways: Gateways) -> object:
    return gateways.mail.send(MAIL)


CLOSED = "http://127.0.0.1:1"


@pytest.mark.parametrize(
    ("act", "changed", "code", "passing"),
    [
        (_text, {"aliyun_access_key_id": "LTAIwrong"}, "sms_misconfigured", False),
        (_text, {"aliyun_access_key_secret": "wrong"}, "sms_misconfigured", False),
        (_text, {"sms_sign_name": "wrong"}, "sms_misconfigured", False),
        (_text, {"aliyun_sms_endpoint": CLOSED}, "sms_unavailable", True),
        (_text, {"aliyun_sms_endpoint": "no-such-host.invalid"}, "sms_unavailable", True),
        (_post, {"aliyun_access_key_secret": "wrong"}, "mail_misconfigured", False),
        (_post, {"mail_from": "someone.else@ds.example"}, "mail_misconfigured", False),
        (_post, {"aliyun_mail_endpoint": CLOSED}, "mail_unavailable", True),
        (_post, {"mail_gateway": "smtp", "smtp_host": "127.0.0.1", "smtp_port": 1}, "mail_unavailable", True),
    ],
)
def test_what_was_surely_not_sent_is_a_fault(
    make: Make, cloud: Cloud, act: Callable[[Gateways], object], changed: dict[str, Any], code: str, passing: bool
) -> None:
    with pytest.raises(Fault) as fault:
        act(make(**changed))
    assert (fault.value.code, fault.value.passing) == (code, passing)
    assert set(fault.value.params) == {"vendor"}
    assert fault.value.__context__ is None and fault.value.__cause__ is None
    assert cloud.sent_sms == [] and cloud.sent_mail == []


@pytest.mark.parametrize("act", [_text, _post])
@pytest.mark.parametrize(
    "answer",
    [
        Answer(delay=1.0, takes=True),
        Answer(close=True, takes=True),
        Answer(200, b"<html>", "text/html", takes=True),
        Answer(200, b"[]", takes=True),
        Answer(200, b"{}", takes=True),
        Answer(502, b"<html>", "text/html", takes=True),
    ],
    ids=["late", "lost", "no json", "no object", "empty", "a gateway's page"],
)
def test_what_may_have_been_sent_counts_as_sent_and_is_not_repeated(
    make: Make, cloud: Cloud, act: Callable[[Gateways], Any], answer: Answer
) -> None:
    cloud.script.append(answer)
    assert act(make()).certain is False
    assert len(cloud.calls) == 1


def test_mail_that_the_server_never_acknowledged(make: Make, mailer: dict[str, Any], office: PostOffice) -> None:
    gateways = make(**mailer)
    for reply in (Reply(b"250 taken", delay=1.0), Reply(close=True), Reply(b"gibberish")):
        office.replies["end"] = reply
        assert gateways.mail.send(MAIL).certain is False
    assert len(office.envelopes) == 2


@pytest.mark.parametrize("outcome", Outcome)
@pytest.mark.parametrize("channel", ["sms", "mail"])
def test_each_outcome_has_a_sentence(channel: str, outcome: Outcome) -> None:
    impossible = {("sms", Outcome.ADDRESS_REFUSED), ("mail", Outcome.NUMBER_REFUSED)}
    assert (f"{channel}_{outcome}" in SENTENCES) is ((channel, outcome) not in impossible)


def _solved(gateways: Gateways) -> str:
    challenge = Challenge.from_dict(gateways.captcha.offer()["challenge"])
    solution = solve_challenge(challenge)
    assert solution
    return Payload(challenge, solution).to_base64()


@pytest.mark.parametrize("provider", ["altcha", "tencent"])
def test_a_captcha_says_who_it_is_and_names_a_ticket(make: Make, provider: str) -> None:
    gateways = make(captcha_gateway=provider)
    ticket = _solved(gateways) if provider == "altcha" else "good-1"
    assert gateways.captcha.provider == gateways.captcha.offer()["provider"] == provider
    identity = gateways.captcha.verify(ticket, "@rand", "203.0.113.9")
    assert len(identity) == 64 and identity not in ticket
    assert bool(gateways.captcha.sources) is (provider == "tencent")


@pytest.mark.parametrize("provider", ["altcha", "tencent"])
@pytest.mark.parametrize("ticket", ["", "bad", "trerror_1001_199999_1", "\ud800", "x" * 9000, "好", "a\x00b"])
def test_no_ticket_made_by_hand_passes(make: Make, provider: str, ticket: str) -> None:
    with pytest.raises(Fault) as fault:
        make(captcha_gateway=provider).captcha.verify(ticket, "@rand", "203.0.113.9")
    assert (fault.value.code, fault.value.passing) == ("captcha_failed", False)


def test_no_sdk_is_imported_before_its_first_use() -> None:
    program = "import sys, portal.gateways; print([n for n in sys.modules if n.split('.')[0] in sys.argv[1].split()])"
    sdks = "Tea darabonba alibabacloud_tea_openapi tencentcloud requests aiohttp"
    done = subprocess.run([sys.executable, "-c", program, sdks], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
