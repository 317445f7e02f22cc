"""Nobody comes into an account, nor keeps others from one, by an address that was not verified."""

import re
from datetime import timedelta
from typing import Any

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient
from sqlalchemy import event, func, select, update

from portal.extensions import db, gateways
from portal.models import Message, User
from portal.services import links
from portal.worker.postman import Postman
from tests.cast import PASSWORD, PHONES, bearer, person, solved, tokens

ADDRESS = "victim@example.com"
NEW = "a long walk by the sea"


def box(app: APIFlask) -> list[dict[str, Any]]:
    """Everything that was sent, newest first; the postman has done his round."""
    with app.app_context():
        while Postman(app).send_one():
            pass
        found = gateways().outbox
        assert found is not None
        return list(found.messages())


def mails(app: APIFlask, to: str) -> list[str]:
    return [message["purpose"] for message in box(app) if message["to"] == to]


def token(app: APIFlask, to: str, purpose: str) -> str:
    return next(
        str(message["link"]).partition("?token=")[2]
        for message in box(app)
        if (message["to"], message["purpose"]) == (to, purpose)
    )


def sms(app: APIFlask, client: FlaskClient, number: str, purpose: str) -> str:
    """A code, a minute after whatever was sent before."""
    with app.app_context():
        db.session.execute(update(Message).values(created_at=Message.created_at - timedelta(seconds=61)))
        db.session.commit()
    body = {"phone_number": number, "purpose": purpose, "captcha": {"ticket": solved(client)}}
    assert client.post("/api/v1/auth/sms-code", json=body).status_code == 202
    return next(str(message["code"]) for message in box(app) if message["to"] == number)


def sign_up(app: APIFlask, username: str, number: str, email: str = ADDRESS) -> tuple[FlaskClient, dict[str, str]]:
    """A program that is logged in to a new account, whose address waits."""
    client = app.test_client()
    body = {"username": username, "email": email, "phone_number": number, "password": PASSWORD}
    answer = client.post("/api/v1/auth/register", json={**body, "sms_code": sms(app, client, number, "register")})
    assert answer.status_code == 200, answer.text
    return client, bearer(answer.get_json()["access_token"])


def verify(app: APIFlask, client: FlaskClient, headers: dict[str, str], to: str = ADDRESS) -> tuple[int, str]:
    answer = client.post("/api/v1/auth/email/verify", json={"token": token(app, to, "verify_email")}, headers=headers)
    return answer.status_code, answer.get_json().get("code", "")


def test_who_owns_a_mistyped_address_gets_no_way_in(app: APIFlask, client: FlaskClient) -> None:
    sign_up(app, "erin", "+8613600136000", email=ADDRESS)
    for account in ("erin", ADDRESS, "+8613600136000"):
        answer = client.post("/api/v1/auth/password/forgot", json={"account": account})
        assert answer.status_code == 202
    assert mails(app, ADDRESS) == ["verify_email"]
    with app.app_context():
        resets = select(Message.state).where(Message.purpose == "reset_password")
        assert set(db.session.scalars(resets)) == {"suppressed"}
    # Nor by the link that they did get, which is no use without the account.
    link = token(app, ADDRESS, "verify_email")
    assert client.post("/api/v1/auth/email/verify", json={"token": link}).status_code == 401
    assert client.post("/api/v1/auth/password/reset", json={"token": link, "new_password": NEW}).status_code == 422


def test_an_address_is_no_name_to_log_in_by_until_it_is_verified(app: APIFlask) -> None:
    client, headers = sign_up(app, "erin", "+8613600136000")
    login = {"account": ADDRESS, "password": PASSWORD}
    assert client.post("/api/v1/auth/login", json=login).status_code == 401
    assert verify(app, client, headers) == (200, "")
    assert client.post("/api/v1/auth/login", json=login).status_code == 200


