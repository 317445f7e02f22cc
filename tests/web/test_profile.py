"""One's own account, as pages: read it, change it, see where one is logged in and what happened."""

import ast
import html
import re
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyotp
import pytest
from apiflask import APIFlask
from flask import render_template
from flask.testing import FlaskClient
from flask_babel import force_locale
from sqlalchemy import select, update

from portal.app import create_app
from portal.config import Settings
from portal.extensions import db
from portal.models import LoginSession, Message, User
from portal.wording import EVENTS, event_sentence
from tests.cast import PASSWORD, PHONES, browser, person, post, solved, tokens
from tests.web.test_flows import code_for, token_for, with_factor

NEW = "quite another horse battery"
WEB = Path(__file__).parents[2] / "portal" / "web"
TWO_FACTOR = ("/account/two-factor", "/account/two-factor/set-up")
FRESH = ("/account/email", "/account/phone", "/account/phone/code", "/account/password", *TWO_FACTOR)


def grown_old(app: APIFlask) -> None:
    """Every log-in proved itself eleven minutes ago."""
    with app.app_context():
        db.session.execute(update(LoginSession).values(fresh_at=datetime.now(UTC) - timedelta(minutes=11)))
        db.session.commit()


def stored(app: APIFlask, name: str = "alice") -> User:
    with app.app_context():
        return db.session.scalars(select(User).where(User.email == f"{name}@example.com")).one()


def mails(app: APIFlask) -> list[str]:
    with app.app_context():
        return list(db.session.scalars(select(Message.purpose).where(Message.channel == "mail").order_by(Message.id)))


def submit(client: FlaskClient, page: str, **data: str) -> tuple[int, str]:
    """Post a page's form to where it stands; the status, and the place it leads to or the page it shows."""
    answer = post(client, page, page=page, **data)
    return answer.status_code, answer.location or answer.text


def test_no_view_commits_twice() -> None:
    counted = {}
    for path in WEB.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and "bp." in "".join(map(ast.unparse, node.decorator_list)):
                calls = [part for part in ast.walk(node) if isinstance(part, ast.Call)]
                counted[f"{path.stem}.{node.name}"] = sum(ast.unparse(c.func).endswith(".commit") for c in calls)
    assert counted["profile.change_email"] == 1
    # Before a file comes, and once it is there: no transaction is open while it does.
    assert {view for view, commits in counted.items() if commits > 1} == {"uploads.create"}


def test_the_account_shows_what_is_known(app: APIFlask) -> None:
    person(app, "alice", email=None)
    page = browser(app, "alice").get("/account/").text
    for text in ("alice", "alice@example.com", PHONES["alice"], "waits to be verified", "Send link again", "Off"):
        assert text in page
    assert PASSWORD not in page and "$2b$" not in page


# Changes


def test_another_username(app: APIFlask) -> None:
    person(app, "alice")
    person(app, "bob")
    alice = browser(app, "alice")
    status, page = submit(alice, "/account/username", username="Bob")
    assert status == 409 and 'id="username-error"' in page and 'value="Bob"' in page
    status, page = submit(alice, "/account/username", username="x")
    assert status == 422 and 'id="username-error"' in page
    assert submit(alice, "/account/username", username="alice2") == (303, "/account/")
    assert '<span class="menu-name">alice2</span>' in alice.get("/account/").text
    assert stored(app).username == "alice2"


def test_another_e_mail_address(app: APIFlask) -> None:
    person(app, "alice")
    alice = browser(app, "alice")
    status, page = submit(alice, "/account/email", email="nonsense")
    assert status == 422 and 'id="email-error"' in page
    assert submit(alice, "/account/email", email="New@Example.com") == (303, "/account/")
    page = alice.get("/account/").text
    assert "new@example.com" in page and "Until then alice@example.com stays in force." in page
    assert mails(app) == ["verify_email", "account_changed"]
    assert submit(alice, "/account/email", email="Alice@Example.com") == (303, "/account/")
    page = alice.get("/account/").text
    assert "stays as it is" in page and "new@example.com" not in page
    assert stored(app).email == "alice@example.com" and len(mails(app)) == 2


def test_the_link_is_sent_again_but_not_at_once_and_not_to_the_verified(app: APIFlask) -> None:
    person(app, "alice", email=None)
    alice = browser(app, "alice")
    assert post(alice, "/account/email/link", page="/account/").status_code == 303
    assert "notice-success" in alice.get("/account/").text
    post(alice, "/account/email/link", page="/account/")
    assert "notice-error" in alice.get("/account/").text
    assert mails(app) == ["verify_email"]
    token = token_for(app, "alice", "verify_email")
    post(alice, "/email/verify", page=f"/email/verify?token={token}", token=token)
    post(alice, "/account/email/link", page="/account/")
    assert "No address waits" in alice.get("/account/").text


