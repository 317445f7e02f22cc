"""Pages that the journey does not show, and the dark look: readable, within the window, quiet; language and time."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.data_server import DataServer
from tests.browser.visits import DESKTOP, PHONE, Visits
from tests.stack import Stack

WIDE = "\n".join([",".join(f"column_{n}" for n in range(40)), ",".join("a longer value" for _ in range(40)), ""])

# Rules that the vendored viewers break inside their own parts of the page, which we do not write.
SWAGGER = {
    "heading-order": "Swagger UI goes from h2 to its tags' h3 by way of nothing",
    "nested-interactive": "the bar of each operation is a button that holds a button",
    "region": "title and server list stand outside of Swagger UI's own <main>",
    "select-name": "Swagger UI labels its list of servers by an element, not by a label",
}
REDOC = {"heading-order": "ReDoc's operations go from h2 to h5"}


@pytest.mark.parametrize(("locale", "width"), [("zh-CN", DESKTOP), ("en-US", PHONE)])
def test_pages_for_strangers_in_the_dark(locale: str, width: int, visits: Visits, portal: Stack) -> None:
    visit = visits(locale, width=width, dark=True)
    visit.expects("status of 404 .*/(nothing-here|dev/outbox)")
    for address in ("/", "/login", "/register", "/dev/outbox", portal.outbox, "/nothing-here"):
        visit.page.goto(address)
        visit.check_page()
    expect(visit.page.locator("h1")).to_have_text(visit.t("Page not found"))


def test_pages_for_members_in_the_dark(visits: Visits, data: DataServer, logged_in: str) -> None:
    visit = visits(width=PHONE, dark=True, state=logged_in)
    visit.fetch(data.add("/" + "long-name-" * 15 + ".csv", WIDE.encode()))
    visit.has_status("completed")
    visit.check_page()
    visit.link("Look at the data")
    visit.check_page()
    visit.fetch(data.missing("/gone.csv"))
    gone = visit.page.url
    slow = data.add_paced("/in-the-dark.csv")
    visit.fetch(slow.url)
    assert slow.is_asked_for()
    for address in (visit.page.url, gone, "/tasks/", "/datasets/", "/sessions/"):
        visit.page.goto(address)
        visit.check_page()
    slow.finish()


@pytest.mark.parametrize(
    ("address", "dark", "ready", "without"),
    [("/docs", False, ".opblock", SWAGGER), ("/docs", True, ".opblock", SWAGGER), ("/redoc", False, "h1", REDOC)],
)
def test_the_api_pages(address: str, dark: bool, ready: str, without: dict[str, str], visits: Visits) -> None:
    visit = visits(dark=dark)
    visit.page.goto(address)
    expect(visit.page.locator(ready).first).to_be_visible(timeout=15_000)
    visit.check_page(without=without)


def test_the_language_changes_where_one_is_and_stays(visits: Visits) -> None:
    visit = visits()
    visit.page.goto("/login?next=/datasets/")
    visit.button("中文")
    expect(visit.page).to_have_url(re.compile(r"/login\?next=/datasets/$"))
    expect(visit.page.locator("html")).to_have_attribute("lang", "zh-CN")
    expect(visit.page.locator("h1")).to_have_text("登录")
    visit.page.goto("/")
    expect(visit.page.locator("html")).to_have_attribute("lang", "zh-CN")
    visit.button("English")
    expect(visit.page.locator("html")).to_have_attribute("lang", "en")


def test_times_are_the_readers_own_and_without_scripts_name_their_zone(visits: Visits, logged_in: str) -> None:
    visit = visits(state=logged_in, zone="America/Toronto")
    visit.page.goto("/sessions/")
    time = visit.page.locator("time").first
    shown = time.evaluate("e => Math.abs(new Date(e.textContent) - new Date(e.dateTime))")
    assert shown < 60_000, time.inner_text()
    plain = visits(state=logged_in, scripts=False)
    plain.page.goto("/sessions/")
    expect(plain.page.locator("time").first).to_contain_text("GMT+08:00")
