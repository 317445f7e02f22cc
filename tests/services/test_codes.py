"""The limits of codes are exact, however many ask at once."""

from datetime import timedelta
from typing import Any

import pytest
from apiflask import APIFlask
from sqlalchemy import func, select, update

from portal import limits, validation
from portal.errors import Fault, Invalid, PortalError, TooMany, Unavailable
from portal.extensions import db, gateways
from portal.gateways.delivery import Delivery
from portal.models import Event, Message, User
from portal.services import captcha, codes, messages
from portal.services.events import Visitor
from tests.parallel import at_once

NUMBER = "+8613600136000"
HERE, ELSEWHERE = Visitor("203.0.113.9", "a test"), Visitor("198.51.100.9", "a test")


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


def _guess(**how: Any) -> str:
    """What a wrong code is answered with."""
    with pytest.raises(PortalError) as refused:
        codes.use(NUMBER, "register", "no code", **{"visitor": HERE, **how})
    db.session.rollback()
    return refused.value.code


def _counted() -> int:
    return db.session.scalar(select(func.sum(Message.wrong_guesses))) or 0


@pytest.mark.parametrize(
    ("asked", "right", "wrong"),
    [
        ({"flow": "a browser"}, {"flow": "a browser"}, {"flow": "another"}),
        ({"flow": "a browser"}, {"flow": "a browser"}, {}),
        ({}, {"visitor": ELSEWHERE, "flow": ...}, {"visitor": ELSEWHERE}),
        ({}, {}, {"flow": "made up"}),
        ({}, {}, {"visitor": ELSEWHERE}),
    ],
)
def test_guesses_without_the_flow_use_nothing_up(
    app: APIFlask, no_captcha: None, asked: dict[str, Any], right: dict[str, Any], wrong: dict[str, Any]
) -> None:
    """Of browsers, and of programs, which are known by the flow they were told or by their network."""
    with app.app_context():
        letter = codes.request(NUMBER, "register", ticket="", visitor=HERE, **asked)
        db.session.commit()
        assert {_guess(**wrong) for _ in range(limits.WRONG_CODES_PER_NUMBER.count + 5)} == {"code_wrong"}
        assert _counted() == 0
        right = {name: letter.flow if value is ... else value for name, value in right.items()}
        codes.use(NUMBER, "register", letter.code or "", **{"visitor": HERE, **right})


def _later(redis: Any, seconds: int = 61) -> None:
    """Time goes by for the ledger; Redis forgets everything."""
    db.session.execute(update(Message).values(created_at=Message.created_at - timedelta(seconds=seconds)))
    db.session.commit()
    redis.flushdb()


def test_a_number_gets_twenty_wrong_guesses_a_day_over_all_codes(app: APIFlask, no_captcha: None, redis: Any) -> None:
    """Whatever the purposes, flows and spellings, and however often Redis forgets everything."""
    spellings = ["13600136000", "+86 136 0013 6000", "0086 13600136000", "１３６００１３６０００"]
    purposes = ["register", "login", "reset_password", "change_phone"]
    with app.app_context():
        for n, (spelling, purpose) in enumerate(zip(spellings, purposes, strict=True)):
            number = validation.normalise_phone(spelling)
            letter = codes.request(number, purpose, ticket="", visitor=HERE, flow=f"flow {n}")
            db.session.commit()
            for _ in range(6):
                with pytest.raises(Invalid, match="code_wrong"):
                    codes.use(number, purpose, "no code", visitor=HERE, flow=letter.flow)
                db.session.rollback()
            _later(redis)
        assert _counted() == 20
        with pytest.raises(TooMany, match="guesses_too_many") as refused:
            _ask()
        assert 86_000 < (refused.value.retry_after or 0) <= 86_400 + limits.CODE_SECONDS
        db.session.rollback()
        blocked = db.session.scalars(select(Event.kind).where(Event.kind == "code.blocked")).all()
        assert blocked == ["code.blocked"]
        _later(redis, 86_400)
        _later(redis, 600)
        _ask()


def test_a_code_that_is_there_is_not_compared_beyond_the_day(app: APIFlask, no_captcha: None, redis: Any) -> None:
    """The last code has as many tries as the day has left, and its owner is told what is the matter."""
    with app.app_context():
        for _ in range(3):
            _ask()
            assert {_guess() for _ in range(6)} == {"code_wrong"}
            _later(redis)
        first = codes.request(NUMBER, "login", ticket="", visitor=HERE, flow="one")
        db.session.commit()
        db.session.execute(update(Message).values(created_at=Message.created_at - timedelta(seconds=61)))
        db.session.commit()
        letter = _ask()
        with pytest.raises(Invalid):
            codes.use(NUMBER, "login", "no code", visitor=HERE, flow=first.flow)
        assert [_guess() for _ in range(5)] == ["code_wrong"] * 4 + ["guesses_too_many"]
        with pytest.raises(TooMany, match="guesses_too_many"):
            _use(letter.code or "")
        assert _counted() == 20


def test_of_guesses_at_many_codes_at_once_twenty_are_compared(app: APIFlask, no_captcha: None, redis: Any) -> None:
    with app.app_context():
        flows = []
        for n in range(5):
            flows.append(codes.request(NUMBER, "register", ticket="", visitor=HERE, flow=f"flow {n}").flow)
            db.session.execute(update(Message).values(created_at=Message.created_at - timedelta(seconds=61)))
            db.session.commit()
        db.session.execute(update(Message).values(created_at=func.now()))
        db.session.commit()
    waiting = iter(flows * 6)
    before = redis.info("commandstats").get("cmdstat_hincrby", {"calls": 0})["calls"]
    outcomes = at_once(app, 30, lambda: codes.use(NUMBER, "register", "no code", visitor=HERE, flow=next(waiting)))
    assert outcomes.keys() <= {"code_wrong", "guesses_too_many"} and outcomes.total() == 30
    assert redis.info("commandstats")["cmdstat_hincrby"]["calls"] - before == 20
    with app.app_context():
        assert _counted() == 20
        assert db.session.scalars(select(Event.kind).where(Event.kind == "code.blocked")).all() == ["code.blocked"]


def test_right_codes_and_codes_that_are_gone_do_not_count(app: APIFlask, no_captcha: None) -> None:
    with app.app_context():
        code = _ask().code or ""
    assert at_once(app, 30, lambda: _use(code)) == {"done": 1, "code_wrong": 29}
    with app.app_context():
        assert _counted() == 0


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
