"""Getting back in, and changing what protects an account, through the JSON door."""

import time
from datetime import timedelta
from typing import Any

import pyotp
import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient
from sqlalchemy import select, update

from portal import limits
from portal.extensions import db, gateways
from portal.models import Event, LoginSession, Message, User
from portal.services import factors, messages, sessions
from portal.services.events import Visitor
from portal.worker.postman import Postman
from tests.cast import PASSWORD, PHONES, bearer, person, solved, tokens

NEW_PASSWORD = "a quiet evening in autumn"


def ask_for_code(client: FlaskClient, purpose: str, phone: str) -> Any:
    body = {"phone_number": phone, "purpose": purpose, "captcha": {"ticket": solved(client)}}
    return client.post("/api/v1/auth/sms-code", json=body)


def sent(app: APIFlask, to: str, purpose: str = "") -> dict[str, Any]:
    """The newest message to a number or address; the postman goes his round first."""
    with app.app_context():
        while Postman(app).send_one():
            pass
        box = gateways().outbox
        assert box is not None
        return next(each for each in box.messages() if each["to"] == to and purpose in ("", each["purpose"]))


def token_of(message: dict[str, Any]) -> str:
    return str(message["link"]).partition("?token=")[2]


def kinds(app: APIFlask) -> list[str]:
    with app.app_context():
        return list(db.session.scalars(select(Event.kind).order_by(Event.position)))


def test_logging_in_by_code(app: APIFlask, client: FlaskClient) -> None:
    alice = person(app, "alice")
    assert ask_for_code(client, "login", PHONES["alice"]).status_code == 202
    code = sent(app, PHONES["alice"])["code"]
    body = {"phone_number": PHONES["alice"], "sms_code": code}
    answer = client.post("/api/v1/auth/login/sms", json=body)
    assert answer.get_json()["user"]["uuid"] == str(alice.uuid)
    assert client.post("/api/v1/auth/login/sms", json=body).get_json()["code"] == "code_wrong"


def test_a_number_without_an_account_is_told_by_sms_alone(app: APIFlask, client: FlaskClient) -> None:
    person(app, "alice")
    known = ask_for_code(client, "login", PHONES["alice"])
    unknown = ask_for_code(client, "login", PHONES["bob"])
    assert (known.status_code, unknown.status_code) == (202, 202)
    assert {**known.get_json(), "flow": ""} == {**unknown.get_json(), "flow": ""}
    message = sent(app, PHONES["bob"])
    assert (message["purpose"], message["code"]) == ("no_account", None)


def test_resetting_by_mail(app: APIFlask, client: FlaskClient) -> None:
    person(app, "alice")
    old = tokens(app, "alice")
    answers = [client.post("/api/v1/auth/password/forgot", json={"account": name}) for name in ("ALICE", "nobody")]
    assert [answer.status_code for answer in answers] == [202, 202] and answers[0].data == answers[1].data
    message = sent(app, "alice@example.com", "reset_password")
    body = {"token": token_of(message), "new_password": NEW_PASSWORD}
    assert client.post("/api/v1/auth/password/reset", json={**body, "new_password": "short"}).status_code == 422
    assert client.post("/api/v1/auth/password/reset", json=body).status_code == 200
    assert client.post("/api/v1/auth/password/reset", json=body).get_json()["code"] == "link_wrong"
    assert client.get("/api/v1/users/me", headers=bearer(old["access_token"])).status_code == 401
    login = {"account": "alice", "password": NEW_PASSWORD}
    assert client.post("/api/v1/auth/login", json=login).status_code == 200
    with app.app_context():
        states = select(Message.state).where(Message.purpose == "reset_password").order_by(Message.id)
        assert list(db.session.scalars(states)) == ["sent", "suppressed"]


def test_resetting_by_code(app: APIFlask, client: FlaskClient) -> None:
    person(app, "alice")
    ask_for_code(client, "reset_password", PHONES["alice"])
    code = sent(app, PHONES["alice"])["code"]
    body = {"phone_number": PHONES["alice"], "sms_code": code, "new_password": "alice@example.com"}
    answer = client.post("/api/v1/auth/password/reset", json=body)
    assert (answer.status_code, answer.get_json()["errors"][0]["field"]) == (422, "new_password")
    assert client.post("/api/v1/auth/password/reset", json={**body, "new_password": NEW_PASSWORD}).status_code == 200
    assert "password.reset" in kinds(app)


@pytest.mark.parametrize(
    "body", [{}, {"token": "x", "phone_number": "1", "sms_code": "1"}, {"phone_number": PHONES["alice"]}]
)
def test_a_reset_needs_one_proof(app: APIFlask, client: FlaskClient, body: dict[str, str]) -> None:
    answer = client.post("/api/v1/auth/password/reset", json={**body, "new_password": NEW_PASSWORD})
    assert answer.status_code == 422


