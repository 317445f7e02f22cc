"""Second factors: each code counts once, however many bring it at the same moment."""

import time
from collections.abc import Iterator
from typing import Any

import pyotp
import pytest
from apiflask import APIFlask
from sqlalchemy import select, text

from portal.errors import Conflict, Invalid, TooMany
from portal.extensions import db, settings
from portal.models import Event, LoginSession, RecoveryCode, User
from portal.services import factors, sessions, windows
from portal.services.events import Visitor
from tests.cast import person
from tests.parallel import at_once

HERE = Visitor("203.0.113.9", "pytest")
NOON = 1_800_000_015.0  # the middle of a time step


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    class Clock:
        now = NOON

        def time(self) -> float:
            return self.now

    clock = Clock()
    monkeypatch.setattr(factors, "time", clock)
    return clock  # type: ignore[return-value]


@pytest.fixture
def alice(app: APIFlask, clock: Any) -> tuple[int, pyotp.TOTP, list[str]]:
    """Somebody who has just switched it on: her id, authenticator and recovery codes."""
    who = person(app, "alice")
    with app.app_context():
        login = _login(who.id)
        totp = pyotp.TOTP(factors.begin(login.user).secret)
        codes = factors.enable(login, totp.at(int(clock.now)), visitor=HERE)
        db.session.commit()
    clock.now += 30
    return who.id, totp, codes


def _login(user_id: int) -> LoginSession:
    return sessions.start(_user(user_id), kind="browser", visitor=HERE)


def _user(user_id: int) -> User:
    user = db.session.get(User, user_id)
    assert user is not None
    return user


def _check(user_id: int, otp: str) -> None:
    factors.check(_user(user_id), otp, visitor=HERE)
    db.session.commit()


def _no_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windows, "take", lambda *args, **kwargs: None)


def test_an_enrollment_counts_only_after_its_first_code(app: APIFlask, clock: Any) -> None:
    who = person(app, "alice")
    with app.app_context():
        login = _login(who.id)
        begun = factors.begin(login.user)
        assert login.user.totp_since is None
        assert begun.svg.startswith("data:image/svg+xml") and f"secret={begun.secret}" in begun.uri
        assert factors.begin(login.user).secret == begun.secret
        with pytest.raises(Invalid):
            factors.enable(login, "000000", visitor=HERE)
        codes = factors.enable(login, pyotp.TOTP(begun.secret).at(int(NOON)), visitor=HERE)
        db.session.commit()
        assert _user(who.id).has_second_factor and login.two_factor_at is not None
        assert len(set(codes)) == 10 and all(len(code) == 11 and code[5] == "-" for code in codes)
        with pytest.raises(Conflict):
            factors.begin(login.user)


def test_nothing_readable_is_stored(app: APIFlask, alice: tuple[int, pyotp.TOTP, list[str]]) -> None:
    user_id, totp, codes = alice
    with app.app_context():
        stored = _user(user_id).totp_secret or ""
        rows = db.session.scalars(select(RecoveryCode.digest)).all()
        told = str(db.session.execute(text("SELECT details FROM events")).all())
    assert totp.secret not in stored
    for code in codes:
        assert not any(part in row for row in [*rows, told] for part in (code, code.replace("-", "")))


@pytest.mark.parametrize(("seconds", "good"), [(-60, False), (-30, True), (0, True), (30, True), (60, False)])
def test_one_step_of_drift_is_fine(
    app: APIFlask, alice: tuple[int, pyotp.TOTP, list[str]], clock: Any, seconds: int, good: bool
) -> None:
    user_id, totp, _ = alice
    clock.now += 300
    code = totp.at(int(clock.now) + seconds)
    with app.app_context():
        if good:
            _check(user_id, code)
        else:
            with pytest.raises(Invalid):
                _check(user_id, code)


@pytest.mark.parametrize("typed", ["{} ", " {}", "１２３"])
def test_what_people_type_is_understood(
    app: APIFlask, alice: tuple[int, pyotp.TOTP, list[str]], clock: Any, typed: str
) -> None:
    user_id, totp, _ = alice
    code = totp.at(int(clock.now))
    wide = code.translate({ord("0") + n: ord("０") + n for n in range(10)})
    with app.app_context():
        _check(user_id, wide if typed == "１２３" else typed.format(f"{code[:3]} {code[3:]}"))


def test_a_code_counts_once_and_so_do_those_before_it(
    app: APIFlask, alice: tuple[int, pyotp.TOTP, list[str]], clock: Any
) -> None:
    user_id, totp, _ = alice
    with app.app_context():
        with pytest.raises(Invalid):  # the one that switched it on
            _check(user_id, totp.at(int(clock.now) - 30))
        _check(user_id, totp.at(int(clock.now) + 30))
        for step in (0, 30):
            with pytest.raises(Invalid):
                _check(user_id, totp.at(int(clock.now) + step))
        clock.now += 60
        _check(user_id, totp.at(int(clock.now)))


