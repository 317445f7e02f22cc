"""One password over many accounts, many accounts from one network: an event each, and a captcha from then on."""

import pytest
from apiflask import APIFlask
from sqlalchemy import select

from portal import limits
from portal.errors import Fault, PortalError
from portal.extensions import db, gateways
from portal.models import Event
from portal.services import accounts, spraying
from portal.services.events import Visitor
from tests.cast import PASSWORD, person

SPRAYED = "Spring2026!"
HERE = "203.0.113.7"


def network(n: int) -> str:
    return f"198.51.100.{n}"


def log_in(account: str, password: str, address: str, device: str | None = None) -> str:
    try:
        accounts.authenticate(account, password, visitor=Visitor(address, "test"), device=device)
    except PortalError as error:
        return error.code
    finally:
        db.session.rollback()
    return "in"


def told(app: APIFlask) -> list[str]:
    db.session.rollback()
    found = db.session.scalars(select(Event).where(Event.kind == "auth.spray").order_by(Event.position))
    return [str(event.details["by"]) for event in found]


@pytest.mark.parametrize("known", [True, False])
def test_one_password_from_many_networks(app: APIFlask, known: bool) -> None:
    """Whether the accounts exist makes no difference."""
    person(app, "alice")
    with app.app_context():
        for n in range(20):
            assert log_in("alice" if known and n == 7 else f"user{n}", SPRAYED, network(n)) == "credentials_wrong"
        assert told(app) == []
        assert log_in("user20", SPRAYED, network(20)) == "credentials_wrong"
        assert told(app) == ["password"]
        assert log_in("user21", SPRAYED, network(21)) == "captcha_required"
        assert log_in("alice", PASSWORD, network(22)) == "in"  # another password, another network
        assert told(app) == ["password"]


def test_many_accounts_from_one_network(app: APIFlask) -> None:
    person(app, "alice")
    with app.app_context():
        codes = [log_in(f"user{n}", f"{SPRAYED}{n}", HERE) for n in range(12)]
        assert codes == ["credentials_wrong"] * 10 + ["captcha_required"] * 2  # a network's own limit comes first


def test_a_network_that_solves_captchas_is_told_of(app: APIFlask) -> None:
    with app.app_context():
        visitor = Visitor(HERE, "test")
        for n in range(21):
            spraying.note(spraying.keys_of(f"{SPRAYED}{n}", visitor), f"user{n}", visitor)
        assert told(app) == ["network"]


def test_one_account_tried_often_is_no_spray(app: APIFlask) -> None:
    with app.app_context():
        visitor = Visitor(HERE, "test")
        for n in range(40):
            spraying.note(spraying.keys_of(SPRAYED, visitor), f"user{n % 20}", visitor)
        assert told(app) == []


def test_the_password_stands_nowhere(app: APIFlask) -> None:
    with app.app_context():
        log_in("nobody", SPRAYED, HERE)
        client = app.extensions["redis"]
        (key,) = client.scan_iter("spray:password:*")
        assert SPRAYED not in key and 0 < client.ttl(key) <= 600


@pytest.mark.parametrize("away", [Fault("captcha_unavailable", passing=True), Fault("captcha_failed", disaster=True)])
@pytest.mark.parametrize("by", ["network", "password"])
def test_without_the_captchas_service_a_sprayer_has_three_tries(
    app: APIFlask, monkeypatch: pytest.MonkeyPatch, away: Fault, by: str
) -> None:
    """Also who only says that it is away: anybody can make such a ticket."""

    def verify(*_: object) -> str:
        raise away

    def try_one(n: int, password: str, address: str) -> str:
        try:
            return str(accounts.authenticate(name(n), password, visitor=Visitor(address, "test"), ticket="any").id)
        except PortalError as error:
            db.session.rollback()
            return error.code

    def name(n: int) -> str:
        return "alice" if n == 100 else f"user{n}"

    def spray(n: int) -> str:
        return try_one(n, SPRAYED, network(n)) if by == "password" else try_one(n, f"{SPRAYED}{n}", HERE)

    alice = person(app, "alice")
    with app.app_context():
        monkeypatch.setattr(gateways().captcha, "verify", verify, raising=False)
        before = 21 if by == "password" else limits.CAPTCHA_AFTER_IN_NETWORK[0].count
        assert {spray(n) for n in range(before)} == {"credentials_wrong"}
        for n in range(90, 92):  # whoever is right takes none of them
            assert by == "password" or try_one(100, PASSWORD, HERE) == str(alice.id), n
        assert [spray(n) for n in range(30, 36)] == ["credentials_wrong"] * 3 + ["login_too_many"] * 3
        assert try_one(100, PASSWORD, "192.0.2.9") == str(alice.id)
