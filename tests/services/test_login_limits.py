"""How often a password is compared, however many try, from wherever, with Redis or without."""

import itertools
import threading
from collections import Counter
from collections.abc import Callable, Sequence

import pytest
from apiflask import APIFlask
from redis import Redis
from sqlalchemy import select

from portal import account_names, redis_pool
from portal.errors import BadRequest, Fault, PortalError, TooMany
from portal.extensions import db, gateways
from portal.models import Event, User
from portal.services import accounts, captcha, passwords, windows
from portal.services.events import Visitor
from tests.cast import PASSWORD, Person, person


@pytest.fixture
def alice(app: APIFlask) -> Person:
    return person(app, "alice")


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every password that was compared with somebody's."""
    seen: list[str] = []
    real: Callable[[str, str | None], bool] = passwords.matches

    def matches(password: str, stored: str | None) -> bool:
        if stored is not None:
            seen.append(password)
        return real(password, stored) if password == PASSWORD else False

    monkeypatch.setattr(passwords, "matches", matches)
    return seen


@pytest.fixture
def solved_captchas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(captcha, "spend", lambda *args, **kwargs: None)


def _refused(account: str, password: str, visitor: Visitor) -> str:
    """The code of the refusal; whoever is told that the process is busy asks again."""
    code = "passwords_busy"
    while code == "passwords_busy":
        with pytest.raises(PortalError) as refusal:
            accounts.authenticate(account, password, visitor=visitor, ticket="solved")
        code = refusal.value.code
        db.session.rollback()
    return code


def _storm(app: APIFlask, tries: int, addresses: int, names: Sequence[str] = ("alice",)) -> Counter[str]:
    outcomes: Counter[str] = Counter()

    def one(each: int) -> None:
        with app.app_context():
            visitor = Visitor(f"203.0.113.{each % addresses}")
            for number in range(tries // 20):
                outcomes[_refused(names[(each + number) % len(names)], f"wrong {each} {number}", visitor)] += 1

    threads = [threading.Thread(target=one, args=(each,)) for each in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


def test_of_a_thousand_tries_with_a_name_six_are_compared(
    app: APIFlask, alice: Person, compared: list[str], solved_captchas: None
) -> None:
    assert _storm(app, 1000, 20) == {"credentials_wrong": 6, "login_too_many": 994}
    assert len(compared) == 6
    with app.app_context():
        # Six failures and one word of the rest, not a thousand rows.
        assert db.session.query(Event).count() == 7


SPELLINGS = {
    "username": ["alice", "ALICE", " ａｌｉｃｅ ", "al\u200bice"],
    "email": [
        "alice@example.com",
        "Alice@EXAMPLE.com",
        "ａｌｉｃｅ＠ｅｘａｍｐｌｅ．ｃｏｍ",
        "alice@example.com.",
        '"alice"@example.com',
    ],
    "phone": ["13800138000", "+86 138 0013 8000", "0086-138-0013-8000", "１３８００１３８０００", "(86) 138 0013 8000"],
}


def test_an_account_has_ten_tries_over_all_spellings_of_all_names_and_nobody_can_tell(
    app: APIFlask, alice: Person, compared: list[str], solved_captchas: None
) -> None:
    known = _storm(app, 400, 20, [*itertools.chain(*SPELLINGS.values())])
    assert len(compared) == 10
    nobody = _storm(app, 400, 20, [name.replace("a", "b").replace("138", "139") for name in _plain(SPELLINGS)])
    # Each name answers as if it stood alone: eighteen are told that something is wrong, ten were compared.
    assert known == nobody == {"credentials_wrong": 18, "login_too_many": 382}
    assert len(compared) == 10
    with app.app_context():
        told = Counter(db.session.scalars(select(Event.kind).where(Event.user_id == alice.id)))
        assert told == {"login.failed": 10, "login.limited": 8 + 3}


def _plain(spellings: dict[str, list[str]]) -> list[str]:
    return [account_names.read(name).key for name in itertools.chain(*spellings.values())]


def test_an_attack_on_one_name_leaves_the_others_to_the_owner(
    app: APIFlask, alice: Person, compared: list[str], solved_captchas: None
) -> None:
    _storm(app, 200, 20)
    with app.app_context():
        for name in ("alice@example.com", "13800138000"):
            found = accounts.authenticate(name, PASSWORD, visitor=Visitor("198.51.100.1"), ticket="solved")
            assert found.id == alice.id


def test_two_hundred_names_with_equal_digits_have_limits_of_their_own(
    app: APIFlask, alice: Person, compared: list[str], solved_captchas: None
) -> None:
    _storm(app, 200, 20, ["nosuchperson-13800138000", "x13800138000", "13800138000y"])
    with app.app_context():
        assert accounts.authenticate("138 0013 8000", PASSWORD, visitor=Visitor("198.51.100.1")).id == alice.id
        people = [
            User(username=f"p{n}-22", phone_number=f"+86139{n:08}", hashed_password=passwords.hashed(PASSWORD))
            for n in range(200)
        ]
        db.session.add_all(people)
        db.session.commit()
        for number, someone in enumerate(people):
            here = Visitor(f"198.51.100.{number}")
            with pytest.raises(PortalError, match="credentials_wrong"):
                accounts.authenticate(someone.username, f"wrong {number}", visitor=here)
        for number, someone in enumerate(people):
            here = Visitor(f"198.51.101.{number}")
            assert accounts.authenticate(someone.username, PASSWORD, visitor=here).id == someone.id


def test_a_known_device_comes_in_all_the_same(
    app: APIFlask, alice: Person, compared: list[str], solved_captchas: None
) -> None:
    _storm(app, 200, 20)
    with app.app_context():
        with pytest.raises(TooMany):
            accounts.authenticate("alice", PASSWORD, visitor=Visitor("198.51.100.1"), ticket="solved")
        device = accounts.device_of(db.session.get_one(User, alice.id), "phone")
        user = accounts.authenticate("alice", PASSWORD, visitor=Visitor("198.51.100.1"), device=device)
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
    assert outcomes == {"credentials_wrong": 6, "login_too_many": 94}


@pytest.mark.parametrize("processes", [1, 2, 4])
def test_several_processes_together_give_no_more_without_redis(
    app: APIFlask,
    alice: Person,
    compared: list[str],
    solved_captchas: None,
    monkeypatch: pytest.MonkeyPatch,
    processes: int,
) -> None:
    """None of them knows of the others' tries."""
    with app.app_context():
        dead = Redis(connection_pool=redis_pool.pool("redis://127.0.0.1:1/0", size=20))
        monkeypatch.setitem(app.extensions, "redis", dead)
    monkeypatch.setattr(app.extensions["settings"], "web_processes", processes)
    for _ in range(processes):
        monkeypatch.setattr(windows, "_here", type(windows._here)())
        _storm(app, 100, 20, ["alice", "alice@example.com", "13800138000"])
    assert 0 < len(compared) <= 10


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
