"""A web page that came instead of data: whether it wants a log-in, and whether the file of it has an address."""

import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from portal.engine import secret_parts, share_pages
from portal.errors import Blocked, Fault

_READ = 256 * 1024  # bytes of a page
_FEW_LINKS = 30  # of a page whose one purpose is a password; others have a small form for it in a corner
# What servers say instead of showing a share page to a program.
_TURNED_AWAY = {"http_forbidden", "http_not_found", "http_status", "too_many_redirects"}

_PATH = re.compile(
    r"log[-_.]?[io]n(?![a-z])|sign[-_.]?in(?![a-z])|(?<![a-z])(?:sso|saml2?|oauth2?|openid|authorize|authenticate|adfs)(?![a-z])",
    re.IGNORECASE,
)
_HOST = re.compile(r"(?:log-?in|sign-?in|accounts?|auth|sso|passport|idp|id|cas)\.", re.IGNORECASE)
# Each looks only so far from where it begins: a page of nothing but beginnings holds nobody.
_TITLE = re.compile(r"<title[^<>]{0,200}>([^<]{0,500})", re.IGNORECASE)
_WANTED = re.compile(
    r"\b(?:log|sign)[ -]?[io]n\b|登录|登陆|登入|ログイン|サインイン|로그인|\banmeld|\beinlogg|\bconnexion\b|"
    r"se connecter|iniciar sesi|\bacceder\b|\baccedi\b|\bentrar\b|\binloggen\b|logga in|zaloguj|"
    r"\bвойти\b|\bвход\b|\bавторизаци",
    re.IGNORECASE,
)
_PASSWORD = re.compile(r"<input\b[^<>]{0,500}\btype\s{0,9}=\s{0,9}[\"']?password\b", re.IGNORECASE)


@dataclass
class Page:
    """What was asked for, and once it is here, where it came from."""

    asked: str
    path: Path
    reached: str = ""


@contextmanager
def explaining(asked: str, path: Path) -> Iterator[Page]:
    """While inside, a `Fault` for a web page says what else is known of it: `reason`, `login`, `offered`.

    `path` is where it is downloaded to, `login` where a log-in is wanted, without query; `offered` the file's own
    address with its secrets hidden.
    """
    page = Page(asked, path)
    try:
        yield page
    except Blocked:
        raise
    except Fault as fault:
        if more := _known(page, fault):
            raise Fault(fault.code, passing=fault.passing, **{**more, **fault.params}) from fault
        raise


def _known(page: Page, fault: Fault) -> dict[str, str]:
    is_page = fault.params.get("found") == "html"
    more: dict[str, str] = {}
    if is_page and page.reached and _wants_log_in(page):
        more |= {"reason": "login", "login": secret_parts.shown(page.reached.partition("?")[0])}
    if (is_page or fault.code in _TURNED_AWAY) and (file := share_pages.file_address(page.asked)):
        more |= {"reason": "share_page", **more, "offered": secret_parts.shown(file)}
    return more


def _wants_log_in(page: Page) -> bool:
    text = _text(page.path)
    title = _TITLE.search(text)
    if title and _WANTED.search(title[1]):
        return True
    if _PASSWORD.search(text) and text.lower().count("<a ") < _FEW_LINKS:
        return True
    _, _, place = page.reached.partition("?")[0].partition("://")
    host, _, path = place.partition("/")
    was_led = page.reached.partition("?")[0] != page.asked.partition("#")[0].partition("?")[0]
    return was_led and bool(_PATH.search(path) or _HOST.match(host))


def _text(path: Path) -> str:
    with path.open("rb") as file:
        head = file.read(_READ)
    if head.startswith(b"\x1f\x8b"):
        with suppress(zlib.error):
            head = zlib.decompressobj(31).decompress(head, _READ)
    for encoding in ("utf-8", "gb18030"):
        with suppress(UnicodeDecodeError):
            return head.decode(encoding)
    return head.decode("utf-8", "replace")
