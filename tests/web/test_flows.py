"""Getting in and back in, as pages: log-ins, second step, codes, links. None of it needs JavaScript but the captcha."""

import re
import time
from typing import Any

import pyotp
import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from portal.devices import device
from portal.extensions import db
from portal.models import LoginSession, Message, User
from portal.services import factors, links
from portal.services.events import Visitor
from tests.cast import PASSWORD, PHONES, browser, csrf, person, post, solved

NEW = "quite another horse battery"


def outbox(app: APIFlask) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = app.extensions["gateways"].outbox.messages()
    return found


def code_for(app: APIFlask, number: str) -> str:
    return next(str(message["code"]) for message in outbox(app) if message["to"] == number)


def logins(app: APIFlask) -> int:
    with app.app_context():
        return db.session.scalar(select(func.count()).where(LoginSession.ended_at.is_(None))) or 0


def with_factor(app: APIFlask, name: str) -> tuple[pyotp.TOTP, list[str]]:
    """Switch a member's second factor on; a later code of the app, and the recovery codes."""
    with app.test_request_context():
        user = db.session.scalars(select(User).where(User.username == name)).one()
        secret = factors.begin(user).secret
        login = LoginSession(user=user, kind="api", expires_at=func.now(), ended_at=func.now())
        db.session.add(login)
        db.session.flush()
        totp = pyotp.TOTP(secret)
        codes = factors.enable(login, totp.at(time.time() - 30), visitor=Visitor())
        db.session.commit()
        return totp, codes


def token_for(app: APIFlask, name: str, purpose: str) -> str:
    with app.app_context():
        return links.make(db.session.scalars(select(User).where(User.username == name)).one(), purpose)


def ask_for_code(client: FlaskClient, page: str, number: str) -> TestResponse:
    return post(client, page, page=page, phone_number=number, altcha=solved(client))


# Password


def test_after_three_failures_the_captcha_is_in_the_form_and_what_was_typed_stays(app: APIFlask) -> None:
    person(app, "alice")
    client = app.test_client()
    for _ in range(3):
        answer = post(client, "/login", account="alice", password="wrong")
        assert (answer.status_code, "data-captcha" in answer.text) == (401, False)
    answer = post(client, "/login", account="alice", password=PASSWORD)
    assert (answer.status_code, "data-captcha" in answer.text) == (400, True)
    assert f'value="{PASSWORD}"' in answer.text and 'value="alice"' in answer.text
    wrong = post(client, "/login", account="alice", password="wrong", altcha=solved(client))
    assert (wrong.status_code, "data-captcha" in wrong.text, 'value="wrong"' in wrong.text) == (401, True, False)
    assert post(client, "/login", account="alice", password=PASSWORD, altcha=solved(client)).status_code == 303


def test_a_known_browser_is_not_disturbed_by_strangers(app: APIFlask) -> None:
    person(app, "alice")
    home = browser(app, "alice")
    post(home, "/logout", page="/tasks/")
    for n in range(3):
        elsewhere = {"REMOTE_ADDR": f"198.51.100.{n}"}
        stranger = app.test_client()
        data = {"csrf_token": csrf(stranger, "/login"), "account": "alice", "password": "wrong"}
        assert stranger.post("/login", data=data, environ_base=elsewhere).status_code == 401
    assert post(app.test_client(), "/login", account="alice", password=PASSWORD).status_code == 400
    assert post(home, "/login", account="alice", password=PASSWORD).status_code == 303


def test_known_browsers_are_strange_once_the_password_was_changed(app: APIFlask) -> None:
    """Whoever had the password once could have had any number of them, each with six tries of its own."""
    person(app, "alice")
    kept = [app.test_client() for _ in range(4)]
    for client in kept:
        assert post(client, "/login", account="alice", password=PASSWORD).status_code == 303
    page = f"/password/reset?token={token_for(app, 'alice', 'reset_password')}"
    reset = post(app.test_client(), "/password/reset", page=page, token=page.partition("=")[2], new_password=NEW)
    assert reset.location == "/login"
    answers = [
        post(client, "/login", account="alice", password=f"guess {n}").status_code for client in kept for n in range(6)
    ]
    assert answers == [401] * 3 + [400] * 21  # as any stranger's: a captcha is wanted


