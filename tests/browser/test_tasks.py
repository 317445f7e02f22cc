"""Many tasks on a page: one poll for all, many at once, filters, run again, and word of what has ended."""

import re
import secrets

import pytest
from playwright.sync_api import Locator, Page, Request, TimeoutError, expect

from tests.browser.conftest import Member
from tests.browser.data_server import DataServer, Paced
from tests.browser.visits import DESKTOP, PHONE, Visit, Visits

POLL_MS = 1000
HIDE = "hidden => { Object.defineProperty(document, 'hidden', { get: () => hidden, configurable: true });"
HIDE += " document.dispatchEvent(new Event('visibilitychange')) }"


def is_poll(request: Request) -> bool:
    return "/progress" in request.url


def row_of(page: Page, name: str) -> Locator:
    return page.locator(".task-row").filter(has=page.get_by_role("link", name=name, exact=True))


def badge(row: Locator) -> Locator:
    return row.locator(".badge")


@pytest.fixture
def visit(visits: Visits, other_member: Member) -> Visit:
    """Somebody who has no tasks yet."""
    visit = visits()
    visit.log_in(*other_member)
    return visit


def start(visit: Visit, data: DataServer, *names: str) -> dict[str, Paced]:
    """Tasks that stay where they are until their file goes on; the list is shown then."""
    files = {name: data.add_paced(f"/{secrets.token_hex(6)}.csv") for name in names}
    for name, file in files.items():
        visit.fetch(file.url, name)
    visit.page.goto("/tasks/")
    return files


def test_one_poll_serves_the_list_and_ends_with_its_last_task(visit: Visit, data: DataServer) -> None:
    files, page = start(visit, data, "First", "Second"), visit.page
    for name in files:
        expect(badge(row_of(page, name))).to_have_attribute("data-status", "processing", timeout=15_000)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if is_poll(request) else None)
    with page.expect_request_finished(is_poll):
        """One poll for both."""
    assert all(url.count("task=") == 2 for url in asked), asked
    files["First"].finish()
    expect(badge(row_of(page, "First"))).to_have_attribute("data-status", "completed", timeout=15_000)
    expect(page.locator("#quota")).to_contain_text("Running 1 of")
    with page.expect_request(is_poll) as poll:
        """From now on for one."""
    assert poll.value.url.count("task=") == 1
    files["Second"].finish()
    expect(badge(row_of(page, "Second"))).to_have_attribute("data-status", "completed", timeout=15_000)
    expect(page.locator("#quota")).to_contain_text("Running 0 of")
    with pytest.raises(TimeoutError):
        page.wait_for_event("request", is_poll, timeout=2.5 * POLL_MS)
    visit.check_page()


def test_a_task_cancelled_in_one_tab_is_seen_in_the_other(visit: Visit, data: DataServer) -> None:
    start(visit, data, "Shared")
    one = visit.page
    expect(badge(row_of(one, "Shared"))).to_have_attribute("data-status", "processing", timeout=15_000)
    other = visit.context.new_page()
    other.goto("/tasks/")
    detail = visit.context.new_page()
    detail.goto(row_of(other, "Shared").get_by_role("link").first.get_attribute("href") or "")
    row_of(one, "Shared").get_by_role("button", name="Cancel").click()
    for page in (one, other):
        expect(badge(row_of(page, "Shared"))).to_have_attribute("data-status", "cancelled", timeout=10_000)
    expect(detail.locator("main .badge").first).to_have_attribute("data-status", "cancelled", timeout=10_000)
    expect(detail.locator("#timeline li")).to_have_text(
        [re.compile(said) for said in ("Accepted", "Handed to the workers", "Started", "Asked to stop", "Cancelled")]
    )
    # Word of it comes where it was not done.
    expect(other.locator(".toast")).to_contain_text("Shared has been cancelled.")
    expect(one.locator(".toast")).to_have_count(0)
    expect(row_of(one, "Shared").get_by_role("link").first).to_be_focused()
    for page in (one, other, detail):
        with pytest.raises(TimeoutError):
            page.wait_for_event("request", is_poll, timeout=2.5 * POLL_MS)


def test_what_is_chosen_outlives_polls_and_is_cancelled_together(visit: Visit, data: DataServer) -> None:
    start(visit, data, "A", "B", "C")
    page = visit.page
    for name in "ABC":
        expect(row_of(page, name).get_by_role("checkbox", name=f"Choose {name}")).to_be_visible()
    cancel, again = (page.get_by_role("button", name=name) for name in ("Cancel selected", "Run selected again"))
    expect(cancel).to_be_disabled()
    chosen = [row_of(page, name).get_by_role("checkbox") for name in "AB"]
    for box in chosen:
        box.focus()
        page.keyboard.press("Space")
    expect(cancel).to_be_enabled()
    expect(again).to_be_disabled()
    for _ in range(2):
        with page.expect_response(re.compile("/tasks/progress")):
            """The rows are put in anew."""
    expect(chosen[0]).to_be_checked()
    expect(chosen[1]).to_be_focused()
    visit.check_page()
    cancel.press("Enter")
    expect(page.locator(".notice")).to_have_text("Cancelled: 2 of 2.")
    for name in "AB":
        expect(badge(row_of(page, name))).to_have_attribute("data-status", "cancelled", timeout=10_000)
    expect(badge(row_of(page, "C"))).to_have_attribute("data-status", re.compile("pending|queued|processing"))
    page.get_by_role("checkbox", name="All on this page").check()
    for name in "ABC":
        expect(row_of(page, name).get_by_role("checkbox")).to_be_checked()
    cancel.click()
    expect(page.locator(".notice")).to_contain_text("Cancelled: 1 of 3.")
    expect(badge(row_of(page, "C"))).to_have_attribute("data-status", "cancelled", timeout=10_000)
    # Nobody is told what one has just done oneself.
    expect(page.locator(".toast")).to_have_count(0)


