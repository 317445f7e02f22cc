"""Of everything that Tencent can say about a ticket, one thing lets it pass."""

import pytest

from portal.errors import Fault
from tests.cloud import Answer, Cloud
from tests.gateways.conftest import Make

OUTAGES = {
    "26": Answer.captcha(26),
    "100": Answer.captcha(100),
    "nothing": Answer.captcha(None),
    "true": Answer.captcha(True),
    "text": Answer.captcha("1"),
    "evil text": Answer.captcha(1, "100"),
    **{
        code: Answer.tencent(code)
        for code in (
            *("InternalError", "InvalidParameter", "MissingParameter", "UnauthorizedOperation.ErrAuth"),
            *("UnauthorizedOperation.Unauthorized", "AuthFailure.SignatureFailure", "RequestLimitExceeded"),
        )
    },
    "late": Answer(delay=1.0, takes=True),
    "lost": Answer(close=True),
    "500": Answer(500, {"Response": {"CaptchaCode": 1}}),
    "error with another type": Answer(200, Answer.tencent("InternalError").body, "application/json; charset=utf-8"),
    "html": Answer(200, b"<html>", "text/html"),
    "list": Answer(200, b"[]"),
    "no response": Answer(200, b"{}"),
}
BAD = {str(code): Answer.captcha(code) for code in (0, -1, *range(6, 22))} | {
    "malicious": Answer.captcha(1, 100),
    "malicious and wrong": Answer.captcha(15, 100),
}


def verdict(make: Make, ticket: str = "good-1", **changed: object) -> str:
    """The ticket's identity, or the fault's code."""
    gateways = make(**changed)
    try:
        return gateways.captcha.verify(ticket, "@rand", "203.0.113.9")
    except Fault as error:
        fault = error
    assert fault.passing is (fault.code == "captcha_unavailable")
    assert fault.__context__ is None
    return fault.code


def test_exactly_one_answer_passes(make: Make, cloud: Cloud) -> None:
    verdicts = {}
    for name, answer in ({"1": Answer.captcha(1)} | BAD | OUTAGES).items():
        cloud.forget()
        cloud.script.append(answer)
        verdicts[name] = verdict(make)
        assert len(cloud.calls) == 1, name
    assert len(verdicts.pop("1")) == 64
    wanted = dict.fromkeys(BAD, "captcha_failed") | dict.fromkeys(OUTAGES, "captcha_unavailable")
    assert verdicts == wanted


@pytest.mark.parametrize("ticket", ["trerror_1", "terror_1001_199999_1", "TrError_1", "  TERROR_1", "\ttrerror_1\n"])
def test_disaster_tickets_are_not_even_asked_about(make: Make, cloud: Cloud, ticket: str) -> None:
    cloud.always = Answer.captcha(1)
    assert verdict(make, ticket) == "captcha_failed"
    assert cloud.calls == []


def test_what_is_asked(make: Make, cloud: Cloud) -> None:
    verdict(make, " good-1 ")
    ((action, said),) = cloud.calls
    assert action == "DescribeCaptchaResult"
    who = {"CaptchaAppId": cloud.keys.app_id, "AppSecretKey": cloud.keys.app_secret}
    assert said == {"CaptchaType": 9, "Ticket": "good-1", "Randstr": "@rand", "UserIp": "203.0.113.9", **who}


def test_a_ticket_has_one_identity_and_counts_once(make: Make) -> None:
    first, other = verdict(make, "good-1"), verdict(make, "good-2")
    assert first != other
    assert verdict(make, " good-1 ") == "captcha_failed"


@pytest.mark.parametrize(
    "changed",
    [
        {"tencent_secret_id": "AKIDwrong"},
        {"tencent_secret_key": "wrong"},
        {"tencent_captcha_app_secret": "wrong"},
        {"tencent_endpoint": "http://127.0.0.1:1"},
        {"tencent_endpoint": "no-such-host.invalid"},
    ],
)
def test_our_own_trouble_is_not_the_visitors(make: Make, changed: dict[str, str]) -> None:
    assert verdict(make, **changed) == "captcha_unavailable"


def test_where_its_script_may_come_from(make: Make) -> None:
    captcha = make(tencent_script_url="http://127.0.0.1:8001/stub.js").captcha
    assert captcha.offer() == {"provider": "tencent", "app_id": "199999"}
    assert "http://127.0.0.1:8001 https://turing.captcha.qcloud.com" in captcha.sources["script-src"]
    assert make().captcha.sources["script-src"].split().count("https://turing.captcha.qcloud.com") == 1
