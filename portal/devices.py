"""Devices in words, from what browsers and programs say of themselves."""

import re

from flask_babel import gettext as _

# The first that is found counts: most browsers name others, too.
BROWSERS = (
    ("Edge", r"Edg(?:e|A|iOS)?/"),
    ("Opera", r"OPR/|Opera"),
    ("WeChat", r"MicroMessenger/"),
    ("QQ Browser", r"M?QQBrowser/"),
    ("UC Browser", r"UCBrowser/|UBrowser/"),
    ("Samsung Internet", r"SamsungBrowser/"),
    ("Huawei Browser", r"HuaweiBrowser/"),
    ("Firefox", r"Firefox/|FxiOS/"),
    ("Chrome", r"(?:Headless)?Chrome/|CriOS/"),
    ("Safari", r"Safari/"),
    ("curl", r"^curl/"),
    ("Python", r"python|aiohttp|httpx"),
    ("Go", r"^Go-http-client"),
    ("Java", r"^(?:Java|okhttp|Apache-HttpClient)"),
    ("Postman", r"^PostmanRuntime"),
)
SYSTEMS = (
    ("iOS", r"iPhone|iPad|iPod"),
    ("HarmonyOS", r"HarmonyOS|OpenHarmony"),
    ("Android", r"Android"),
    ("Windows", r"Windows"),
    ("macOS", r"Macintosh|Mac OS X"),
    ("ChromeOS", r"CrOS"),
    ("Linux", r"Linux|X11"),
)


def device(user_agent: str) -> str:
    """Such as "Chrome on Windows"."""
    browser, system = _first(BROWSERS, user_agent), _first(SYSTEMS, user_agent)
    if browser and system:
        return str(_("%(browser)s on %(system)s", browser=browser, system=system))
    return browser or system or str(_("Unknown device"))


def _first(table: tuple[tuple[str, str], ...], user_agent: str) -> str | None:
    return next((name for name, pattern in table if re.search(pattern, user_agent, re.IGNORECASE)), None)