def test_many_at_once_and_the_filter_without_scripts(visits: Visits, data: DataServer, other_member: Member) -> None:
    visit = visits(width=PHONE, scripts=False)
    page = visit.page
    visit.log_in(*other_member)
    start(visit, data, "Plain one", "Plain two")
    for name in ("Plain one", "Plain two"):
        row_of(page, name).get_by_role("checkbox").check()
    visit.button("Cancel selected")
    expect(page.locator(".notice")).to_have_text("Cancelled: 2 of 2.")
    page.get_by_text("Filter", exact=True).click()
    visit.fill(q="two")
    visit.button("Show")
    expect(page.locator(".task-row")).to_have_count(1)


def test_the_filter_narrows_and_is_cleared(visit: Visit, data: DataServer) -> None:
    visit.fetch(data.add("/filtered.csv", b"a\n1\n"), "Good one")
    visit.has_status("completed")
    visit.fetch(data.missing("/filtered-gone.csv"), "Bad one")
    visit.has_status("failed")
    page = visit.page
    page.goto("/tasks/")
    page.get_by_text("Filter", exact=True).press("Enter")
    page.get_by_label("Status").select_option("failed")
    today = page.evaluate("new Date().toISOString().slice(0, 10)")
    visit.fill(since=today, until=today)
    visit.button("Show")
    expect(page.locator(".task-row")).to_have_count(1)
    expect(row_of(page, "Bad one")).to_be_visible()
    expect(page.get_by_label("Status")).to_have_value("failed")
    assert "zone=UTC" in page.url
    visit.check_page()
    visit.fill(q="nothing of the kind")
    page.keyboard.press("Enter")
    expect(page.get_by_text("No tasks match.")).to_be_visible()
    visit.check_page()
    visit.link("Show all tasks")
    expect(page.locator(".task-row")).to_have_count(2)


def test_a_failed_task_is_run_again_from_its_page(visit: Visit, data: DataServer) -> None:
    visit.fetch(data.missing("/later.csv"), "Later there")
    visit.has_status("failed")
    expect(visit.page.locator("#timeline")).to_contain_text("Failed: The server has nothing at this address")
    before = visit.page.url
    data.add("/later.csv", b"a\n1\n")
    visit.button("Run again")
    expect(visit.page).not_to_have_url(before)
    visit.has_status("completed")
    expect(visit.page.locator("#timeline li").last).to_contain_text("Completed")
    visit.check_page()
    visit.link("Go to the earlier one")
    expect(visit.page).to_have_url(before)
    visit.link("Go to the newer one")
    visit.has_status("completed")


@pytest.mark.parametrize("width", [DESKTOP, PHONE])
def test_the_end_is_told_quietly_and_in_the_title_of_a_hidden_tab(
    width: int, visits: Visits, data: DataServer, other_member: Member
) -> None:
    visit = visits(width=width)
    visit.log_in(*other_member)
    page, files = visit.page, start(visit, data, f"Seen {width}", f"Unseen {width}")
    title = page.title()
    files[f"Seen {width}"].finish()
    expect(page.locator(".toast")).to_contain_text(f"Seen {width} has completed.", timeout=15_000)
    expect(page).to_have_title(title)
    page.evaluate(HIDE, True)
    files[f"Unseen {width}"].finish()
    expect(page).to_have_title(f"(1) {title}", timeout=15_000)
    visit.check_page()
    page.evaluate(HIDE, False)
    expect(page).to_have_title(title)
    expect(page.locator(".toast").last).to_contain_text(f"Unseen {width} has completed.")


def test_a_poll_that_is_refused_leaves_the_rows_and_asks_again(visit: Visit, data: DataServer) -> None:
    files, page = start(visit, data, "Kept"), visit.page
    visit.expects("status of 429")
    page.route("**/tasks/progress*", lambda route: route.fulfill(status=429, body="too many"), times=2)
    for _ in range(2):
        with page.expect_response(lambda answer: answer.status == 429):
            """Refused."""
    expect(row_of(page, "Kept")).to_be_visible()
    files["Kept"].finish()
    expect(badge(row_of(page, "Kept"))).to_have_attribute("data-status", "completed", timeout=15_000)


def test_mail_when_done_is_a_switch_in_the_account(visit: Visit) -> None:
    visit.page.goto("/account/")
    visit.page.get_by_role("button", name="Switch on mails about tasks").press("Enter")
    expect(visit.page.locator(".notice")).to_have_text("You get a mail when a task ends.")
    visit.check_page()
    visit.page.get_by_role("button", name="Switch off mails about tasks").click()
    expect(visit.page.locator(".notice")).to_have_text("You get no more mails about tasks.")
