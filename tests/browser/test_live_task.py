"""A task's page while the task runs: the bar, the end of polling, a log-in that ends elsewhere, the sample."""

import re

import pytest
from playwright.sync_api import Request, TimeoutError, expect

from tests.browser.conftest import Member
from tests.browser.data_server import DataServer
from tests.browser.visits import Visits

POLL_MS = 1000


def is_poll(request: Request) -> bool:
    return "/progress" in request.url


def test_the_bar_grows_with_the_file_and_polling_ends_with_the_task(
    visits: Visits, data: DataServer, logged_in: str
) -> None:
    visit, slow = visits(state=logged_in), data.add_paced("/growing.csv", pieces=6)
    visit.fetch(slow.url, "Growing")
    assert slow.is_asked_for()
    seen = [visit.see_the_bar_move(slow) for _ in range(2)]
    assert seen == sorted(set(seen)), seen
    slow.finish()
    visit.has_status("completed")
    with pytest.raises(TimeoutError):
        visit.page.wait_for_event("request", is_poll, timeout=2.5 * POLL_MS)


def test_a_row_of_the_list_keeps_the_focus_and_is_cancelled_in_place(
    visits: Visits, data: DataServer, logged_in: str
) -> None:
    visit, stuck = visits(state=logged_in), data.add_paced("/row.csv")
    visit.fetch(stuck.url, "A row")
    assert stuck.is_asked_for()
    visit.page.goto("/tasks/")
    row = visit.page.locator(".task-row").filter(has_text="A row")
    expect(row.locator(".badge")).to_have_attribute("data-status", "processing", timeout=10_000)
    button = row.get_by_role("button", name="Cancel")
    button.focus()
    with visit.page.expect_request_finished(is_poll):
        """One poll has come and gone."""
    expect(button).to_be_focused()
    button.press("Enter")
    expect(row.locator(".badge")).to_have_attribute("data-status", "cancelled", timeout=10_000)
    expect(visit.page).to_have_url(re.compile("/tasks/$"))
    visit.check_page()


def test_a_log_in_ended_elsewhere_leads_to_the_log_in_page_and_back(
    visits: Visits, data: DataServer, other_member: Member
) -> None:
    visit, slow = visits(), data.add_paced("/interrupted.csv")
    visit.log_in(*other_member)
    visit.fetch(slow.url, "Interrupted")
    assert slow.is_asked_for()
    task = visit.page.url

    elsewhere = visits()
    elsewhere.log_in(*other_member)
    elsewhere.page.goto("/sessions/")
    for _ in range(elsewhere.page.get_by_role("button", name="End this one", exact=True).count()):
        elsewhere.page.get_by_role("button", name="End this one", exact=True).first.click()
        expect(elsewhere.page.locator(".notice")).to_be_visible()

    visit.expects(r"status of 401 .*/progress")
    expect(visit.page).to_have_url(re.compile(r"/login\?next=/tasks/"), timeout=10_000)
    visit.fill(account=other_member.username, password=other_member.password)
    visit.page.locator("main").get_by_role("button", name="Log in").click()
    expect(visit.page).to_have_url(task)
    slow.finish()
    visit.has_status("completed")


def test_the_sample_is_one_click_away_from_its_rows(visits: Visits, logged_in: str) -> None:
    visit = visits(state=logged_in)
    visit.page.goto("/tasks/")
    visit.button("Try it with a sample")
    visit.has_status("completed")
    visit.link("Look at the data")
    expect(visit.page.locator(".data-table tbody tr").first).to_contain_text("北京")


def test_a_lost_connection_is_said_once_and_overcome(visits: Visits, data: DataServer, logged_in: str) -> None:
    visit, slow = visits(state=logged_in), data.add_paced("/offline.csv")
    visit.fetch(slow.url, "Offline")
    assert slow.is_asked_for()
    visit.expects("ERR_INTERNET_DISCONNECTED|htmx:error|Failed to fetch")
    visit.context.set_offline(True)
    with visit.page.expect_event("requestfailed", is_poll), visit.page.expect_event("requestfailed", is_poll):
        """Two polls fail."""
    expect(visit.page.locator(".toast")).to_have_count(1)
    expect(visit.page.locator(".toast")).to_contain_text("No connection. Trying again…")
    visit.context.set_offline(False)
    slow.finish()
    visit.has_status("completed")
    expect(visit.page.locator(".toast").filter(has_text="No connection")).to_have_count(0)