def test_an_intruder_who_waits_at_somebodys_address_waits_for_nothing(app: APIFlask) -> None:
    """They sign up with it and a phone of their own; its owner asks for a link, opens what came, signs up, stays."""
    intruder, _ = sign_up(app, "intruder", "+8613600136000")
    victim = app.test_client()
    assert victim.post("/api/v1/auth/password/forgot", json={"account": ADDRESS}).status_code == 202
    assert mails(app, ADDRESS) == ["verify_email"]
    planted = token(app, ADDRESS, "verify_email")
    victim, victims = sign_up(app, "victim", "+8613700137000")
    # What the intruder's sign-up had sent to the victim does not put their address on the intruder's account.
    answer = victim.post("/api/v1/auth/email/verify", json={"token": planted}, headers=victims)
    assert (answer.status_code, answer.get_json()["code"]) == (422, "link_of_another")
    assert verify(app, victim, victims) == (200, "")
    code = sms(app, intruder, "+8613600136000", "login")
    body = {"phone_number": "+8613600136000", "sms_code": code}
    told = intruder.post("/api/v1/auth/login/sms", json=body).get_json()["user"]
    assert (told["username"], told["email"], told["pending_email"]) == ("intruder", None, ADDRESS)
    reset = {"token": token(app, ADDRESS, "verify_email"), "new_password": NEW}
    assert intruder.post("/api/v1/auth/password/reset", json=reset).status_code == 422


def test_addresses_cannot_be_squatted(app: APIFlask) -> None:
    squatters = [sign_up(app, f"squatter{n}", f"+861360013600{n}") for n in range(3)]
    client, headers = sign_up(app, "victim", "+8613700137000")
    assert verify(app, client, headers) == (200, "")
    # Nor did they use up the mails that the address may get.
    for squatter, theirs in squatters:
        me = squatter.get("/api/v1/users/me", headers=theirs).get_json()
        assert (me["email"], me["pending_email"]) == (None, ADDRESS)


def test_who_verifies_first_has_the_address_and_the_other_is_told_what_to_do(app: APIFlask) -> None:
    first, firsts = sign_up(app, "first", "+8613600136000")
    link = token(app, ADDRESS, "verify_email")
    second, seconds = sign_up(app, "second", "+8613700137000")
    assert verify(app, second, seconds) == (200, "")
    answer = first.post("/api/v1/auth/email/verify", json={"token": link}, headers=firsts)
    problem = answer.get_json()
    assert (answer.status_code, problem["code"]) == (409, "email_taken")
    assert "enter another address" in problem["detail"]
    assert first.patch("/api/v1/users/me", json={"email": "other@example.com"}, headers=firsts).status_code == 200
    assert verify(app, first, firsts, "other@example.com") == (200, "")


def test_whether_an_address_is_verified_by_somebody_is_told_to_nobody(app: APIFlask) -> None:
    person(app, "alice")
    answers = []
    for n, email in enumerate(("alice@example.com", "nobody@example.com")):
        client, headers = sign_up(app, f"erin{n}", f"+861360013600{n}", email=email)
        changed = client.patch("/api/v1/users/me", json={"email": f"x{email}"}, headers=headers)
        back = client.patch("/api/v1/users/me", json={"email": email}, headers=headers)
        answers.append((changed.status_code, back.status_code, back.get_json()["pending_email"] == email))
    assert answers[0] == answers[1] == (200, 200, True)


def test_the_old_address_stays_in_force_until_the_new_one_is_verified(app: APIFlask, client: FlaskClient) -> None:
    person(app, "alice")
    headers = bearer(tokens(app, "alice")["access_token"])
    old, new = "alice@example.com", "new@example.com"
    assert client.patch("/api/v1/users/me", json={"email": new}, headers=headers).status_code == 200

    def works(name: str) -> bool:
        answer = client.post("/api/v1/auth/login", json={"account": name, "password": PASSWORD})
        return answer.status_code == 200

    assert (works(old), works(new)) == (True, False)
    client.post("/api/v1/auth/password/forgot", json={"account": new})
    client.post("/api/v1/auth/password/forgot", json={"account": old})
    assert sorted(mails(app, old)) == ["account_changed", "reset_password"]
    assert mails(app, new) == ["verify_email"]
    reset = token(app, old, "reset_password")
    assert verify(app, client, headers, new) == (200, "")
    assert (works(old), works(new)) == (False, True)
    assert mails(app, old).count("account_changed") == 2
    # A link that went to the old address died with it.
    answer = client.post("/api/v1/auth/password/reset", json={"token": reset, "new_password": NEW})
    assert answer.get_json()["code"] == "link_wrong"