def test_of_fifty_who_bring_one_code_one_wins(
    app: APIFlask, alice: tuple[int, pyotp.TOTP, list[str]], clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    user_id, totp, codes = alice
    _no_limit(monkeypatch)
    assert at_once(app, 50, lambda: _check(user_id, totp.at(int(clock.now)))) == {"done": 1, "otp_wrong": 49}
    assert at_once(app, 50, lambda: _check(user_id, codes[0])) == {"done": 1, "otp_wrong": 49}


def test_of_fifty_wrong_guesses_at_once_five_are_compared(
    app: APIFlask, alice: tuple[int, pyotp.TOTP, list[str]], clock: Any
) -> None:
    user_id, totp, _ = alice
    wrong = "000000" if totp.at(int(clock.now)) != "000000" else "000001"
    assert at_once(app, 50, lambda: _check(user_id, wrong)) == {"otp_wrong": 5, "otp_too_many": 45}
    with app.app_context():
        with pytest.raises(TooMany) as refused:
            _check(user_id, totp.at(int(clock.now)))
        assert 0 < (refused.value.retry_after or 0) <= 300
        failed = db.session.scalars(select(Event).where(Event.kind == "factor.failed")).all()
        assert [event.user_id for event in failed] == [user_id] * 5


def test_right_codes_use_up_no_tries(app: APIFlask, alice: tuple[int, pyotp.TOTP, list[str]], clock: Any) -> None:
    user_id, totp, _ = alice
    with app.app_context():
        for _ in range(8):
            _check(user_id, totp.at(int(clock.now)))
            clock.now += 30


def test_a_recovery_code_counts_once_however_it_is_typed(
    app: APIFlask, alice: tuple[int, pyotp.TOTP, list[str]]
) -> None:
    user_id, _, codes = alice
    with app.app_context():
        _check(user_id, codes[0].upper().replace("0", "O").replace("-", " "))
        assert factors.codes_left(_user(user_id)) == 9
        with pytest.raises(Invalid):
            _check(user_id, codes[0])
        used = db.session.scalars(select(Event).where(Event.kind == "factor.recovery_used")).one()
        assert used.details == {"left": 9}


def test_somebody_elses_recovery_code_is_wrong(app: APIFlask, alice: tuple[int, pyotp.TOTP, list[str]]) -> None:
    _, _, codes = alice
    bob = person(app, "bob")
    with app.app_context(), pytest.raises(Invalid):
        _check(bob.id, codes[0])


def test_new_recovery_codes_replace_the_old(app: APIFlask, alice: tuple[int, pyotp.TOTP, list[str]]) -> None:
    user_id, _, codes = alice
    with app.app_context():
        login = _login(user_id)
        renewed = factors.new_recovery_codes(login, visitor=HERE)
        db.session.commit()
        with pytest.raises(Invalid):
            _check(user_id, codes[1])
        _check(user_id, renewed[0])


def test_switched_off_nothing_of_it_is_left(app: APIFlask, alice: tuple[int, pyotp.TOTP, list[str]]) -> None:
    user_id, totp, codes = alice
    with app.app_context():
        login = _login(user_id)
        factors.confirm(login, codes[0], visitor=HERE)
        factors.disable(login, visitor=HERE)
        db.session.commit()
        db.session.refresh(login)
        assert login.two_factor_at is None and factors.codes_left(login.user) == 0
        with pytest.raises(Invalid):
            _check(user_id, codes[1])
        for act in (factors.disable, factors.new_recovery_codes):
            with pytest.raises(Conflict):
                act(login, visitor=HERE)
        assert factors.begin(login.user).secret != totp.secret


def test_an_admin_cannot_switch_it_off(app: APIFlask, alice: tuple[int, pyotp.TOTP, list[str]]) -> None:
    user_id, _, _ = alice
    with app.app_context():
        login = _login(user_id)
        login.user.role = "admin"
        db.session.flush()
        with pytest.raises(Conflict) as refused:
            factors.disable(login, visitor=HERE)
        assert refused.value.code == "otp_needed"


def test_a_secret_that_cannot_be_read_lets_nobody_in(
    app: APIFlask, alice: tuple[int, pyotp.TOTP, list[str]], clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    user_id, totp, _ = alice
    with app.app_context():
        monkeypatch.setattr(type(settings()), "derived", lambda *_, **__: b"another key" + b"\0" * 21)
        with pytest.raises(Invalid):
            factors.check(_user(user_id), totp.at(int(clock.now)), visitor=HERE)


def test_the_real_clock_is_read(app: APIFlask) -> None:
    who = person(app, "alice")
    with app.app_context():
        login = _login(who.id)
        totp = pyotp.TOTP(factors.begin(login.user).secret)
        assert factors.enable(login, totp.at(int(time.time())), visitor=HERE)
