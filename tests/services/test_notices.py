"""Mails about tasks that have ended: for those who want them, to an address that is theirs, once."""

from datetime import timedelta
from typing import Any

import pytest
from apiflask import APIFlask
from flask_babel import force_locale, gettext
from sqlalchemy import func, select, text, update

from portal import limits
from portal.extensions import db, gateways
from portal.gateways.delivery import Delivery
from portal.gateways.mail import Mail
from portal.models import Message, Notice, Task, User
from portal.services import messages, notices, parcels, queue, runs, tasks
from portal.services.events import Visitor
from tests.cast import bearer, person, tokens
from tests.parallel import at_once

FETCH = {"url": "http://data.example.com/secret-free/cities.csv?token=hush", "name": ""}


@pytest.fixture
def alice(app: APIFlask) -> User:
    return member(app, "alice", mail_when_done=True)


def member(app: APIFlask, name: str, **values: Any) -> User:
    someone = person(app, name, **values)
    with app.app_context():
        user = db.session.get_one(User, someone.id)
        db.session.expunge(user)
    return user


def end(owner: User, how: str = "completed", **params: str) -> Task:
    """A fetch of the owner's that has ended so."""
    uuid = tasks.submit(owner, "fetch", {**FETCH, **params}).uuid
    if how == "expired":
        db.session.execute(update(Task).where(Task.uuid == uuid).values(start_before=func.now() - timedelta(1)))
        queue.expire_late()
    elif run := runs.claim(uuid, "w1"):
        if how == "completed":
            runs.complete(run, {"rows": 1})
        elif how == "cancelled":
            tasks.cancel(owner, uuid)
            runs.cancelled(run)
        else:
            runs.fail(run, {"code": how, "params": {}}, passing=False)
    db.session.commit()
    return db.session.scalars(select(Task).where(Task.uuid == uuid)).one()


def drain() -> int:
    count = notices.drain()
    db.session.commit()
    return count


def waiting() -> list[Message]:
    return list(db.session.scalars(select(Message).where(Message.state == "waiting").order_by(Message.id)))


def written(monkeypatch: pytest.MonkeyPatch) -> list[Mail]:
    """What the postman hands over in its rounds, until nothing waits."""
    sent: list[Mail] = []

    def send(mail: Mail) -> Delivery:
        sent.append(mail)
        return Delivery()

    monkeypatch.setattr(gateways().mail, "send", send)
    while parcel := parcels.claim():
        db.session.commit()
        parcels.deliver(parcel)
        db.session.commit()
    return sent


@pytest.mark.parametrize(
    ("how", "subject", "says"),
    [
        ("completed", "Completed: cities.csv", "Your task “cities.csv” has completed.\n"),
        ("no_answer", "Failed: cities.csv", "has failed. The server did not answer in time. Try again later."),
        ("expired", "Expired: cities.csv", "has expired. No worker was free before"),
    ],
)
def test_a_mail_says_which_task_ended_and_how(
    app: APIFlask, alice: User, monkeypatch: pytest.MonkeyPatch, how: str, subject: str, says: str
) -> None:
    with app.app_context():
        task = end(alice, how)
        assert drain() == 1
        (mail,) = written(monkeypatch)
        assert (mail.to, mail.purpose, mail.subject) == (alice.email, "task_ended", subject)
        for form in (mail.text, mail.html):
            assert says.strip() in form and f"http://127.0.0.1:8000/tasks/{task.uuid}" in form
            assert "hush" not in form and "{{" not in form
        assert mail.link == f"http://127.0.0.1:8000/tasks/{task.uuid}"
        assert (drain(), written(monkeypatch)) == (0, [])


def test_a_mail_speaks_its_readers_language_and_holds_no_markup(app: APIFlask, monkeypatch: pytest.MonkeyPatch) -> None:
    lin = member(app, "bob", mail_when_done=True, locale="zh")
    with app.app_context():
        end(lin, name="<b>茶 & tea</b>" + "x" * 100)
        drain()
        (mail,) = written(monkeypatch)
        with force_locale("zh"):
            assert gettext("Hello %(username)s,", username="bob") in mail.text
        assert "<b>茶 & tea</b>" in mail.text and "&lt;b&gt;茶 &amp; tea&lt;/b&gt;" in mail.html
        assert "<b>茶 & tea</b>" in mail.subject and len(mail.subject) < 80


def test_a_task_that_its_owner_cancelled_is_no_news(app: APIFlask, alice: User) -> None:
    with app.app_context():
        end(alice, "cancelled")
        assert (drain(), waiting()) == (0, [])
        run = runs.claim(tasks.submit(alice, "health_check", {}).uuid, "w1")
        assert run is not None
        tasks.cancel(alice, run.uuid)
        error = {"code": "internal", "params": {}}
        assert runs.fail(run, error, passing=False) or runs.cancelled(run)
        db.session.commit()
        assert (drain(), waiting(), db.session.scalar(select(func.count()).select_from(Notice))) == (0, [], 0)