@pytest.mark.parametrize("then", ["bob@example.com", "alice@example.com"])
def test_a_link_is_good_for_the_address_it_was_sent_to_alone(app: APIFlask, client: FlaskClient, then: str) -> None:
    person(app, "alice")
    headers = bearer(tokens(app, "alice")["access_token"])
    client.patch("/api/v1/users/me", json={"email": "first@example.com"}, headers=headers)
    link = token(app, "first@example.com", "verify_email")
    client.patch("/api/v1/users/me", json={"email": then}, headers=headers)
    answer = client.post("/api/v1/auth/email/verify", json={"token": link}, headers=headers)
    assert answer.get_json().get("code") == "link_wrong", answer.text
    assert client.get("/api/v1/users/me", headers=headers).get_json()["email"] == "alice@example.com"


def test_a_link_sent_late_goes_to_the_address_that_waits_then(app: APIFlask, client: FlaskClient) -> None:
    person(app, "alice")
    headers = bearer(tokens(app, "alice")["access_token"])
    for email in ("first@example.com", "second@example.com"):
        client.patch("/api/v1/users/me", json={"email": email}, headers=headers)
    assert mails(app, "first@example.com") == []
    assert set(mails(app, "second@example.com")) == {"verify_email"}


def test_whoever_has_only_a_waiting_address_resets_by_sms(app: APIFlask, client: FlaskClient) -> None:
    person(app, "alice", email=None)
    code = sms(app, client, PHONES["alice"], "reset_password")
    body = {"phone_number": PHONES["alice"], "sms_code": code, "new_password": NEW}
    assert client.post("/api/v1/auth/password/reset", json=body).status_code == 200
    with app.app_context():
        user = db.session.scalars(select(User)).one()
        assert (user.email, user.pending_email, user.email_verified_at) == (None, "alice@example.com", None)


def test_a_reset_link_from_before_does_not_make_an_address_verified(app: APIFlask, client: FlaskClient) -> None:
    person(app, "alice")
    with app.app_context():
        user = db.session.scalars(select(User)).one()
        link = links.make(user, "reset_password")
        user.email, user.email_verified_at, user.pending_email = None, None, "alice@example.com"
        db.session.commit()
    answer = client.post("/api/v1/auth/password/reset", json={"token": link, "new_password": NEW})
    assert answer.get_json()["code"] == "link_wrong"
    with app.app_context():
        assert db.session.scalar(select(func.count()).where(User.email.is_not(None))) == 0


@pytest.mark.parametrize("typed", ["ｅｒｉｎ＠ｅｘａｍｐｌｅ．ｃｏｍ", "Erin@Example.com.", '"erin"@example.com'])
def test_an_address_in_other_letters_is_one_account_at_sign_up_and_log_in(app: APIFlask, typed: str) -> None:
    client, headers = sign_up(app, "erin", "+8613600136000", email=typed)
    assert verify(app, client, headers, "erin@example.com") == (200, "")
    for account in (typed, "erin@example.com", "ERIN@EXAMPLE.COM"):
        answer = client.post("/api/v1/auth/login", json={"account": account, "password": PASSWORD})
        assert answer.get_json()["user"]["username"] == "erin"


def test_a_link_for_a_waiting_address_costs_and_tells_what_one_for_anybody_does(app: APIFlask) -> None:
    person(app, "alice")
    person(app, "bob", email=None)
    asked: dict[str, tuple[list[str], dict[str, Any]]] = {}
    names = ("alice", "bob", "bob@example.com", PHONES["bob"], "nobody", "nobody@example.com", "+8613912345678")
    for account in ("first.of.all", *names):  # the first meets an empty history and new connections
        statements: list[str] = []

        def note(*args: Any, seen: list[str] = statements) -> None:
            seen.append(args[2])

        with app.app_context():
            event.listen(db.engine, "before_cursor_execute", note)
        answer = app.test_client().post(
            "/api/v1/auth/password/forgot",
            json={"account": account},
            environ_base={"REMOTE_ADDR": f"198.51.100.{len(asked)}"},
        )
        with app.app_context():
            event.remove(db.engine, "before_cursor_execute", note)
        assert answer.status_code == 202
        by_any_name = [re.sub(r"users\.(username_key|email|phone_number) = \S+", "NAME", one) for one in statements]
        asked[account] = by_any_name, answer.get_json()
    for account in names:
        assert asked[account] == asked["nobody"], account
    assert len(asked["nobody"][0]) > 5
