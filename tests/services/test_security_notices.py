"""Notices to owners: none is lost, however many there are, whatever fails, whoever else sends."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from apiflask import APIFlask
from flask_babel import force_locale, gettext
from sqlalchemy import func, select, text, update

from portal import limits
from portal.errors import Fault
from portal.extensions import db
from portal.models import Event, Message, User
from portal.notice_words import CHANGES, MAIL_ONLY, advice
from portal.services import messages, parcels, security_notices
from portal.services.events import Visitor
from portal.wording import EVENTS
from tests.cast import PHONES, person
from tests.parallel import at_once
from tests.postman import Handed, Postman

CHROME = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0 Safari/537.36"
HERE = Visitor("203.0.113.9", CHROME)


@pytest.fixture
def postman(app: APIFlask, monkeypatch: pytest.MonkeyPatch) -> Iterator[Postman]:
    with app.app_context():
        yield Postman(monkeypatch)


def user() -> User:
    return db.session.scalars(select(User)).one()


def tell(kind: str = "account.username", **how: Any) -> None:
    security_notices.tell(user(), kind, visitor=HERE, **how)
    db.session.commit()


def later(seconds: float) -> None:
    """Time goes by for all that waits and has gone."""
    earlier = timedelta(seconds=seconds)
    db.session.execute(
        update(Message).values(created_at=Message.created_at - earlier, send_after=Message.send_after - earlier)
    )
    db.session.commit()


def whom(handed: list[Handed]) -> list[tuple[str, str]]:
    return [(each.channel, each.to) for each in handed]


def test_it_says_what_happened_when_from_where_and_what_to_do(app: APIFlask, postman: Postman) -> None:
    person(app, "alice")
    tell("password.changed")
    (mail,) = postman.rounds()
    assert (mail.to, mail.purpose) == ("alice@example.com", "account_changed")
    assert mail.subject == "Your password was changed, and every other session was ended"
    at = db.session.scalars(select(Event.at)).one()
    for said in (mail.text, mail.html):
        assert "Chrome on Windows · 203.0.113.9" in said and f"{at:%Y}" in said and "{{" not in said
        assert "http://127.0.0.1:8000/account/history/" in said and "http://127.0.0.1:8000/password/forgot" in said


def test_it_speaks_the_owners_language(app: APIFlask, postman: Postman) -> None:
    person(app, "alice", locale="zh")
    tell("account.role", actor_id=0, before="user", after="admin")
    (mail,) = postman.rounds()
    with force_locale("zh"):
        assert gettext("Hello %(username)s,", username="alice") in mail.text
    assert mail.subject == "您的角色已从“用户”改为“管理员”" and "由管理员操作" in mail.text
    assert "203.0.113.9" not in mail.text + mail.html


@pytest.mark.parametrize("locale", ["en", "zh"])
def test_every_change_is_told_in_words(app: APIFlask, postman: Postman, locale: str) -> None:
    person(app, "alice", locale=locale)
    for kind in CHANGES:
        tell(kind, before="user", after="admin", left=9)
    (mail,) = [each for each in postman.rounds() if each.channel == "mail"]
    with force_locale(locale):
        for kind, words in CHANGES.items():
            assert kind == "email.verified" or str(words).partition("%")[0] in mail.text
    assert "%" not in mail.text and "–" not in mail.text
    assert (str(len(CHANGES) - 1) in mail.subject) and "&lt;" not in mail.html


@pytest.mark.parametrize(
    ("kinds", "says"),
    [
        (["account.email"], "by SMS at once"),
        (["account.email", "password.changed"], "by SMS at once"),
        (["password.changed"], "reset your password at once"),
        (["account.role"], "ask your administrator"),
        (["account.role", "password.changed"], "reset your password at once"),
        (["code.blocked"], "None of them was right"),
    ],
)
def test_what_to_do_fits_what_happened(app: APIFlask, kinds: list[str], says: str) -> None:
    with app.app_context(), force_locale("en"):
        assert says in advice(kinds, "https://ds.example/")


def test_a_hundred_changes_hide_none_and_are_two_mails(app: APIFlask, postman: Postman) -> None:
    """The first is told at once, the last when a while has passed, with how many there were."""
    person(app, "alice")
    tell()
    assert len(postman.rounds()) == 1
    for n in range(100):
        tell()
        assert postman.rounds() == [], n
    later(limits.NOTICE_AGAIN_SECONDS["mail"] / 2)
    assert postman.rounds() == []
    later(limits.NOTICE_AGAIN_SECONDS["mail"] / 2)
    (mail,) = postman.rounds()
    assert "100 times" in mail.text and mail.subject == "Your username was changed"
    assert db.session.scalar(select(func.count()).select_from(Event)) == 101
    later(limits.NOTICE_AGAIN_SECONDS["mail"] + 1)
    tell()
    assert len(postman.rounds()) == 1


def test_another_kind_of_change_does_not_wait_for_the_first(app: APIFlask, postman: Postman) -> None:
    person(app, "alice")
    tell("login.new_device")
    assert len(postman.rounds()) == 1
    tell("login.new_device")
    tell("password.changed")
    (mail,) = postman.rounds()
    assert "Your password was changed" in mail.text and "new device" in mail.text


def test_changes_at_the_same_moment_are_all_told(app: APIFlask, postman: Postman) -> None:
    alice = person(app, "alice")

    def change() -> None:
        security_notices.tell(db.session.get_one(User, alice.id), "account.username", visitor=HERE)
        db.session.commit()

    assert at_once(app, 20, change) == {"done": 20}
    (mail,) = postman.rounds()
    assert "20 times" in mail.text


def test_what_is_rolled_back_is_not_told(app: APIFlask, postman: Postman) -> None:
    person(app, "alice")
    security_notices.tell(user(), "account.username", visitor=HERE)
    db.session.rollback()
    db.session.commit()
    assert postman.rounds() == [] and db.session.scalars(select(Event)).all() == []


@pytest.mark.parametrize("kind", sorted(CHANGES))
def test_without_a_verified_address_an_sms_tells(app: APIFlask, postman: Postman, kind: str) -> None:
    person(app, "alice", email=None)
    tell(kind)
    assert whom(postman.rounds()) == ([] if kind in MAIL_ONLY else [("sms", PHONES["alice"])])
    assert db.session.scalars(select(Message.send_to)).all() in ([], [""])


def test_an_sms_an_hour_tells_of_any_number_of_changes(app: APIFlask, postman: Postman) -> None:
    person(app, "alice", email=None)
    kinds = [kind for kind in CHANGES if kind not in MAIL_ONLY]
    for kind in kinds:
        tell(kind)
    assert whom(postman.rounds()) == [("sms", PHONES["alice"])]
    for kind in kinds:
        tell(kind)
    assert postman.rounds() == []
    later(limits.HOUR - 60)
    assert postman.rounds() == []
    later(120)
    assert whom(postman.rounds()) == [("sms", PHONES["alice"])]
    assert postman.rounds() == []


def test_the_number_that_waits_is_not_readable(app: APIFlask, postman: Postman) -> None:
    person(app, "alice")
    tell("account.phone", old_number=PHONES["bob"])
    rows = db.session.scalars(text("SELECT to_jsonb(messages) FROM messages")).all()
    assert len(rows) == 2 and PHONES["bob"].removeprefix("+86") not in str(rows)
    assert whom(postman.rounds()) == [("mail", "alice@example.com"), ("sms", PHONES["bob"])]
    assert db.session.scalars(select(Message.send_to)).all() == ["", ""]


def test_a_notice_goes_to_somebody_locked_out_and_to_the_address_before(app: APIFlask, postman: Postman) -> None:
    person(app, "alice")
    tell("account.deactivated")
    tell("account.email", old_email="before@example.com")
    db.session.execute(update(User).values(is_active=False, email="thief@example.com"))
    db.session.commit()
    assert whom(postman.rounds()) == [("mail", "alice@example.com"), ("mail", "before@example.com")]


def test_it_is_tried_again_for_hours(app: APIFlask, postman: Postman) -> None:
    """Also when a setting of ours was wrong meanwhile; more changes do not make it come sooner."""
    person(app, "alice")
    tell()
    for n, minutes in enumerate(parcels.NOTICE_AGAIN_MINUTES):
        postman.fault = Fault("mail_misconfigured") if n % 2 else Fault("mail_unavailable", passing=True)
        assert postman.rounds() == []
        tell()
        postman.fault = None
        assert postman.rounds() == []
        later(minutes * 60 * 0.8)
        assert postman.rounds() == []
        later(minutes * 60 * 0.4)
    (mail,) = postman.rounds()
    assert "6 times" in mail.text


def test_a_postman_that_died_over_it_is_followed_by_another(app: APIFlask, postman: Postman) -> None:
    person(app, "alice")
    tell()
    assert parcels.claim() is not None
    db.session.commit()
    assert postman.rounds() == []
    later(parcels.LOST_SECONDS + 1)
    assert parcels.give_up_lost() == 0
    db.session.commit()
    assert whom(postman.rounds()) == [("mail", "alice@example.com")]


def test_an_address_that_is_refused_is_not_tried_again(app: APIFlask, postman: Postman) -> None:
    person(app, "alice")
    tell()
    postman.fault = Fault("mail_address_refused")
    assert postman.rounds() == []
    assert db.session.scalars(select(Message.state)).all() == ["failed"]


def test_it_uses_nobodys_share_up(app: APIFlask, postman: Postman) -> None:
    """The owner may have a link or a code sent right after a notice, from the same network."""
    person(app, "alice", email=None)
    tell("account.phone", old_number=PHONES["bob"])
    db.session.execute(update(User).values(email="alice@example.com", email_verified_at=func.now()))
    tell("password.changed")
    messages.queue_mail("reset_password", "alice@example.com", user_id=user().id, visitor=HERE)
    for number in (PHONES["alice"], PHONES["bob"]):
        messages.take("sms", "login", number, visitor=HERE)
    db.session.commit()


# Each kind of event that is no such change, and why its owner is not written to.
NOT_TOLD = {
    "account.registered": "the link to verify the address tells",
    "email.link": "the mail itself tells",
    "login.succeeded": "login.new_device tells, if it is one",
    "login.failed": "nothing changed; strangers could send floods",
    "login.limited": "nothing changed; strangers could send floods",
    "session.confirmed": "gives nothing that the log-in had not",
    "session.ended": "takes away, gives nothing",
    "session.ended_all": "takes away, gives nothing; what it comes with tells",
    "code.sent": "the SMS itself tells",
    "code.not_sent": "nothing changed",
    "code.wrong": "nothing changed; code.blocked tells in the end",
    "password.link": "the mail itself tells",
    "token.refreshed": "gives nothing that the log-in had not",
    "factor.failed": "nothing changed",
    "prefix.stopped": "no account's",
    "auth.spray": "no account's",
    "authz.denied": "its owner did it; nothing changed",
    "ssrf.blocked": "its owner did it; nothing changed",
    "ssrf.limited": "its owner did it; nothing changed",
    "prefix.lifted": "no account's",
}


def test_each_kind_of_event_is_told_or_has_a_reason_not_to_be() -> None:
    assert CHANGES.keys() | NOT_TOLD.keys() == EVENTS.keys()
    assert not CHANGES.keys() & NOT_TOLD.keys()
