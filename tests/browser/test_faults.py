"""What goes wrong is said where it is seen, with what to do about it."""

import pytest
from playwright.sync_api import expect

from tests.browser.data_server import DataServer
from tests.browser.visits import DESKTOP, PHONE, Visits

WEB_PAGE = b"<!doctype html><html><head><title>Data</title></head><body><p>Download here</p></body></html>"

LOG_IN = b"<!doctype html><html><head><title>Sign in</title></head><body><input type=password></body></html>"


def test_a_broken_row_is_named_and_the_fetch_can_be_repeated(visits: Visits, data: DataServer, logged_in: str) -> None:
    visit = visits(state=logged_in)
    visit.fetch(data.add("/broken.csv", b"a,b,c\n1,2,3\n4,5,6,7\n"), "Broken")
    visit.has_status("failed")
    expect(visit.page.locator(".notice-error")).to_contain_text("line 3")
    visit.check_page()
    first = visit.page.url
    data.add("/broken.csv", b"a,b,c\n1,2,3\n4,5,6\n")
    visit.button("Run again")
    expect(visit.page).not_to_have_url(first)
    visit.has_status("completed")
    expect(visit.page.locator("h1")).to_have_text("Broken")


def test_a_wrong_address_is_explained(visits: Visits, data: DataServer, logged_in: str) -> None:
    visit = visits(state=logged_in)
    cases = {
        data.missing("/missing.csv"): "The server has nothing at this address (404). Check the address.",
        data.add("/page.html", WEB_PAGE, "text/html"): "This is a web page, not data.",
        data.add("/empty.csv", b""): "The file is empty.",
    }
    tasks = []
    for url in cases:
        visit.fetch(url)
        tasks.append(visit.page.url)
    for task, said in zip(tasks, cases.values(), strict=True):
        visit.page.goto(task)
        visit.has_status("failed")
        expect(visit.page.locator(".notice-error")).to_contain_text(said)
    visit.page.goto("/tasks/")
    for said in cases.values():
        expect(visit.page.locator(".task-row").get_by_text(said).first).to_be_visible()


@pytest.mark.parametrize(("page", "width"), [(WEB_PAGE, DESKTOP), (LOG_IN, PHONE)], ids=["page", "log-in"])
def test_the_file_of_a_page_is_fetched_with_a_press(
    visits: Visits, data: DataServer, logged_in: str, page: bytes, width: int
) -> None:
    folder = f"/rates-of-exchange-since-1999/daily-{width}"
    shared = data.add(f"{folder}/-/blob/main/rates.csv?private_token=hush", page, "text/html")
    data.add(f"{folder}/-/raw/main/rates.csv", b"a,b\n1,2\n")
    visit = visits(width=width, state=logged_in)
    visit.fetch(shared)
    visit.has_status("failed")
    expect(visit.page.locator(".notice-error")).to_contain_text(f"http://{data.host}{folder}/-/raw/main/rates.csv")
    assert "hush" not in visit.page.content()
    visit.check_page()
    first = visit.page.url
    visit.button("Fetch the file itself")
    expect(visit.page).not_to_have_url(first)
    visit.has_status("completed")


def test_an_address_that_is_not_allowed_is_told_beside_the_field(visits: Visits, logged_in: str) -> None:
    visit = visits(state=logged_in)
    visit.page.goto("/tasks/")
    visit.fill(url="http://192.168.0.1/data.csv")
    visit.expects(r"status of 422 .*/tasks/")
    visit.button("Fetch")
    field = visit.page.get_by_label("Address of the data")
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(field).to_have_value("http://192.168.0.1/data.csv")
    expect(visit.page.locator(".field-error")).to_contain_text("This address may not be fetched")
    visit.check_page()


def test_a_wrong_password_says_neither_which_nor_whether(visits: Visits) -> None:
    visit = visits()
    visit.page.goto("/login")
    visit.expects(r"status of 401 .*/login")
    visit.fill(account="nobody", password="not the password")
    visit.page.locator("main").get_by_role("button", name="Log in").click()
    expect(visit.page.get_by_role("alert")).to_contain_text("Account or password is wrong.")
    expect(visit.page.locator("[name=account]")).to_have_value("nobody")
    visit.check_page()
