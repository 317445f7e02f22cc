"""A file from one's device, a look at it, and out again; as people do it."""

import hashlib
import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Member
from tests.browser.visits import DESKTOP, PHONE, Visit, Visits

ROWS = [
    "id,city,amount,day",
    *(f"{n},{'城市' if n % 3 else 'Oslo'} {n % 7},{n / 4},2026-01-{n % 28 + 1:02}" for n in range(120)),
]
CONTENT = "\n".join([*ROWS, ""]).encode("gb18030")


def upload(visit: Visit, folder: Path, content: bytes = CONTENT, name: str = "cities.csv") -> None:
    (folder / name).write_bytes(content)
    visit.page.goto("/tasks/")
    visit.page.locator(".upload > summary").click()
    visit.page.locator("[name=upload-file]").set_input_files(folder / name)
    visit.button("Send")
    expect(visit.page).to_have_url(re.compile("/tasks/[0-9a-f-]{36}$"))


@pytest.mark.parametrize(("locale", "width", "dark"), [("zh-CN", PHONE, True), ("en-US", DESKTOP, False)])
def test_the_whole_way_of_a_file(
    locale: str, width: int, dark: bool, visits: Visits, other_member: Member, tmp_path: Path
) -> None:
    visit = visits(locale, width=width, dark=dark)
    page = visit.page
    visit.come_in(*other_member)
    page.locator("#options-web > summary").click()
    visit.check_page()
    upload(visit, tmp_path)
    visit.has_status("completed")
    visit.link("Look at the data")
    first = page.locator("#rows tbody tr").first
    expect(first).to_contain_text("Oslo 0")
    visit.check_page()
    page.locator("th.place a").nth(1).click()
    expect(page.locator("h1")).to_contain_text("2")
    visit.check_page()
    visit.link("Next")
    expect(page.locator(".row-cells")).to_contain_text("0.5")
    page.get_by_role("link", name="← cities").click()
    expect(page).to_have_url(re.compile("/datasets/"))

    page.locator("a.sort", has_text="amount").click()
    expect(page.locator("th[aria-sort=ascending]")).to_contain_text("amount")
    page.keyboard.press("Enter")  # the focus stays where it was
    expect(page.locator("th[aria-sort=descending]")).to_contain_text("amount")
    expect(page.locator("a.sort", has_text="amount")).to_be_focused()
    expect(first).to_contain_text("29.75")
    expect(page).to_have_url(re.compile("sort=-amount"))
    page.locator("#filter > summary").click()
    page.locator("[name=c1]").select_option("city")
    page.locator("[name=o1]").select_option("starts_with")
    page.locator("[name=v1]").fill("oslo")
    visit.button("Show")
    expect(page.locator(".rows-told")).to_contain_text("40")
    visit.check_page()
    page.locator("[name=c2]").select_option("amount")
    page.locator("[name=v2]").fill("much")
    visit.button("Show")
    expect(page.locator("#rows .field-error")).to_be_visible()
    page.go_back()
    expect(page.locator(".rows-told")).to_contain_text("40")

    visit.link("Column profile")
    expect(page.locator("svg.histogram")).to_have_count(3)
    visit.check_page()
    page.go_back()
    visit.link("Export these rows")
    page.locator("[name=columns][value=id]").check()
    visit.check_page()
    visit.button("Make the file")
    visit.has_status("completed")
    visit.check_page()
    with page.expect_download() as started:
        page.locator("main a[download]").click()
    path = started.value.path()
    assert started.value.suggested_filename == "cities.csv"
    assert path.read_text() == "\n".join(["id", *(str(n) for n in range(0, 120, 3)), ""])
    expect(page.locator("main")).to_contain_text(hashlib.sha256(path.read_bytes()).hexdigest())
    page.goto("/datasets/")
    visit.check_page()


def test_the_way_without_scripts(visits: Visits, logged_in: str, tmp_path: Path) -> None:
    visit = visits("en-US", width=PHONE, scripts=False, state=logged_in)
    page = visit.page
    upload(visit, tmp_path, b"a,b\n1,2\n3\n4,5\n", "broken.csv")
    visit.reload_until("failed")
    expect(page.locator(".notice-error")).to_contain_text("The first is at line 3")
    visit.button("Run again without these rows")
    visit.reload_until("completed")
    visit.link("Look at the data")
    page.locator("a.sort", has_text="b").click()
    expect(page.locator("th[aria-sort=ascending]")).to_contain_text("b")
    page.locator("details.menu summary", has_text="More").click()
    visit.link("Rename or describe")
    visit.fill(name="Mended", description="Two rows")
    visit.button("Save")
    expect(page.locator("h1")).to_have_text("Mended")
    page.locator("details.menu summary", has_text="More").click()
    visit.button("Delete")
    expect(page.locator(".notice")).to_have_text("The dataset is deleted.")
