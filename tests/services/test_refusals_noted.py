"""What costs strangers nothing is written down so often and no more, from however many networks they come."""

from collections.abc import Callable

import pytest
from apiflask import APIFlask
from sqlalchemy import func, select

from portal import limits
from portal.errors import Denied, PortalError
from portal.extensions import db
from portal.limits import Window
from portal.models import Event
from portal.services import accounts, captcha, codes, denials
from portal.services.events import Visitor

MOST, MANY = 5, 12
NUMBER = "+8613600136000"


def network(n: int) -> Visitor:
    return Visitor(f"2001:db8:0:{n:x}::1", "a test")


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "REFUSALS_NOTED", (Window(MOST, 300),))
    monkeypatch.setattr(limits, "LOGIN_OVERALL", (Window(1, 300),))
    monkeypatch.setattr(captcha, "spend", lambda *args, **kwargs: None)


def noted(kind: str) -> int:
    db.session.rollback()
    return db.session.scalar(select(func.count()).where(Event.kind == kind)) or 0


def log_in(n: int) -> None:
    accounts.authenticate(f"somebody{n}", "x", visitor=network(n))


def guess(n: int) -> None:
    codes.use(NUMBER, "login", "000000", visitor=network(n))


def ask_for_admins_page(n: int) -> None:
    denials.note(Denied(None), network(n), "GET /admin/users")


def ask_for_others_things(n: int) -> None:
    denials.note(Denied(7), network(n), "GET /datasets/<uuid:uuid>")


@pytest.mark.parametrize(
    ("kind", "ask"),
    [
        ("login.limited", log_in),
        ("code.wrong", guess),
        ("authz.denied", ask_for_admins_page),
        ("authz.denied", ask_for_others_things),
    ],
)
def test_many_networks_do_not_fill_the_history(app: APIFlask, kind: str, ask: Callable[[int], None]) -> None:
    with app.app_context():
        for n in range(MANY):
            try:
                ask(n)
            except PortalError:
                db.session.rollback()
        assert noted(kind) == MOST


def test_they_hide_no_guess_that_was_compared(app: APIFlask) -> None:
    with app.app_context():
        for n in range(MANY):
            with pytest.raises(PortalError, match="code_wrong"):
                guess(n)
        letter = codes.request(NUMBER, "login", ticket="", visitor=network(MANY))
        db.session.commit()
        with pytest.raises(PortalError, match="code_wrong"):
            codes.use(NUMBER, "login", "no code", visitor=network(MANY), flow=letter.flow)
        assert noted("code.wrong") == MOST + 1


def test_a_member_hides_no_other(app: APIFlask) -> None:
    with app.app_context():
        for n in range(MANY):
            ask_for_others_things(n)
        denials.note(Denied(8), network(0), "GET /datasets/<uuid:uuid>")
        assert noted("authz.denied") == MOST + 1