def test_the_browser_in_which_the_password_was_changed_stays_known(app: APIFlask) -> None:
    person(app, "alice")
    home = browser(app, "alice")
    changed = post(home, "/account/password", page="/account/password", new_password=NEW)
    assert changed.location == "/account/"
    post(home, "/logout", page="/tasks/")
    for n in range(3):
        assert post(app.test_client(), "/login", account="alice", password=f"guess {n}").status_code == 401
    assert post(app.test_client(), "/login", account="alice", password=NEW).status_code == 400
    assert post(home, "/login", account="alice", password=NEW).status_code == 303


def test_the_device_cookie_is_out_of_reach_and_binds_to_its_person(app: APIFlask) -> None:
    person(app, "alice")
    person(app, "bob")
    client = app.test_client()
    answer = post(client, "/login", account="alice", password=PASSWORD)
    (made,) = [line for line in answer.headers.getlist("Set-Cookie") if line.startswith("device=")]
    assert "HttpOnly" in made and "SameSite=Lax" in made and f"Max-Age={180 * 86400}" in made
    first = client.get_cookie("device")
    post(client, "/logout", page="/tasks/")
    post(client, "/login", account="alice", password=PASSWORD)
    again = client.get_cookie("device")
    post(client, "/logout", page="/tasks/")
    post(client, "/login", account="bob", password=PASSWORD)
    bobs = client.get_cookie("device")
    assert first and again and bobs
    assert first.value == again.value != bobs.value


@pytest.mark.parametrize("value", ["", "x", "WyJhIl0.x", "\u00e9", "a" * 3000])
def test_a_forged_device_cookie_is_no_device(app: APIFlask, client: FlaskClient, value: str) -> None:
    person(app, "alice")
    client.set_cookie("device", value)
    assert post(client, "/login", account="alice", password=PASSWORD).status_code == 303


# Second step


def test_with_a_second_factor_there_is_no_log_in_before_it(app: APIFlask, client: FlaskClient) -> None:
    person(app, "alice")
    totp, (recovery, *_) = with_factor(app, "alice")
    assert client.get("/login/factor").location == "/login"
    answer = client.post(
        "/login?next=/datasets/",
        data={"csrf_token": csrf(client, "/login"), "account": "alice", "password": PASSWORD},
    )
    assert (answer.status_code, answer.location) == (303, "/login/factor?next=/datasets/")
    assert logins(app) == 0 and client.get("/tasks/").status_code == 303
    step = "/login/factor?next=/datasets/"
    wrong = post(client, step, page=step, otp="000000")
    assert (wrong.status_code, "field-error" in wrong.text, logins(app)) == (422, True, 0)
    right = post(client, step, page=step, otp=totp.now())
    assert (right.status_code, right.location, logins(app)) == (303, "/datasets/", 1)
    with app.app_context():
        login = db.session.scalars(select(LoginSession).where(LoginSession.ended_at.is_(None))).one()
        assert login.two_factor_at is not None
    other = app.test_client()
    post(other, "/login", account="alice", password=PASSWORD)
    assert post(other, "/login/factor", page="/login/factor", otp=recovery).status_code == 303
    assert other.get("/tasks/").status_code == 200


def test_a_half_log_in_ends_after_five_minutes_and_with_the_password(
    app: APIFlask, monkeypatch: pytest.MonkeyPatch
) -> None:
    person(app, "alice")
    totp, _ = with_factor(app, "alice")
    late, changed = app.test_client(), app.test_client()
    for client in (late, changed):
        post(client, "/login", account="alice", password=PASSWORD)
        assert client.get("/login/factor").status_code == 200
    token = token_for(app, "alice", "reset_password")
    reset = f"/password/reset?token={token}"
    assert post(app.test_client(), "/password/reset", page=reset, token=token, new_password=NEW).status_code == 303
    assert changed.get("/login/factor").location == "/login"
    assert post(changed, "/login/factor", page="/login", otp=totp.now()).location == "/login"
    post(late, "/login", account="alice", password=NEW)
    assert late.get("/login/factor").status_code == 200
    monkeypatch.setattr("portal.web.entry.HALF_SECONDS", -1)
    assert late.get("/login/factor").location == "/login"


# SMS