def test_an_old_link_is_dead(app: APIFlask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    person(app, "alice")
    client.post("/api/v1/auth/password/forgot", json={"account": "alice"})
    token = token_of(sent(app, "alice@example.com"))
    monkeypatch.setitem(limits.LINK_SECONDS, "reset_password", -1)
    answer = client.post("/api/v1/auth/password/reset", json={"token": token, "new_password": NEW_PASSWORD})
    assert answer.get_json()["code"] == "link_wrong"


def test_changing_the_address_and_verifying_it(app: APIFlask, client: FlaskClient) -> None:
    person(app, "alice")
    person(app, "bob")
    headers = bearer(tokens(app, "alice")["access_token"])
    answer = client.patch("/api/v1/users/me", json={"email": "New@Example.com", "username": "Ali"}, headers=headers)
    told = answer.get_json()
    assert (told["email"], told["pending_email"], told["username"]) == ("alice@example.com", "new@example.com", "Ali")
    token = token_of(sent(app, "new@example.com", "verify_email"))
    for status in (200, 422):
        assert client.post("/api/v1/auth/email/verify", json={"token": token}, headers=headers).status_code == status
    me = client.get("/api/v1/users/me", headers=headers).get_json()
    assert (me["email"], me["pending_email"]) == ("new@example.com", None)


def test_changing_the_number(app: APIFlask, client: FlaskClient) -> None:
    person(app, "alice")
    headers = bearer(tokens(app, "alice")["access_token"])
    ask_for_code(client, "change_phone", "+8613600136000")
    code = sent(app, "+8613600136000")["code"]
    body = {"phone_number": "136 0013 6000", "sms_code": code}
    assert client.patch("/api/v1/users/me", json=body, headers=headers).get_json()["phone_number"] == "+8613600136000"


def test_a_log_in_that_is_not_fresh_must_confirm(app: APIFlask, client: FlaskClient) -> None:
    person(app, "alice")
    headers, other = bearer(tokens(app, "alice")["access_token"]), bearer(tokens(app, "alice")["access_token"])
    with app.app_context():
        db.session.execute(update(LoginSession).values(fresh_at=LoginSession.fresh_at - timedelta(minutes=11)))
        db.session.commit()
    body = {"new_password": NEW_PASSWORD}
    answer = client.put("/api/v1/users/me/password", json=body, headers=headers)
    assert (answer.status_code, answer.get_json()["code"]) == (403, "fresh_login_required")
    wrong = client.put("/api/v1/users/me/password", json={**body, "current_password": "no"}, headers=headers)
    assert (wrong.status_code, wrong.get_json()["code"]) == (422, "password_wrong")
    assert client.post("/api/v1/auth/confirm", json={"password": PASSWORD}, headers=headers).status_code == 200
    assert client.put("/api/v1/users/me/password", json=body, headers=headers).status_code == 204
    assert client.get("/api/v1/users/me", headers=headers).status_code == 200
    assert client.get("/api/v1/users/me", headers=other).status_code == 401


def test_the_history_is_the_owners(app: APIFlask, client: FlaskClient) -> None:
    person(app, "alice")
    person(app, "bob")
    client.post("/api/v1/auth/login", json={"account": "alice", "password": "wrong"})
    headers, bobs = bearer(tokens(app, "alice")["access_token"]), bearer(tokens(app, "bob")["access_token"])
    items = client.get("/api/v1/users/me/events", headers=headers).get_json()["items"]
    assert [item["kind"] for item in items] == ["login.succeeded", "login.failed"]
    assert items[1]["text"] == "Log-in failed"
    assert len(client.get("/api/v1/users/me/events", headers=bobs).get_json()["items"]) == 1


def test_after_three_failures_a_captcha_is_asked_for(app: APIFlask, client: FlaskClient) -> None:
    person(app, "alice")
    body = {"account": "alice", "password": "wrong"}
    for _ in range(3):
        assert client.post("/api/v1/auth/login", json=body).get_json()["code"] == "credentials_wrong"
    right = {"account": "alice", "password": PASSWORD}
    assert client.post("/api/v1/auth/login", json=right).get_json()["code"] == "captcha_required"
    captcha = {"ticket": solved(client)}
    assert client.post("/api/v1/auth/login", json={**right, "captcha": captcha}).status_code == 200


def test_the_door_counts_calls_and_says_so(app: APIFlask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app.extensions["settings"], "api_per_minute", 3)
    answers = [client.get("/api/v1/auth/captcha") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert [answer.headers["RateLimit-Remaining"] for answer in answers] == ["2", "1", "0", "0"]
    assert 50 <= int(answers[3].headers["Retry-After"]) <= 61
    assert answers[3].content_type == "application/problem+json"


def test_with_a_second_factor_the_password_alone_confirms_nothing(app: APIFlask, client: FlaskClient) -> None:
    alice = person(app, "alice")
    with app.app_context():
        login = sessions.start(db.session.get_one(User, alice.id), kind="browser", visitor=Visitor())
        secret = factors.begin(login.user).secret
        factors.enable(login, pyotp.TOTP(secret).at(int(time.time()) - 30), visitor=Visitor())
        db.session.commit()
    now = pyotp.TOTP(secret).now()
    body = {"account": "alice", "password": PASSWORD, "otp": now}
    headers = bearer(client.post("/api/v1/auth/login", json=body).get_json()["access_token"])
    with app.app_context():
        db.session.execute(update(LoginSession).values(fresh_at=LoginSession.fresh_at - timedelta(minutes=11)))
        db.session.execute(update(User).values(totp_step=0))
        db.session.commit()
    change = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
    answer = client.put("/api/v1/users/me/password", json=change, headers=headers)
    assert (answer.status_code, answer.get_json()["code"]) == (422, "otp_wrong")
    answer = client.put("/api/v1/users/me/password", json={"new_password": NEW_PASSWORD}, headers=headers)
    assert answer.get_json()["code"] == "fresh_login_required"
    otp = pyotp.TOTP(secret).now()
    assert client.put("/api/v1/users/me/password", json={**change, "otp": otp}, headers=headers).status_code == 204


def test_a_mail_that_cannot_be_written_keeps_no_other_back(
    app: APIFlask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    person(app, "alice")
    with app.app_context():
        user = db.session.scalars(select(User)).one()
        for purpose in ("no_such_template", "reset_password"):
            messages.queue_mail(purpose, "alice@example.com", user_id=user.id, visitor=Visitor())
        db.session.commit()
    assert sent(app, "alice@example.com")["purpose"] == "reset_password"
    with app.app_context():
        assert list(db.session.scalars(select(Message.state).order_by(Message.id))) == ["failed", "sent"]