def test_another_phone_number(app: APIFlask) -> None:
    person(app, "alice")
    alice, page = browser(app, "alice"), "/account/phone"
    assert alice.get("/account/phone/code").location == page
    to = PHONES["dana"]
    assert submit(alice, page, phone_number=to, altcha=solved(alice)) == (303, "/account/phone/code")
    status, text = submit(alice, "/account/phone/code", sms_code="000000")
    assert status == 422 and 'id="sms_code-error"' in text
    assert submit(alice, "/account/phone/code", sms_code=code_for(app, to)) == (303, "/account/")
    assert stored(app).phone_number == to


def test_another_password_ends_every_other_session(app: APIFlask) -> None:
    person(app, "alice")
    here, there = browser(app, "alice"), browser(app, "alice")
    status, page = submit(here, "/account/password", new_password="password1")
    assert status == 422 and 'id="new_password-error"' in page and "password1" not in page
    assert submit(here, "/account/password", new_password=NEW) == (303, "/account/")
    assert here.get("/account/").status_code == 200
    assert there.get("/account/").status_code == 303
    assert mails(app) == ["account_changed"]


# Fresh


@pytest.mark.parametrize("path", FRESH)
def test_what_protects_the_account_wants_a_fresh_log_in(app: APIFlask, path: str) -> None:
    person(app, "alice")
    alice = browser(app, "alice")
    grown_old(app)
    asked = alice.get(path)
    assert (asked.status_code, asked.location) == (303, f"/confirm?next={path}")
    before = stored(app)
    acted = post(alice, path, page="/account/", email="x@example.com", new_password=NEW, sms_code="1", otp="1")
    assert acted.status_code == 405 or acted.location == f"/confirm?next={path}"
    assert (before.hashed_password, before.email) == (stored(app).hashed_password, stored(app).email)
    status, page = submit(alice, asked.location, password="wrong")
    assert status == 422 and 'id="password-error"' in page and 'name="otp"' not in page
    assert alice.get(path).status_code == 303
    assert submit(alice, asked.location, password=PASSWORD) == (303, path)
    back = alice.get(path)
    assert back.status_code == 200 or back.location == "/account/phone"


def test_with_a_second_factor_the_confirmation_wants_both_and_marks_the_log_in(app: APIFlask) -> None:
    person(app, "alice")
    alice = browser(app, "alice")
    totp, _ = with_factor(app, "alice")
    page = alice.get("/account/two-factor").text
    assert "/confirm?next=/account/two-factor" in page
    grown_old(app)
    confirm = "/confirm?next=/account/two-factor"
    status, page = submit(alice, confirm, password=PASSWORD, otp="000000")
    assert status == 422 and 'id="otp-error"' in page
    assert alice.get("/account/two-factor").status_code == 303
    assert submit(alice, confirm, password=PASSWORD, otp=totp.now()) == (303, "/account/two-factor")
    assert confirm not in alice.get("/account/two-factor").text


@pytest.mark.parametrize("target", ["//evil.example", "https://evil.example", "/\\evil"])
def test_the_confirmation_leads_only_within(app: APIFlask, target: str) -> None:
    person(app, "alice")
    assert submit(browser(app, "alice"), f"/confirm?next={target}", password=PASSWORD) == (303, "/account/")


# Second factor


def test_the_second_factor_from_on_to_off(app: APIFlask) -> None:
    person(app, "alice")
    alice = browser(app, "alice")
    set_up = alice.get("/account/two-factor/set-up").text
    secret = re.findall(r'class="secret">([A-Z2-7]+)<', set_up)[0]
    assert 'src="data:image/svg+xml' in html.unescape(set_up)
    status, page = submit(alice, "/account/two-factor/set-up", otp="000000")
    assert status == 422 and 'id="otp-error"' in page and secret in page
    status, page = submit(alice, "/account/two-factor/set-up", otp=pyotp.TOTP(secret).at(time.time()))
    codes = re.findall(r"<code>([0-9a-z]{5}-[0-9a-z]{5})</code>", page)
    assert (status, len(set(codes))) == (200, 10)
    assert alice.get("/account/two-factor/set-up").location == "/account/two-factor"
    shown = alice.get("/account/two-factor").text
    assert secret not in shown and codes[0] not in shown
    renewed = post(alice, "/account/two-factor/recovery-codes", page="/account/two-factor").text
    assert "recovery-codes" in renewed and codes[0] not in renewed
    assert "Those before them are void." in renewed or "原有恢复码全部失效" in renewed
    assert post(alice, "/account/two-factor/off", page="/account/two-factor").location == "/account/"
    assert not stored(app).has_second_factor


