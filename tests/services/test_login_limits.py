"""How often a password is compared, however many try, from wherever, with Redis or without."""

import threading
from collections import Counter
from collections.abc import Callable

import pytest
from apiflask import APIFlask
from redis import Redis

from portal import redis_pool
from portal.errors import BadRequest, Fault, PortalError, TooMany
from portal.extensions import db, gateways
from portal.models import Event
from portal.services import accounts, captcha, passwords
from portal.services.events import Visitor
from tests.cast import PASSWORD, Person, person


@pytest.fixture
def alice(app: APIFlask) -> Person:
    return person(app, "alice")


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every password that reached the hasher."""
    seen: list[str] = []
    real: Callable[[str, str | None], bool] = passwords.matches

    def matches(password: str, stored: str | None) -> bool:
        seen.append(password)
        return real(password, stored) if password == PASSWORD else False

    monkeypatch.setattr(passwords, "matches", matches)
    return seen


@pytest.fixture
def solved_captchas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(captcha, "spend", lambda *args, **kwargs: None)


def _storm(app: APIFlask, tries: int, addresses: int) -> Counter[str]:
    outcomes: Counter[str] = Counter()

    def one(each: int) -> None:
        with app.app_context():
            visitor = Visitor(f"203.0.113.{each % addresses}")
            for number in range(tries // 20):
                try:
                    accounts.authenticate("alice", f"wrong {each} {number}", visitor=visitor, ticket="solved")
                except PortalError as error:
                    outcomes[error.code] += 1
                finally:
                    db.session.rollback()

    threads = [threading.Thread(target=one, args=(each,)) for each in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


def test_of_a_thousand_tries_ten_reach_the_hasher(
    app: APIFlask, alice: Person, compared: list[str], solved_captchas: None
) -> None:
    assert _storm(app, 1000, 20) == {"credentials_wrong": 10, "login_too_many": 990}
    assert len(compared) == 10
    with app.app_context():
        # Ten failures and one word of the rest, not a thousand rows.
        assert db.session.query(Event).count() == 11


def test_a_known_device_comes_in_all_the_same(
    app: APIFlask, alice: Person, compared: list[str], solved_captchas: None
) -> None:
    _storm(app, 200, 20)
    with app.app_context():
        with pytest.raises(TooMany):
            accounts.authenticate("alice", PASSWORD, visitor=Visitor("198.51.100.1"), ticket="solved")
        user = accounts.authenticate("alice", PASSWORD, visitor=Visitor("198.51.100.1"), device=f"{alice.uuid}:phone")
        assert user.id == alice.id
        with pytest.raises(TooMany):  # another person's device is nobody's
            accounts.authenticate("alice", PASSWORD, visitor=Visitor("198.51.100.1"), device="x:phone", ticket="solved")


def test_the_limit_holds_without_redis(
    app: APIFlask, alice: Person, compared: list[str], solved_captchas: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with app.app_context():
        dead = Redis(connection_pool=redis_pool.pool("redis://127.0.0.1:1/0", size=20))
        monkeypatch.setitem(app.extensions, "redis", dead)
    outcomes = _storm(app, 100, 20)
    assert outcomes == {"credentials_wrong": 10, "login_too_many": 90}


def test_while_the_captcha_is_away_three_tries_must_do(
    app: APIFlask, alice: Person, compared: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> str:
        raise Fault("captcha_unavailable", passing=True)

    with app.app_context():
        monkeypatch.setattr(gateways().captcha, "verify", away, raising=False)
        here = Visitor("203.0.113.9")
        codes = []
        for _ in range(7):
            try:
                accounts.authenticate("alice", "wrong", visitor=here, ticket="any")
            except PortalError as error:
                codes.append(error.code)
        assert codes == ["credentials_wrong"] * 6 + ["login_too_many"]


def test_the_right_password_works_while_the_captcha_is_away(
    app: APIFlask, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> str:
        raise Fault("captcha_unavailable", passing=True)

    with app.app_context():
        monkeypatch.setattr(gateways().captcha, "verify", away, raising=False)
        for _ in range(3):
            with pytest.raises(PortalError, match="credentials_wrong"):
                accounts.authenticate("alice", "wrong", visitor=Visitor("203.0.113.9"))
        with pytest.raises(BadRequest, match="captcha_required"):
            accounts.authenticate("alice", PASSWORD, visitor=Visitor("203.0.113.9"))
        found = accounts.authenticate("alice", PASSWORD, visitor=Visitor("203.0.113.9"), ticket="any")
        assert found.id == alice.id


def test_a_ticket_that_says_the_service_is_away_counts_as_that(
    app: APIFlask, alice: Person, compared: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def made_up(*_: object) -> str:
        raise Fault("captcha_failed", disaster=True)

    with app.app_context():
        monkeypatch.setattr(gateways().captcha, "verify", made_up, raising=False)
        codes = []
        for _ in range(7):
            with pytest.raises(PortalError) as refused:
                accounts.authenticate("alice", "wrong", visitor=Visitor("203.0.113.9"), ticket="trerror_1")
            codes.append(refused.value.code)
        assert codes == ["credentials_wrong"] * 6 + ["login_too_many"]
