"""Browsers of visitors, watched: whatever a page complains about fails the test, unless the test expects it."""

import gettext
import re
from collections.abc import Callable
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Request, expect

from tests.browser.data_server import Paced

TRANSLATIONS = Path(__file__).resolve().parents[2] / "portal" / "translations"
PHONE, DESKTOP = 390, 1280
SAYS = {
    "en-US": gettext.NullTranslations().gettext,
    "zh-CN": gettext.translation("messages", TRANSLATIONS, ["zh"]).gettext,
}


class Visit:
    """One person's browser, with one tab. `t` says a text of the portal in this person's language."""

    def __init__(self, context: BrowserContext, origin: str, locale: str) -> None:
        self.context, self.origin, self.locale = context, origin, locale
        self.t: Callable[[str], str] = SAYS[locale]
        self.problems: list[str] = []
        self.expected: list[re.Pattern[str]] = []
        self.requests: list[str] = []
        context.on("console", self._console)
        context.on("weberror", lambda error: self.problems.append(f"page error: {error.error}"))
        context.on("request", self._request)
        self.page = context.new_page()

    def _console(self, message: ConsoleMessage) -> None:
        # Chromium reports violations of the content security policy here, too.
        if message.type in ("error", "warning"):
            self.problems.append(f"console {message.type}: {message.text} ({message.location['url']})")

    def _request(self, request: Request) -> None:
        self.requests.append(request.url)
        if not request.url.startswith((self.origin, "data:", "blob:" + self.origin)):
            self.problems.append(f"asked another server: {request.url}")

    def expects(self, complaint: str) -> None:
        """A complaint (a regular expression) that belongs to what the test does."""
        self.expected.append(re.compile(complaint))

    def complaints(self) -> list[str]:
        return [text for text in self.problems if not any(known.search(text) for known in self.expected)]

    def button(self, text: str) -> None:
        self.page.get_by_role("button", name=self.t(text), exact=True).click()

    def link(self, text: str) -> None:
        self.page.get_by_role("link", name=self.t(text), exact=True).first.click()

    def fill(self, **fields: str) -> None:
        """Type into the fields of these names."""
        for name, value in fields.items():
            self.page.locator(f"[name={name}]:not([type=hidden])").fill(value)

    def log_in(self, account: str, password: str) -> None:
        self.page.goto("/login")
        self.fill(account=account, password=password)
        self.page.locator("main").get_by_role("button", name=self.t("Log in")).click()
        expect(self.page).to_have_url(re.compile("/tasks/$"))

    def come_in(self, account: str, password: str) -> None:
        """Log in, and read on in the language of the browser: the account may have another."""
        self.log_in(account, password)
        wanted, name = ("zh-CN", "中文") if self.locale == "zh-CN" else ("en", "English")
        if self.page.locator("html").get_attribute("lang") != wanted:
            self.page.get_by_role("button", name=name).click()
            expect(self.page.locator("html")).to_have_attribute("lang", wanted)

    def fetch(self, url: str, name: str = "") -> None:
        """Submit a task; its page is shown then."""
        self.page.goto("/tasks/")
        self.fill(url=url, name=name)
        self.button("Fetch")
        expect(self.page).to_have_url(re.compile("/tasks/[0-9a-f-]{36}$"))

    def has_status(self, status: str) -> None:
        expect(self.page.locator("main .badge").first).to_have_attribute("data-status", status, timeout=15_000)

    def reload_until(self, status: str) -> None:
        """As a person without scripts does, until the badge says so."""
        badge = self.page.locator("main .badge").first
        for _ in range(40):
            if badge.get_attribute("data-status") == status:
                return
            self.page.wait_for_timeout(250)
            self.link("Refresh")
        raise AssertionError(f"{status} never came: {badge.get_attribute('data-status')}")

    def progress(self) -> int:
        """What the bar says, in per cent."""
        return int(self.page.locator("main progress").get_attribute("value") or 0)

    def see_the_bar_move(self, slow: Paced) -> int:
        """Let the file go on; answers what the bar says then, which is more than it said."""
        # A report that follows another within a moment is left out, so the pieces go out a poll apart.
        with self.page.expect_response(re.compile("/progress")):
            before = self.progress()
        slow.go_on()
        expect(self.page.locator("main progress")).not_to_have_attribute("value", str(before), timeout=10_000)
        after = self.progress()
        assert after > before
        return after

    def check_page(self, *, without: dict[str, str] | None = None) -> None:
        """No accessibility rule is broken (`without`: rule ids and why not), and nothing is wider than the window."""
        rules = {rule: {"enabled": False} for rule in without or {}}
        found = Axe().run(self.page, options={"rules": rules, "resultTypes": ["violations"]})
        broken = [
            f"{rule['id']}: {[node['target'] for node in rule['nodes']]}" for rule in found.response["violations"]
        ]
        assert broken == [], "\n".join([self.page.url, *broken])
        wide = self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, f"{self.page.url} is {wide} px wider than the window"


class Visits:
    """Opens visits, and asks at the end whether all went without a complaint."""

    def __init__(self, browser: Browser, origin: str) -> None:
        self.browser, self.origin = browser, origin
        self.opened: list[Visit] = []

    def __call__(
        self,
        locale: str = "en-US",
        *,
        width: int = DESKTOP,
        dark: bool = False,
        scripts: bool = True,
        state: str | None = None,
        zone: str = "UTC",
    ) -> Visit:
        """`state`: the file with the cookies of someone logged in."""
        context = self.browser.new_context(
            base_url=self.origin,
            locale=locale,
            viewport={"width": width, "height": 800},
            color_scheme="dark" if dark else "light",
            reduced_motion="reduce",
            java_script_enabled=scripts,
            storage_state=state,
            timezone_id=zone,
        )
        context.set_default_timeout(10_000)
        visit = Visit(context, self.origin, locale)
        self.opened.append(visit)
        return visit

    def close(self) -> None:
        for visit in self.opened:
            visit.context.close()
        assert [text for visit in self.opened for text in visit.complaints()] == []