@pytest.mark.parametrize("button", ["/account/two-factor/recovery-codes", "/account/two-factor/off"])
def test_a_button_pressed_too_late_leads_back_to_it(app: APIFlask, button: str) -> None:
    person(app, "alice")
    alice = browser(app, "alice")
    totp, _ = with_factor(app, "alice")
    grown_old(app)
    asked = post(alice, button, page="/account/").location
    assert asked == f"/confirm?next={button}"
    assert submit(alice, asked, password=PASSWORD, otp=totp.now()) == (303, button)
    assert alice.get(button).location == "/account/two-factor"
    assert stored(app).has_second_factor


def test_admins_keep_it(app: APIFlask) -> None:
    person(app, "alice", role="admin")
    totp, _ = with_factor(app, "alice")
    alice = app.test_client()
    post(alice, "/login", account="alice", password=PASSWORD)
    post(alice, "/login/factor", page="/login/factor", otp=totp.now())
    assert "cannot switch it off" in alice.get("/account/two-factor").text
    assert post(alice, "/account/two-factor/off", page="/account/").status_code == 409
    assert stored(app).has_second_factor


# Sessions and history


def test_sessions_say_device_and_place_and_all_can_be_ended(app: APIFlask) -> None:
    person(app, "alice")
    here, there = browser(app, "alice"), tokens(app, "alice")
    page = here.get("/sessions/").text
    assert page.count("127.0.0.1") == 2 and "this one" in page and page.count("End this one") == 1
    assert post(here, "/sessions/end-all", page="/sessions/").location == "/login"
    assert "notice-success" in here.get("/login").text
    assert here.get("/tasks/").status_code == 303
    headers = {"Authorization": f"Bearer {there['access_token']}"}
    assert here.get("/api/v1/users/me", headers=headers).status_code == 401


def test_the_history_tells_its_owner_only_and_goes_back_by_pages(app: APIFlask) -> None:
    person(app, "alice")
    person(app, "bob")
    alice = browser(app, "alice")
    for _ in range(3):
        submit(alice, "/confirm", password="wrong")
    for _ in range(10):
        submit(alice, "/confirm", password=PASSWORD)
        submit(alice, "/account/username", username=f"alice{_}")
    page = alice.get("/account/history/").text
    assert page.count("<tr>") == 21 and "Username changed" in page and "Logged in" not in page
    older = html.unescape(re.findall(r'href="(/account/history/\?cursor=\d+)"', page)[0])
    assert "Logged in" in alice.get(older).text and "Log-in failed" in alice.get(older).text
    assert PASSWORD not in page
    assert "Username changed" not in browser(app, "bob").get("/account/history/").text
    assert alice.get("/account/history/?cursor=99999999999999999999").status_code < 500


@pytest.mark.parametrize("kind", sorted(EVENTS))
def test_each_event_is_a_sentence(app: APIFlask, kind: str) -> None:
    class Told:
        details = {"surplus": "50%"}

    Told.kind = kind  # type: ignore[attr-defined]
    with app.test_request_context():
        assert "%" not in event_sentence(Told())


# Mails and the other captcha


@pytest.mark.parametrize("purpose", ["verify_email", "reset_password"])
@pytest.mark.parametrize("locale", ["zh", "en"])
def test_mails(app: APIFlask, purpose: str, locale: str) -> None:
    link = "https://station.example/x?token=a.b"
    about = {"link": link, "username": "<al&ice>", "public_url": "https://station.example"}
    with app.app_context(), force_locale(locale):
        subject, text, page = (
            render_template(f"mail/{purpose}.{end}", **about) for end in ("subject.txt", "txt", "html")
        )
    assert subject.strip() and "\n" not in subject.strip()
    assert "<al&ice>" in text and "&lt;al&amp;ice&gt;" in page
    for form in (text, page):
        assert link in form and "{{" not in form


def test_tencents_captcha_is_shown_and_its_script_allowed(settings: Settings) -> None:
    chosen = {"captcha_gateway": "tencent", "tencent_secret_id": "i", "tencent_captcha_app_id": 190000001}
    chosen |= {"tencent_secret_key": "k", "tencent_captcha_app_secret": "s"}
    client = create_app(Settings.model_validate(settings.model_dump() | chosen)).test_client()
    answer = client.get("/login/sms")
    assert 'data-app-id="190000001"' in answer.text and "js/tencent.js" in answer.text
    policy = dict(part.split(" ", 1) for part in answer.headers["Content-Security-Policy"].split("; "))
    for name in ("script-src", "frame-src", "img-src", "connect-src"):
        assert "'self'" in policy[name] and "captcha.qcloud.com" in policy[name]
    assert "qcloud" not in client.get("/").headers["Content-Security-Policy"]
    assert 'name="captcha_ticket"' not in client.get("/login").text
