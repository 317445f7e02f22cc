"""The limits of codes are exact, however many ask at once."""

import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from apiflask import APIFlask

from portal.errors import Fault, Invalid, PortalError, Unavailable
from portal.extensions import db, gateways
from portal.services import captcha, codes

NUMBER = "+8613600136000"


def at_once(app: APIFlask, count: int, act: Callable[[], object]) -> Counter[str]:
    """Run `act` in so many threads from one starting line; count the outcomes."""
    outcomes: Counter[str] = Counter()
    gate = threading.Barrier(count)

    def one() -> None:
        with app.app_context():
            gate.wait()
            try:
                act()
                outcomes["done"] += 1
            except PortalError as error:
                outcomes[error.code] += 1
            finally:
                db.session.rollback()

    threads = [threading.Thread(target=one) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


@pytest.fixture
def no_captcha(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(captcha, "spend", lambda *args, **kwargs: None)


def _ask(number: str = NUMBER) -> codes.Letter:
    return codes.request(number, "register", ticket="", address="203.0.113.9")


def test_of_many_requests_at_once_one_is_sent(app: APIFlask, no_captcha: None) -> None:
    assert at_once(app, 30, _ask) == {"done": 1, "sms_too_many": 29}


def test_of_many_right_guesses_at_once_one_wins(app: APIFlask, no_captcha: None) -> None:
    with app.app_context():
        code = _ask().code or ""
    assert at_once(app, 30, lambda: codes.use(NUMBER, "register", code)) == {"done": 1, "code_wrong": 29}


def test_of_many_wrong_guesses_at_once_five_are_compared(app: APIFlask, no_captcha: None, redis: Any) -> None:
    with app.app_context():
        code = _ask().code or ""
    wrong = "000000" if code != "000000" else "000001"
    outcomes = at_once(app, 30, lambda: codes.use(NUMBER, "register", wrong))
    assert outcomes == {"code_wrong": 30}
    assert redis.keys("code:*") == []
    with app.app_context(), pytest.raises(Invalid):
        codes.use(NUMBER, "register", code)


def test_windows_slide(app: APIFlask, no_captcha: None, redis: Any) -> None:
    """Five in an hour, ten in a day: shares are moved into the past instead of waiting."""

    def age(seconds: int) -> None:
        (key,) = redis.keys("sms:number:*")
        for member, score in redis.zrange(key, 0, -1, withscores=True):
            redis.zadd(key, {member: score - seconds * 1000})

    with app.app_context():
        for expected in (5, 5):
            for _ in range(expected):
                _ask()
                age(61)
            with pytest.raises(PortalError) as refused:
                _ask()
            assert refused.value.code == "sms_too_many"
            age(3600)
        with pytest.raises(PortalError) as refused:
            _ask()
        assert 3600 < (refused.value.retry_after or 0) <= 86400


def test_a_failed_send_gives_its_share_back(
    app: APIFlask, no_captcha: None, redis: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise Fault("sms_unavailable", passing=True)

    with app.app_context():
        monkeypatch.setattr(gateways().sms, "send", fails)
        letter = _ask()
        with pytest.raises(Unavailable):
            codes.deliver(letter)
        assert redis.keys("code:*") == [] and redis.keys("sms:*") == []
        _ask()
