"""The limits of codes are exact, however many ask at once."""

from datetime import timedelta
from typing import Any

import pytest
from apiflask import APIFlask
from sqlalchemy import select, update

from portal import limits
from portal.errors import Fault, Invalid, TooMany, Unavailable
from portal.extensions import db, gateways
from portal.gateways.delivery import Delivery
from portal.models import Event, Message, User
from portal.services import captcha, codes, messages
from portal.services.events import Visitor
from tests.parallel import at_once

NUMBER = "+8613600136000"
HERE = Visitor("203.0.113.9", "a test")


@pytest.fixture
def no_captcha(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(captcha, "spend", lambda *args, **kwargs: None)


def _ask(number: str = NUMBER) -> codes.Letter:
    letter = codes.request(number, "register", ticket="", visitor=HERE)
    db.session.commit()
    return letter


def _use(code: str) -> None:
    codes.use(NUMBER, "register", code, visitor=HERE)
    db.session.commit()


def test_of_many_requests_at_once_one_is_sent(app: APIFlask, no_captcha: None) -> None:
    assert at_once(app, 30, _ask) == {"done": 1, "sms_too_many": 29}


def test_of_many_right_guesses_at_once_one_wins(app: APIFlask, no_captcha: None) -> None:
    with app.app_context():
        code = _ask().code or ""
    assert at_once(app, 30, lambda: _use(code)) == {"done": 1, "code_wrong": 29}


def test_of_many_wrong_guesses_at_once_five_are_compared(app: APIFlask, no_captcha: None, redis: Any) -> None:
    with app.app_context():
        code = _ask().code or ""
    wrong = "000000" if code != "000000" else "000001"
    outcomes = at_once(app, 30, lambda: _use(wrong))
    assert outcomes == {"code_wrong": 30}
    assert redis.keys("code:*") == []
    with app.app_context(), pytest.raises(Invalid):
        _use(code)


def test_windows_slide(app: APIFlask, no_captcha: None, redis: Any) -> None:
    """Five in an hour, ten in a day: shares are moved into the past instead of waiting; Redis is emptied meanwhile."""

    def age(seconds: int) -> None:
        db.session.execute(update(Message).values(created_at=Message.created_at - timedelta(seconds=seconds)))
        db.session.commit()
        redis.flushdb()

    with app.app_context():
        for expected in (5, 5):
            for _ in range(expected):
                _ask()
                age(61)
            with pytest.raises(TooMany, match="sms_too_many"):
                _ask()
            db.session.rollback()
            age(3600)
        with pytest.raises(TooMany) as refused:
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
        db.session.commit()
        assert redis.keys("code:*") == []
        assert db.session.scalars(select(Message.state)).all() == ["failed"]
        _ask()


def test_a_send_without_an_answer_counts_as_sent(
    app: APIFlask, no_captcha: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with app.app_context():
        monkeypatch.setattr(gateways().sms, "send", lambda *_: Delivery(certain=False))
        codes.deliver(_ask())
        db.session.commit()
        assert db.session.scalars(select(Message.state)).all() == ["unknown"]
        with pytest.raises(TooMany):
            _ask()


def test_a_strangers_guesses_do_not_use_up_a_browsers_code(app: APIFlask, no_captcha: None) -> None:
    with app.app_context():
        letter = codes.request(NUMBER, "register", ticket="", visitor=HERE, flow="a browser")
        db.session.commit()
        for _ in range(6):
            with pytest.raises(Invalid):
                codes.use(NUMBER, "register", "000000", visitor=HERE)
        codes.use(NUMBER, "register", letter.code or "", visitor=HERE, flow="a browser")


def test_numbers_whose_codes_are_never_used_are_stopped_and_lifted(app: APIFlask, no_captcha: None) -> None:
    with app.app_context():
        for last in range(limits.PREFIX_SENDS):
            codes.deliver(_ask(f"+86138001380{last:02}"))
            db.session.commit()
        db.session.execute(update(Message).values(created_at=Message.created_at - timedelta(seconds=301)))
        codes.deliver(_ask("+8613800138098"))
        db.session.commit()
        assert [each.prefix for each in messages.stopped()] == ["+861380013"]
        assert db.session.scalars(select(Event.kind).where(Event.kind == "prefix.stopped")).all() == ["prefix.stopped"]
        with pytest.raises(Unavailable, match="sms_prefix_stopped"):
            _ask("+8613800138099")
        db.session.rollback()
        admin = User(id=1)
        messages.lift(admin, "+861380013", visitor=HERE)
        db.session.commit()
        codes.deliver(_ask("+8613800138099"))
        db.session.commit()
        assert messages.stopped() == []