def test_log_in_by_code(app: APIFlask, client: FlaskClient) -> None:
    person(app, "alice")
    assert client.get("/login/sms/code").location == "/login/sms"
    answer = ask_for_code(client, "/login/sms?next=/datasets/", "13800138000")
    assert (answer.status_code, answer.location) == (303, "/login/sms/code?next=/datasets/")
    step = answer.location
    wrong = post(client, step, page=step, sms_code="000000")
    assert (wrong.status_code, "field-error" in wrong.text) == (422, True)
    right = post(client, step, page=step, sms_code=code_for(app, PHONES["alice"]))
    assert (right.status_code, right.location) == (303, "/datasets/")
    assert client.get("/tasks/").status_code == 200


def test_a_code_does_not_replace_the_second_factor(app: APIFlask, client: FlaskClient) -> None:
    person(app, "alice")
    totp, _ = with_factor(app, "alice")
    ask_for_code(client, "/login/sms", PHONES["alice"])
    code = code_for(app, PHONES["alice"])
    answer = post(client, "/login/sms/code", page="/login/sms/code", sms_code=code)
    assert (answer.location, logins(app)) == ("/login/factor", 0)
    assert post(client, "/login/factor", page="/login/factor", otp=totp.now()).location == "/tasks/"


def test_strangers_guesses_do_not_use_up_this_browsers_code(app: APIFlask) -> None:
    person(app, "alice")
    alice, stranger = app.test_client(), app.test_client()
    ask_for_code(alice, "/login/sms", PHONES["alice"])
    code = code_for(app, PHONES["alice"])
    with stranger.session_transaction() as kept:
        kept["login_phone"] = PHONES["alice"]
    for _ in range(6):
        post(stranger, "/login/sms/code", page="/login/sms/code", sms_code="000000")
    assert post(alice, "/login/sms/code", page="/login/sms/code", sms_code=code).location == "/tasks/"


@pytest.mark.parametrize("page", ["/register", "/login/sms", "/password/forgot/sms"])
def test_what_is_wrong_with_a_number_stands_beside_it(client: FlaskClient, page: str) -> None:
    answer = post(client, page, page=page, phone_number="12", altcha=solved(client))
    assert answer.status_code == 422 and 'id="phone_number-error"' in answer.text and 'value="12"' in answer.text
    empty = post(client, page, page=page, phone_number="13800138000")
    assert empty.status_code == 422 and "captcha field-invalid" in empty.text
    wrong = post(client, page, page=page, phone_number="13800138000", altcha="x")
    assert wrong.status_code == 400 and "captcha field-invalid" in wrong.text


# Forgotten


def test_reset_by_code(app: APIFlask, client: FlaskClient) -> None:
    person(app, "alice")
    there = browser(app, "alice")
    assert client.get("/password/reset/code").location == "/password/forgot/sms"
    assert ask_for_code(client, "/password/forgot/sms", PHONES["alice"]).location == "/password/reset/code"
    step, code = "/password/reset/code", code_for(app, PHONES["alice"])
    weak = post(client, step, page=step, sms_code=code, new_password="12345678")
    assert weak.status_code == 422 and 'id="new_password-error"' in weak.text
    answer = post(client, step, page=step, sms_code=code, new_password=NEW)
    assert (answer.status_code, answer.location) == (303, "/login")
    assert "notice-success" in client.get("/login").text
    assert there.get("/tasks/").status_code == 303
    assert post(client, "/login", account="alice", password=NEW).location == "/tasks/"


def test_reset_by_mail(app: APIFlask, client: FlaskClient) -> None:
    person(app, "alice")
    there = browser(app, "alice")
    page = "/password/forgot"
    assert post(client, page, page=page, account="alice", altcha=solved(client)).location == "/password/forgot/sent"
    with app.app_context():
        assert db.session.scalars(select(Message.purpose).where(Message.channel == "mail")).all() == ["reset_password"]
    token = token_for(app, "alice", "reset_password")
    link = f"/password/reset?token={token}"
    assert client.get(link).status_code == 200
    weak = post(client, "/password/reset", page=link, token=token, new_password="12345678")
    assert weak.status_code == 422 and 'id="new_password-error"' in weak.text and token in weak.text
    assert post(client, "/password/reset", page=link, token=token, new_password=NEW).location == "/login"
    assert there.get("/tasks/").status_code == 303
    again = post(client, "/password/reset", page=link, token=token, new_password=NEW + " 2")
    assert again.status_code == 422 and 'role="alert"' in again.text


