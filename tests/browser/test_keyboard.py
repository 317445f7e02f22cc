"""The portal without a mouse."""

import re

from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Member
from tests.browser.data_server import DataServer
from tests.browser.visits import Visits


def tab_to(page: Page, wanted: Locator) -> None:
    """Press Tab until the focus is there, and see that it shows."""
    for _ in range(30):
        page.keyboard.press("Tab")
        shown = page.locator(":focus").evaluate(
            "e => { const s = getComputedStyle(e); return s.outlineStyle !== 'none' || s.boxShadow !== 'none' }"
        )
        assert shown, f"no focus to be seen at {page.locator(':focus').evaluate('e => e.outerHTML')}"
        if wanted.evaluate("e => e === document.activeElement"):
            return
    raise AssertionError(f"Tab does not lead to {wanted}")


def test_log_in_submit_and_cancel(visits: Visits, data: DataServer, member: Member) -> None:
    visit, stuck = visits(), data.add_paced("/keys.csv")
    page = visit.page
    page.goto("/login")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    tab_to(page, page.locator("[name=account]"))
    page.keyboard.type(member.username)
    tab_to(page, page.locator("[name=password]"))
    page.keyboard.type(member.password)
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/tasks/(#main)?$"))
    page.wait_for_load_state()  # then the focus goes to what the address names, and stays where Tab leads

    tab_to(page, page.locator("[name=url]").first)
    page.keyboard.type(stuck.url)
    tab_to(page, page.get_by_role("button", name="Fetch", exact=True))
    page.keyboard.press("Enter")
    assert stuck.is_asked_for()
    expect(page).to_have_url(re.compile("/tasks/[0-9a-f-]{36}(#main)?$"))
    page.wait_for_load_state()
    tab_to(page, page.get_by_role("button", name="Cancel"))
    page.keyboard.press("Enter")
    visit.has_status("cancelled")

    menu = page.locator("details.menu summary")
    menu.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="Sessions")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("link", name="Sessions")).to_be_hidden()
    expect(menu).to_be_focused()
