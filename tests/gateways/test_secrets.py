"""Providers' exceptions and logs repeat numbers, codes and keys; ours never do, whatever goes wrong."""

import traceback
from typing import Any

import pytest
from loguru import logger

from portal.errors import Fault
from portal.gateways import Gateways
from portal.gateways.mail import Mail
from tests.cloud import Answer, Cloud
from tests.gateways.conftest import Make
from tests.gateways.post_office import PostOffice, Reply

NUMBER, CODE, ADDRESS, LINK, TICKET = "13300133002", "907316", "reader.77@ds.example", "token-in-a-link", "good-ticket"
TOLD = f"{NUMBER} {CODE} {ADDRESS} {LINK} {TICKET}"
CLOSED = "http://127.0.0.1:1"
TROUBLE = {
    "none": None,
    "late": Answer(delay=0.8),
    "lost": Answer(close=True),
    "html": Answer(502, f"<html>{TOLD}".encode(), "text/html"),
    "no object": Answer(200, b"[]"),
    "error": Answer(400, {"Code": "Any.Trouble", "Message": TOLD, "RequestId": TOLD}),
    "code": Answer(400, {"Code": TOLD, "RequestId": "R"}),
    "500": Answer(500, {"Code": "InternalError", "Message": TOLD}),
    "sms": Answer(200, {"Code": "isv.MOBILE_NUMBER_ILLEGAL", "Message": TOLD, "RequestId": TOLD}),
    "captcha": Answer(200, {"Response": {"Error": {"Code": TOLD, "Message": TOLD}, "RequestId": TOLD}}),
    "nothing": Answer(200, {"Response": {"CaptchaCode": None, "RequestId": TOLD}}),
}


def use_all(gateways: Gateways, lines: list[str]) -> int:
    """Call each gateway; what is raised goes where everything logged goes. Answers how many raised."""
    mail = Mail(ADDRESS, "verify", "Hello", f"<a href='{LINK}'>", LINK, LINK)
    calls: list[Any] = [
        lambda: gateways.sms.send(f"+86{NUMBER}", "login", CODE),
        lambda: gateways.mail.send(mail),
        lambda: gateways.captcha.verify(TICKET, "@rand", "203.0.113.9"),
    ]
    raised = 0
    for call in calls:
        try:
            call()
        except Fault as fault:
            raised += 1
            logger.exception("raised")
            lines.extend(traceback.format_exception(fault))
            lines.append(repr((fault, fault.params, fault.__context__, fault.__cause__)))
    return raised


def check(lines: list[str], cloud: Cloud, office: PostOffice) -> None:
    keys = (cloud.keys.aliyun_secret, cloud.keys.tencent_secret, cloud.keys.app_secret, office.password)
    said = "\n".join(lines)
    assert [word for word in (NUMBER, CODE, ADDRESS, LINK, TICKET, *keys) if word in said] == []


@pytest.mark.parametrize("trouble", TROUBLE)
def test_clouds(
    make: Make,
    cloud: Cloud,
    office: PostOffice,
    logged: list[str],
    capfd: pytest.CaptureFixture[str],
    trouble: str,
) -> None:
    cloud.always = TROUBLE[trouble]
    gateways = make()
    assert (use_all(gateways, logged) > 0) is (trouble != "none")
    use_all(make(aliyun_sms_endpoint=CLOSED, aliyun_mail_endpoint=CLOSED, tencent_endpoint=CLOSED), logged)
    assert len(cloud.calls) == 3
    assert any("sms_unavailable" in line for line in logged)
    output = capfd.readouterr()
    check([*logged, output.out, output.err, repr(vars(gateways.sms)), repr(vars(gateways.captcha))], cloud, office)


@pytest.mark.parametrize("point", ["greeting", "MAIL", "RCPT", "DATA", "end"])
@pytest.mark.parametrize("reply", [Reply(f"550 5.1.1 {TOLD}".encode()), Reply(close=True)], ids=["refused", "lost"])
def test_smtp(
    make: Make,
    mailer: dict[str, Any],
    cloud: Cloud,
    office: PostOffice,
    logged: list[str],
    point: str,
    reply: Reply,
) -> None:
    office.replies[point] = reply
    use_all(make(**mailer), logged)
    assert any("sent: " in line for line in logged)
    check(logged, cloud, office)


def test_the_check_finds_what_is_there(make: Make, cloud: Cloud, office: PostOffice, logged: list[str]) -> None:
    logger.debug(TOLD)
    with pytest.raises(AssertionError):
        check(logged, cloud, office)
