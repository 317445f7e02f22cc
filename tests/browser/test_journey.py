"""From the front page to the rows and out again, as a person goes."""

import hashlib
import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import PASSWORD, Outbox
from tests.browser.data_server import DataServer, Paced
from tests.browser.test_accounts import says
from tests.browser.visits import DESKTOP, PHONE, Visit, Visits
from tests.stack import Stack, new_number


@pytest.mark.parametrize(("locale", "width"), [("zh-CN", PHONE), ("en-US", DESKTOP)])
def test_the_whole_way(
    locale: str, width: int, visits: Visits, data: DataServer, portal: Stack, outbox: Outbox
) -> None:
    visit, username = visits(locale, width=width), f"journey{width}"
    page = visit.page
    page.goto("/")
    expect(page.locator("html")).to_have_attribute("lang", "zh-CN" if locale == "zh-CN" else "en")
    visit.check_page()
    sign_up(visit, outbox, username)
    says(visit, "Your account is ready. To verify your e-mail address, open the link that we mailed to you.")
    expect(page.get_by_text(visit.t("No tasks yet. Paste an address above to fetch your first data."))).to_be_visible()
    visit.check_page()

    slow = data.add_paced(f"/{username}.csv")
    visit.fetch(slow.url, "日报")
    visit.has_status("processing")
    visit.check_page()
    visit.see_the_bar_move(slow)
    slow.finish()
    visit.has_status("completed")
    see_the_rows(visit, slow)
    visit.check_page()

    cancel_another(visit, data.add_paced(f"/{username}-cancelled.csv"))
    for address in ("/tasks/", "/datasets/", "/sessions/", portal.outbox, "/dev/outbox"):
        page.goto(address)
        visit.check_page()
    log_out(visit)


def test_the_way_without_scripts(visits: Visits, data: DataServer, member: tuple[str, str]) -> None:
    """From the log-in on; only the captcha needs scripts."""
    visit = visits("en-US", width=PHONE, scripts=False)
    visit.log_in(*member)
    slow = data.add_paced("/plain.csv")
    visit.fetch(slow.url, "Plain")
    visit.reload_until("processing")
    slow.finish()
    visit.reload_until("completed")
    see_the_rows(visit, slow)
    stuck = data.add_paced("/plain-stuck.csv")
    visit.fetch(stuck.url)
    visit.reload_until("processing")
    visit.button("Cancel")
    visit.reload_until("cancelled")
    visit.button("中文")
    expect(visit.page.locator("html")).to_have_attribute("lang", "zh-CN")
    visit.button("English")
    log_out(visit)


def sign_up(visit: Visit, outbox: Outbox, username: str) -> None:
    page, number = visit.page, new_number()
    page.locator("main").get_by_role("link", name=visit.t("Sign up")).click()
    visit.check_page()
    visit.fill(phone_number=number.removeprefix("+86"))
    page.locator("altcha-widget label").click()
    expect(page.locator("altcha-widget input[name=altcha]")).to_have_value(re.compile("."), timeout=15_000)
    visit.check_page()
    visit.button("Send code")
    visit.fill(sms_code="000000", username=username, email=f"{username}@example.com", password=PASSWORD)
    visit.check_page()
    visit.expects(r"status of 422 .*/register/account")
    visit.button("Create account")
    expect(page.locator(".field-error")).to_contain_text(
        visit.t("This code is wrong or too old. Check it, or ask for a new one.")
    )
    visit.check_page()
    visit.fill(sms_code=outbox.code_for(number), password=PASSWORD)
    visit.button("Create account")
    expect(page).to_have_url(re.compile("/tasks/$"))


def see_the_rows(visit: Visit, slow: Paced) -> None:
    visit.link("Look at the data")
    rows = visit.page.locator(".data-table tbody tr")
    expect(rows.first.locator("td")).to_have_text(["1", "城市 1", "0.143", "2024-01-02"])
    visit.page.locator(".about:not(#encoding) > summary").click()
    expect(visit.page.get_by_text("SHA-256")).to_be_visible()
    expect(visit.page.get_by_text(hashlib.sha256(slow.content).hexdigest())).to_be_visible()


def cancel_another(visit: Visit, stuck: Paced) -> None:
    visit.fetch(stuck.url)
    visit.has_status("processing")
    visit.button("Cancel")
    visit.has_status("cancelled")
    visit.check_page()


def log_out(visit: Visit) -> None:
    visit.page.locator("details.menu summary").click()
    visit.button("Log out")
    expect(visit.page.locator(".notice")).to_have_text(visit.t("You are logged out."))
    visit.page.goto("/tasks/")
    expect(visit.page).to_have_url(re.compile(r"/login\?next="))
