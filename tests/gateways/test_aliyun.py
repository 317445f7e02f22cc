"""Every code of Aliyun has its outcome."""

import threading
from collections.abc import Mapping

import pytest

from portal.errors import Fault
from portal.gateways.aliyun import MAIL_OUTCOMES, SMS_OUTCOMES
from portal.gateways.mail import Mail
from portal.gateways.outcomes import PASSING, Outcome
from tests.cloud import Answer, Cloud
from tests.gateways.conftest import Make

MAIL = Mail("reader@ds.example", "verify", "Hello", "<b>Hello</b>", "Hello", "https://ds.example/v/1")
ANY = Mapping[str, Outcome]

# Codes that come with an HTTP status of their own; those of the SMS service come with 200.
STATUS = {"InvalidAccessKeyId.NotFound": 404, "ServiceUnavailable": 503, "InternalError": 500, "Throttling.User": 400}
NEW: ANY = {
    "Throttling": Outcome.THROTTLED,
    "Throttling.User": Outcome.THROTTLED,
    "isp.GATEWAY_ERROR": Outcome.UNAVAILABLE,
    "isv.NEVER_HEARD_OF": Outcome.MISCONFIGURED,
    "Never.HeardOf": Outcome.MISCONFIGURED,
}


@pytest.mark.parametrize(("code", "outcome"), [*SMS_OUTCOMES.items(), *NEW.items()])
def test_codes_of_sms(make: Make, cloud: Cloud, code: str, outcome: Outcome) -> None:
    has_200 = code.startswith(("isv.", "isp."))
    cloud.script.append(Answer.sms(code) if has_200 else Answer.error(code, STATUS.get(code, 400)))
    with pytest.raises(Fault) as fault:
        make().sms.send("+8613800138000", "login", "123456")
    assert (fault.value.code, fault.value.passing) == (f"sms_{outcome}", outcome in PASSING)
    assert fault.value.params == {"vendor": code}
    assert len(cloud.calls) == 1


@pytest.mark.parametrize(("code", "outcome"), [*MAIL_OUTCOMES.items(), *NEW.items()])
def test_codes_of_mail(make: Make, cloud: Cloud, code: str, outcome: Outcome) -> None:
    cloud.script.append(Answer.error(code, 500 if code.startswith(("Internal", "isp")) else STATUS.get(code, 400)))
    with pytest.raises(Fault) as fault:
        make().mail.send(MAIL)
    assert (fault.value.code, fault.value.passing) == (f"mail_{outcome}", outcome in PASSING)
    assert fault.value.params == {"vendor": code}
    assert len(cloud.calls) == 1


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (Answer(500, {"RequestId": "R"}), "sms_unavailable"),
        (Answer(503, {"Code": "NewTrouble"}), "sms_unavailable"),
        (Answer(429, {"Code": "TooMuch"}), "sms_throttled"),
        (Answer(400, {"Code": "isv.X +8613800138000 123456"}), "sms_misconfigured"),
    ],
)
def test_statuses_decide_where_codes_do_not(make: Make, cloud: Cloud, answer: Answer, code: str) -> None:
    cloud.script.append(answer)
    with pytest.raises(Fault) as fault:
        make().sms.send("+8613800138000", "login", "123456")
    assert fault.value.code == code
    assert "123456" not in str(fault.value.params)


def test_a_long_subject_is_shortened(make: Make, cloud: Cloud) -> None:
    make(mail_from_name="数据站通知").mail.send(Mail(MAIL.to, "verify", "题" * 150, "<b>x</b>", "x", ""))
    assert [post.subject for post in cloud.sent_mail] == ["题" * 100]


def test_many_threads_share_a_client(make: Make, cloud: Cloud) -> None:
    gateways = make()
    failed: list[Exception] = []

    def work(first: int) -> None:
        for number in range(first, first + 20):
            try:
                assert gateways.sms.send(f"+861380013{number:04}", "login", f"{number:06}").certain
                assert gateways.mail.send(Mail(f"reader{number}@ds.example", "verify", "s", "h", "t", "")).certain
            except Exception as error:  # noqa: BLE001  # told to the test
                failed.append(error)

    threads = [threading.Thread(target=work, args=(1000 * number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert len({sms.number for sms in cloud.sent_sms}) == len(cloud.sent_mail) == 160
    assert all(sms.number.endswith(sms.params["code"][-4:]) for sms in cloud.sent_sms)
