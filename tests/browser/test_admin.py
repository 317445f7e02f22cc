"""An administrator's way in, and what they see and do, in both languages, on a phone and a desk."""

import re
import time

import psycopg2
import pyotp
import pytest
from playwright.sync_api import APIRequestContext, expect

from tests.browser.conftest import Member, Outbox, join
from tests.browser.test_accounts import BOTH, look, says
from tests.browser.visits import DESKTOP, PHONE, Visit, Visits
from tests.conftest import Urls
from tests.stack import new_number

PAGES = ("users", "tasks", "messages", "history", "system")
MESSAGES = """
INSERT INTO messages (channel, purpose, recipient, send_to, prefix, network, state, vendor_code, vendor_id, created_at)
SELECT channel, 'login', md5(n::text), '', '', '', state, '', '',
  now() - n % 12 * interval '25 hours' - interval '2 hours'
FROM generate_series(1, 90) n, (VALUES ('sms', 'sent'), ('mail', 'sent')) channels (channel, state) WHERE n % 5 <> 3
UNION ALL SELECT 'sms', 'login', md5(n::text), '', '', '', 'failed', '', '', now() - n % 4 * interval '1 day'
FROM generate_series(1, 9) n
"""


@pytest.fixture
def rule(kept: Urls, other_member: Member) -> Member:
    """Make somebody a super admin, and let there be something to see."""
    with psycopg2.connect(kept.database) as connection, connection.cursor() as cursor:
        cursor.execute("UPDATE users SET role = 'super_admin' WHERE username = %s", [other_member.username])
        cursor.execute(MESSAGES)
        cursor.execute(
            "INSERT INTO stopped_prefixes (prefix, sent, verified) VALUES ('+8617012345', 50, 3)"
            " ON CONFLICT (prefix) DO UPDATE SET lifted_at = NULL"
        )
    connection.close()
    return other_member


@pytest.fixture
def subject(program: APIRequestContext, outbox: Outbox) -> Member:
    """Someone whose role and state may be changed."""
    return join(program, outbox, f"carl-{new_number()[-8:]}")


def come_in(visit: Visit, who: Member) -> None:
    """Log in, and set up the second factor that the pages ask for."""
    visit.come_in(*who)
    visit.link("Administration")
    expect(visit.page).to_have_url(re.compile("/account/two-factor$"))
    visit.link("Set up")
    totp = pyotp.TOTP(visit.page.locator(".secret").inner_text().replace(" ", ""))
    visit.fill(otp=totp.at(int(time.time())))
    visit.button("Switch on")
    visit.page.goto("/admin/")
    expect(visit.page).to_have_url(re.compile("/admin/users$"))


@BOTH
def test_what_an_admin_does(locale: str, width: int, visits: Visits, rule: Member, subject: Member) -> None:
    visit = visits(locale, width=width)
    page = visit.page
    come_in(visit, rule)
    visit.fill(q=subject.username)
    visit.button("Search")
    look(visit, "admin-users")
    visit.link(subject.username)
    page.locator("select[name=role]").select_option("admin")
    visit.button("Change role")
    says(visit, "Changed. All sessions of this user have ended.")
    page.locator("select[name=role]").select_option("user")
    visit.button("Change role")
    visit.button("Deactivate")
    look(visit, "admin-user")
    visit.button("Activate")
    for name in PAGES[1:]:
        page.goto(f"/admin/{name}")
        look(visit, f"admin-{name}")
    page.goto("/admin/messages")
    visit.button("Allow again")
    expect(page.get_by_role("button", name=visit.t("Allow again"))).to_have_count(0)
    page.goto("/admin/history?kind=account.role")
    expect(page.locator("tbody tr").first).to_contain_text(rule.username)
    page.goto("/admin/system")
    expect(page.get_by_text(visit.t("answers")).first).to_be_visible()


def test_the_pages_in_the_dark(visits: Visits, rule: Member) -> None:
    visit = visits(width=DESKTOP, dark=True)
    come_in(visit, rule)
    for name in PAGES:
        visit.page.goto(f"/admin/{name}")
        look(visit, f"dark-admin-{name}")
    visit.page.set_viewport_size({"width": PHONE, "height": 800})
    visit.page.goto("/admin/messages")
    look(visit, "dark-admin-messages")