@pytest.mark.parametrize(
    "values",
    [
        {"mail_when_done": False},
        {"mail_when_done": True, "email": None},
    ],
)
def test_nobody_else_gets_a_mail(app: APIFlask, values: dict[str, Any]) -> None:
    bob = member(app, "bob", **values)
    with app.app_context():
        end(bob)
        assert (drain(), waiting(), db.session.scalar(select(func.count()).select_from(Notice))) == (0, [], 0)


@pytest.mark.parametrize(
    "change", [{"mail_when_done": False}, {"email": None, "email_verified_at": None}, {"is_active": False}]
)
def test_what_changed_before_the_round_counts(app: APIFlask, alice: User, change: dict[str, Any]) -> None:
    with app.app_context():
        end(alice)
        db.session.execute(update(User).values(change))
        db.session.commit()
        assert (drain(), waiting()) == (0, [])


def test_an_address_that_is_not_verified_any_more_learns_nothing(
    app: APIFlask, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    with app.app_context():
        end(alice)
        assert drain() == 1
        db.session.execute(
            update(User).values(email=None, email_verified_at=None, pending_email="stranger@example.com")
        )
        db.session.commit()
        assert written(monkeypatch) == []
        assert db.session.scalars(select(Message.state)).all() == ["suppressed"]


def test_a_task_is_told_of_once_ever(app: APIFlask, alice: User) -> None:
    with app.app_context():
        task = end(alice)
        assert drain() == 1
        db.session.add(Notice(task_id=task.id))
        db.session.commit()
        assert drain() == 0
        assert [message.task_id for message in waiting()] == [task.id]


def test_a_round_that_is_rolled_back_loses_nothing(app: APIFlask, alice: User) -> None:
    with app.app_context():
        end(alice)
        assert notices.drain() == 1
        db.session.rollback()
        assert (waiting(), drain(), len(waiting())) == ([], 1, 1)


def test_many_rounds_at_once_write_each_mail_once(app: APIFlask, alice: User) -> None:
    with app.app_context():
        for _ in range(8):
            end(alice)
    rounds: list[int] = []

    def act() -> None:
        rounds.append(notices.drain())
        db.session.commit()

    assert at_once(app, 8, act) == {"done": 8}
    with app.app_context():
        rounds.append(drain())
        assert sum(rounds) == len(waiting()) == 8


def test_beyond_the_limit_mails_are_left_out(app: APIFlask, alice: User) -> None:
    most = limits.TASK_MAIL_PER_ADDRESS[0].count
    with app.app_context():
        for _ in range(most + 2):
            end(alice)
        assert drain() == most
        assert db.session.scalar(select(func.count()).select_from(Notice)) == 0
        db.session.execute(update(Message).values(created_at=text("now() - interval '61 seconds'")))
        end(alice)
        assert drain() == 1


def test_mails_about_tasks_leave_half_of_the_budget_to_links(
    app: APIFlask, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app.extensions["settings"], "mail_per_minute", 6)
    with app.app_context():
        for _ in range(5):
            end(alice)
        assert drain() == 3
        for number in range(3):
            messages.queue_mail("reset_password", f"{number}@example.com", user_id=None, visitor=Visitor("203.0.113.1"))
        db.session.commit()
        assert len(waiting()) == 6


def test_they_are_counted_for_no_network(app: APIFlask, alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app.extensions["settings"], "sms_per_address_day", 1)
    with app.app_context():
        end(alice)
        end(alice)
        assert drain() == 2
        messages.queue_mail("reset_password", "alice@example.com", user_id=alice.id, visitor=Visitor(""))
        db.session.commit()


def test_whether_mails_come_is_said_and_changed_through_the_api(app: APIFlask) -> None:
    person(app, "bob")
    client, headers = app.test_client(), bearer(tokens(app, "bob")["access_token"])
    me = "/api/v1/users/me"
    assert client.get(me, headers=headers).get_json()["mail_when_done"] is False
    for wanted in (True, False):
        changed = client.patch(me, json={"mail_when_done": wanted}, headers=headers)
        assert (changed.status_code, changed.get_json()["mail_when_done"]) == (200, wanted)
        assert client.get(me, headers=headers).get_json()["mail_when_done"] is wanted
    for wrong in ("yes", 1):
        assert client.patch(me, json={"mail_when_done": wrong}, headers=headers).status_code == 422
    failed = client.patch(me, json={"mail_when_done": True, "username": "x"}, headers=headers)
    assert failed.status_code == 422  # all or nothing
    assert client.get(me, headers=headers).get_json()["mail_when_done"] is False
