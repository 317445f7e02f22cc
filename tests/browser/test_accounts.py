"""Getting in, getting back in, and one's own account, as a person does it: in both languages, on a phone and a desk.

SHOTS=<folder> keeps pictures of the pages.
"""

import os
import re
import time
from collections.abc import Callable
from pathlib import Path

import psycopg2
import pyotp
import pytest
from playwright.sync_api import expect
from redis import Redis

from tests.browser.conftest import PASSWORD, Member, Outbox
from tests.browser.visits import DESKTOP, PHONE, Visit, Visits
from tests.conftest import Urls
from tests.stack import new_number

BOTH = pytest.mark.parametrize(("locale", "width"), [("zh-CN", PHONE), ("en-US", DESKTOP)])
NEW = "quite another horse battery"
Later = Callable[[], None]


@pytest.fixture
def later(kept: Urls) -> Later:
    """A day passes for the limits, so that the next message may go and strangers' failures are forgotten."""

    def pass_() -> None:
        with psycopg2.connect(kept.database) as connection, connection.cursor() as cursor:
            cursor.execute("UPDATE messages SET created_at = created_at - interval '2 days' WHERE state <> 'waiting'")
        connection.close()
        redis = Redis.from_url(kept.redis)
        for key in redis.scan_iter("*login:*"):
            redis.delete(key)
        redis.close()

    return pass_


def look(visit: Visit, name: str) -> None:
    """Check the page; keep a picture of it when they are asked for."""
    visit.check_page()
    if folder := os.environ.get("SHOTS"):
        width = visit.page.viewport_size["width"] if visit.page.viewport_size else 0
        file = Path(folder) / f"{name}-{visit.locale[:2]}-{width}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        visit.page.screenshot(path=file, full_page=True)


def solve(visit: Visit) -> None:
    visit.page.locator("altcha-widget label").click()
    solved = visit.page.locator("altcha-widget input[name=altcha]")
    expect(solved).to_have_value(re.compile("."), timeout=15_000)


def mail_to(outbox: Outbox, address: str, purpose: str) -> str:
    """The link in the newest mail; the postman may still be on the way."""
    for _ in range(60):
        for message in outbox.messages():
            if (message["to"], message["purpose"]) == (address, purpose):
                return str(message["link"])
        time.sleep(0.25)
    raise AssertionError(f"no {purpose} came")


def says(visit: Visit, text: str) -> None:
    expect(visit.page.locator(".notice").first).to_contain_text(visit.t(text))


def log_in(visit: Visit, username: str, password: str) -> None:
    visit.fill(account=username, password=password)
    visit.page.locator("main").get_by_role("button", name=visit.t("Log in")).click()


def number_of(visit: Visit) -> str:
    visit.page.goto("/account/")
    found = re.search(r"\+86\d{11}", visit.page.locator(".settings").inner_text())
    assert found
    return found[0]


@BOTH
def test_by_sms_code(
    locale: str, width: int, visits: Visits, other_member: Member, outbox: Outbox, later: Later
) -> None:
    visit = visits(locale, width=width)
    page = visit.page
    visit.come_in(*other_member)
    number = number_of(visit)
    later()
    visit.context.clear_cookies()
    page.goto("/login?next=/datasets/")
    look(visit, "login")
    visit.link("Log in by SMS code")
    visit.fill(phone_number=number.removeprefix("+86"))
    solve(visit)
    look(visit, "login-sms")
    visit.button("Send code")
    expect(page.get_by_text(number)).to_be_visible()
    visit.expects("status of 422 .*/login/sms/code")
    visit.fill(sms_code="000000")
    visit.page.locator("main").get_by_role("button", name=visit.t("Log in")).click()
    expect(page.locator("#sms_code-error")).to_be_visible()
    look(visit, "login-sms-code-wrong")
    visit.fill(sms_code=outbox.code_for(number))
    visit.page.locator("main").get_by_role("button", name=visit.t("Log in")).click()
    expect(page).to_have_url(re.compile("/datasets/$"))


