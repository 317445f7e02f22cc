"""Tencent's captcha in the page: its script is allowed, loaded when asked for, and its answer goes into the form."""

import re

import pytest
from playwright.sync_api import Route, expect

from portal.app import create_app
from portal.config import Settings
from tests.browser.test_accounts import BOTH, look
from tests.browser.visits import Visits

TENCENT = "https://turing.captcha.qcloud.com/TJCaptcha.js"
STAND_IN = """
globalThis.TencentCaptcha = class {
  constructor(appId, answered) { this.answered = () => answered({ ret: 0, ticket: TICKET, randstr: "@" + appId }); }
  show() { this.answered(); }
};
"""


@pytest.mark.parametrize(
    ("script", "shown", "ticket"),
    [
        (STAND_IN.replace("TICKET", "'t03good'"), "solved", "t03good"),
        (STAND_IN.replace("TICKET", "'trerror_1001_190000001_1'"), "unavailable", "trerror_1001_190000001_1"),
        (None, "unavailable", ""),
    ],
)
@BOTH
def test_tencents_captcha(
    locale: str, width: int, script: str | None, shown: str, ticket: str, visits: Visits, settings: Settings
) -> None:
    """The page as it is with Tencent's captcha, its policy included; their script is a stand-in, or cannot be had."""
    keys = {"captcha_gateway": "tencent", "tencent_secret_id": "i", "tencent_secret_key": "k"}
    keys |= {"tencent_captcha_app_id": "190000001", "tencent_captcha_app_secret": "s"}
    app = create_app(Settings.model_validate(settings.model_dump() | keys))
    answer = app.test_client().get("/login/sms", headers={"Accept-Language": locale})
    visit = visits(locale, width=width)
    visit.expects("asked another server: " + re.escape(TENCENT))
    visit.expects("Failed to load resource: net::ERR_FAILED")

    def their_script(route: Route) -> None:
        route.fulfill(body=script, content_type="text/javascript") if script else route.abort()

    visit.page.route(
        "**/login/sms", lambda route: route.fulfill(body=answer.data, headers=dict(answer.headers), status=200)
    )
    visit.page.route(TENCENT, their_script)
    visit.page.goto("/login/sms")
    look(visit, f"tencent-{shown}-before")
    visit.button("Confirm that you are not a robot")
    expect(visit.page.locator(f".captcha-{shown}")).to_be_visible()
    expect(visit.page.locator("[name=captcha_ticket]")).to_have_value(ticket)
    look(visit, f"tencent-{shown}")