def test_whoever_resets_in_a_browser_that_is_logged_in_is_out_and_told(app: APIFlask) -> None:
    person(app, "alice")
    alice = browser(app, "alice")
    token = token_for(app, "alice", "reset_password")
    answer = post(alice, "/password/reset", page=f"/password/reset?token={token}", token=token, new_password=NEW)
    assert answer.location == "/login"
    assert "notice-success" in alice.get("/login").text


def test_a_link_by_mail_wants_a_captcha(app: APIFlask, client: FlaskClient) -> None:
    person(app, "alice")
    answer = post(client, "/password/forgot", page="/password/forgot", account="alice")
    assert answer.status_code == 422 and "captcha field-invalid" in answer.text
    with app.app_context():
        assert db.session.scalar(select(func.count()).where(Message.channel == "mail")) == 0


@pytest.mark.parametrize("page", ["/login/sms", "/password/forgot/sms", "/password/forgot"])
def test_known_and_unknown_get_the_same_pages(app: APIFlask, page: str) -> None:
    person(app, "alice")
    texts = []
    for name, number in (("alice", PHONES["alice"]), ("nobody", PHONES["bob"])):
        client = app.test_client()
        answer = post(client, page, page=page, phone_number=number, account=name, altcha=solved(client))
        text = client.get(answer.location).text.replace(number, "…")
        plain = re.sub(r'(?<="X-CSRFToken": ")[^"]+|(?<=name="csrf_token" value=")[^"]+', "…", text)
        texts.append((answer.status_code, answer.location, plain))
    assert texts[0] == texts[1]


# Verification


def test_only_the_button_verifies(app: APIFlask) -> None:
    person(app, "alice", email=None)
    client = browser(app, "alice")
    token = token_for(app, "alice", "verify_email")
    link = f"/email/verify?token={token}"
    assert client.get(link).status_code == 200 and client.head(link).status_code == 200
    with app.app_context():
        assert db.session.scalars(select(User)).one().email_verified_at is None
    answer = post(client, "/email/verify", page=link, token=token)
    assert answer.location == "/account/"
    with app.app_context():
        assert db.session.scalars(select(User)).one().email_verified_at is not None
    again = post(client, "/email/verify", page=link, token=token)
    assert again.status_code == 422 and 'role="alert"' in again.text


def test_whoever_has_to_log_in_first_is_told_why(client: FlaskClient) -> None:
    for link, why in (
        ("/email/verify?token=x", "Log in to the account in which you entered the address; then you can verify it."),
        ("/tasks/", "Log in to go on."),
    ):
        page = client.get(client.get(link).location, headers={"Accept-Language": "en"}).text
        assert why in page
    assert "Log in to go on." not in client.get("/login", headers={"Accept-Language": "en"}).text


@pytest.mark.parametrize("path", ["/email/verify", "/password/reset"])
@pytest.mark.parametrize("token", ["", "x", "a.b.c", "\x00", "é" * 50])
def test_a_bad_link_is_said_to_be_one(app: APIFlask, path: str, token: str) -> None:
    person(app, "alice")
    client = browser(app, "alice")
    assert client.get(path, query_string={"token": token}).status_code == 200
    answer = post(client, path, page=path, token=token, new_password=NEW)
    assert answer.status_code == 422 and 'role="alert"' in answer.text


# Devices in words


@pytest.mark.parametrize(
    ("user_agent", "words"),
    [
        (
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/130.0 Safari/537.36",
            "Chrome on Windows",
        ),
        ("Mozilla/5.0 (Windows NT 10.0) Chrome/130.0 Safari/537.36 Edg/130.0", "Edge on Windows"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Safari/604.1", "Safari on iOS"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 14.1; rv:132.0) Gecko Firefox/132.0", "Firefox on macOS"),
        ("Mozilla/5.0 (Linux; Android 14) Chrome/116 Mobile Safari/537 MicroMessenger/8.0", "WeChat on Android"),
        ("curl/8.5.0", "curl"),
        ("python-requests/2.32", "Python"),
        ("", "Unknown device"),
    ],
)
def test_devices_in_words(app: APIFlask, user_agent: str, words: str) -> None:
    with app.test_request_context(headers={"Accept-Language": "en"}):
        assert device(user_agent) == words