@BOTH
def test_a_forgotten_password(
    locale: str,
    width: int,
    visits: Visits,
    other_member: Member,
    outbox: Outbox,
    later: Later,
) -> None:
    visit, username = visits(locale, width=width), other_member.username
    page = visit.page
    visit.come_in(*other_member)
    number = number_of(visit)
    page.goto(mail_to(outbox, f"{username}@example.com", "verify_email"))
    visit.button("Verify")
    says(visit, "Your e-mail address is verified.")
    later()
    visit.context.clear_cookies()
    page.goto("/login")
    visit.link("Forgot your password?")
    visit.fill(account=username)
    solve(visit)
    look(visit, "forgot")
    visit.button("Send link")
    expect(page.locator("h1")).to_have_text(visit.t("Look into your mail"))
    look(visit, "forgot-sent")
    page.goto(mail_to(outbox, f"{username}@example.com", "reset_password"))
    look(visit, "reset")
    visit.fill(new_password=NEW)
    visit.button("Set password")
    says(visit, "Your password is changed. Log in with the new one.")
    look(visit, "reset-done")
    later()
    page.goto("/password/forgot/sms")
    visit.fill(phone_number=number)
    solve(visit)
    visit.button("Send code")
    expect(page).to_have_url(re.compile("/password/reset/code$"))
    visit.expects("status of 422 .*/password/reset/code")
    visit.fill(sms_code=outbox.code_for(number), new_password="12345678")
    visit.button("Set password")
    expect(page.locator("#new_password-error")).to_be_visible()
    look(visit, "reset-by-code")
    visit.fill(sms_code=outbox.code_for(number), new_password=PASSWORD)
    visit.button("Set password")
    log_in(visit, username, PASSWORD)
    expect(page).to_have_url(re.compile("/tasks/$"))


@BOTH
def test_the_captcha_after_failures(
    locale: str, width: int, visits: Visits, other_member: Member, later: Later
) -> None:
    visit = visits(locale, width=width)
    page = visit.page
    visit.expects("status of 40[01] .*/login")
    later()
    try:
        page.goto("/login")
        for _ in range(3):
            log_in(visit, other_member.username, "wrong")
            expect(page.locator(".notice-error")).to_be_visible()
        log_in(visit, *other_member)
        expect(page.locator("altcha-widget")).to_be_visible()
        expect(page.locator("[name=password]")).to_have_value(PASSWORD)
        look(visit, "login-captcha")
        solve(visit)
        visit.page.locator("main").get_by_role("button", name=visit.t("Log in")).click()
        expect(page).to_have_url(re.compile("/tasks/$"))
    finally:
        later()


@BOTH
def test_ones_account(
    locale: str,
    width: int,
    visits: Visits,
    other_member: Member,
    outbox: Outbox,
    later: Later,
) -> None:
    visit = visits(locale, width=width)
    page, address = visit.page, f"{other_member.username}@example.com"
    visit.come_in(*other_member)
    page.locator("details.menu summary").click()
    visit.link("Account")
    look(visit, "account")
    page.goto(mail_to(outbox, address, "verify_email"))
    look(visit, "verify")
    visit.button("Verify")
    says(visit, "Your e-mail address is verified.")
    visit.link("Change username")
    visit.fill(username=f"new-{other_member.username}")
    look(visit, "username")
    visit.button("Save")
    says(visit, "Your username is changed.")
    later()
    visit.link("Change e-mail address")
    visit.expects("status of 422 .*/account/email")
    visit.fill(email="nobody@nowhere@example.com")
    page.locator("main form").evaluate("form => { form.noValidate = true }")
    visit.button("Save")
    expect(page.locator("#email-error")).to_be_visible()
    look(visit, "email-wrong")
    visit.fill(email=f"new-{address}")
    visit.button("Save")
    says(visit, "Open the link that we sent to the new address; then it is yours.")
    look(visit, "account-changed")
    assert mail_to(outbox, f"new-{address}", "verify_email").startswith(visit.origin)
    mail_to(outbox, address, "account_changed")
    number = new_number()
    visit.link("Change phone number")
    visit.fill(phone_number=number.removeprefix("+86"))
    solve(visit)
    look(visit, "phone")
    visit.button("Send code")
    expect(page).to_have_url(re.compile("/account/phone/code$"))
    visit.fill(sms_code=outbox.code_for(number))
    look(visit, "phone-code")
    visit.button("Save")
    says(visit, "Your phone number is changed.")
    visit.link("Change password")
    visit.fill(new_password=NEW)
    look(visit, "password")
    visit.button("Save")
    says(visit, "Your password is changed. Every other session has been ended.")
    page.goto("/account/history/")
    expect(page.get_by_text(visit.t("Password changed"))).to_be_visible()
    look(visit, "history")


@BOTH
def test_two_factors(locale: str, width: int, visits: Visits, other_member: Member) -> None:
    visit = visits(locale, width=width)
    page, log_in_button = visit.page, visit.page.locator("main").get_by_role("button", name=visit.t("Log in"))
    visit.come_in(*other_member)
    page.goto("/account/two-factor")
    look(visit, "two-factor-off")
    visit.link("Set up")
    picture = page.locator("img.qr")
    assert picture.evaluate("image => image.complete && image.naturalWidth > 50")
    look(visit, "two-factor-set-up")
    totp = pyotp.TOTP(page.locator(".secret").inner_text().replace(" ", ""))
    visit.fill(otp=totp.at(time.time() - 30))
    visit.button("Switch on")
    codes = page.locator(".recovery-codes code")
    expect(codes).to_have_count(10)
    look(visit, "recovery-codes")
    recovery = codes.first.inner_text()
    visit.link("I have kept them")
    expect(page.get_by_text(visit.t("On since"))).to_be_visible()
    page.goto("/account/two-factor")
    look(visit, "two-factor-on")
    page.goto("/account/")
    page.locator("details.menu summary").click()
    visit.button("Log out")
    page.goto("/login?next=/sessions/")
    log_in(visit, *other_member)
    look(visit, "factor")
    visit.expects("status of 422 .*/login/factor")
    visit.fill(otp="000000")
    log_in_button.click()
    expect(page.locator("#otp-error")).to_be_visible()
    look(visit, "factor-wrong")
    visit.fill(otp=totp.now())
    log_in_button.click()
    expect(page).to_have_url(re.compile("/sessions/$"))
    visit.context.clear_cookies()
    page.goto("/login")
    log_in(visit, *other_member)
    visit.fill(otp=recovery)
    log_in_button.click()
    expect(page).to_have_url(re.compile("/tasks/$"))


@BOTH
def test_sessions(locale: str, width: int, visits: Visits, other_member: Member) -> None:
    visit, elsewhere = visits(locale, width=width), visits()
    page = visit.page
    visit.come_in(*other_member)
    elsewhere.log_in(*other_member)
    page.goto("/sessions/")
    expect(page.get_by_text("Chrome").first).to_be_visible()
    look(visit, "sessions")
    rows = page.locator("tbody tr")
    before = rows.count()
    page.get_by_role("button", name=visit.t("End this one")).first.click()
    says(visit, "The session has been ended.")
    expect(rows).to_have_count(before - 1)
    elsewhere.page.goto("/tasks/")
    expect(elsewhere.page).to_have_url(re.compile("/login"))
    page.once("dialog", lambda dialog: dialog.accept())
    visit.button("Log out everywhere")
    says(visit, "You are logged out everywhere.")
    expect(page).to_have_url(re.compile("/login$"))


def test_what_matters_is_confirmed_first(visits: Visits, other_member: Member, kept: Urls) -> None:
    for locale, width, scripts in (("zh-CN", PHONE, True), ("en-US", DESKTOP, False)):
        visit = visits(locale, width=width, scripts=scripts)
        visit.come_in(*other_member)
        with psycopg2.connect(kept.database) as connection, connection.cursor() as cursor:
            cursor.execute("UPDATE sessions SET fresh_at = now() - interval '11 minutes'")
        connection.close()
        visit.page.goto("/account/")
        visit.link("Change password")
        expect(visit.page.locator("h1")).to_have_text(visit.t("Is it you?"))
        if scripts:
            look(visit, "confirm")
        visit.fill(password=PASSWORD)
        visit.button("Confirm")
        expect(visit.page).to_have_url(re.compile("/account/password$"))


def test_members_pages_in_the_dark(visits: Visits, logged_in: str) -> None:
    visit = visits(width=PHONE, dark=True, state=logged_in)
    for path in ("account/", "account/history/", "sessions/", "account/username", "confirm"):
        visit.page.goto(f"/{path}")
        look(visit, f"dark-{path.strip('/').replace('/', '-')}")


def test_the_second_factor_in_the_dark(visits: Visits, other_member: Member) -> None:
    visit = visits(width=DESKTOP, dark=True)
    visit.come_in(*other_member)
    visit.page.goto("/account/two-factor/set-up")
    look(visit, "dark-set-up")
    visit.page.goto("/account/")
    look(visit, "dark-account")


def test_strangers_pages_in_the_dark(visits: Visits) -> None:
    visit = visits("zh-CN", width=PHONE, dark=True)
    for path in ("login", "login/sms", "password/forgot", "password/forgot/sent", "password/reset"):
        visit.page.goto(f"/{path}")
        look(visit, f"dark-{path.replace('/', '-')}")
