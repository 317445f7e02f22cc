"""Cookies of one fetch: gone with it, and sent to nobody but those who may read them by RFC 6265."""

import http.client
import ipaddress
import re
from contextlib import suppress
from functools import cache
from http.cookiejar import Cookie, CookieJar, DefaultCookiePolicy
from urllib.request import Request

from publicsuffixlist import PublicSuffixList

from portal.engine.guard import Address

_MOST, _LONGEST = 50, 4096  # what browsers keep at least (RFC 6265, section 6.1)
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_WEB_PORTS = {80: "80,443", 443: "80,443"}  # a site of two schemes is one


class Cookies:
    """What servers set, and what to say to the next one."""

    def __init__(self) -> None:
        self._jar = CookieJar(_Policy(strict_ns_domain=DefaultCookiePolicy.DomainStrictNonDomain))

    def keep(self, response: http.client.HTTPResponse, address: Address) -> None:
        """The first `_MOST`, of an ordinary length: a server that sends ever more fills no memory."""
        request = _request(address)
        for cookie in self._jar.make_cookies(response, request):
            is_known = any(_place(cookie) == _place(other) for other in self._jar)
            if is_known or len(self._jar) < _MOST:
                self._jar.set_cookie_if_ok(cookie, request)

    def of(self, address: Address, given: str = "") -> str:
        """The `Cookie` header for this address, after what its user has `given`; may be empty."""
        request = _request(address)
        self._jar.add_cookie_header(request)
        ours = request.get_header("Cookie") or ""
        names = {pair.partition("=")[0].strip() for pair in ours.split(";")}
        theirs = [pair for pair in given.split(";") if pair.partition("=")[0].strip() not in names]
        return "; ".join(filter(None, (*map(str.strip, theirs), ours)))


def _place(cookie: Cookie) -> tuple[str, str, str]:
    return cookie.domain, cookie.path, cookie.name


class _Policy(DefaultCookiePolicy):
    """The library's, and: no cookie for a public suffix, for neighbours of a numeric address, or for other ports."""

    def set_ok(self, cookie: Cookie, request: Request) -> bool:
        pair = cookie.name + (cookie.value or "")
        if len(pair) > _LONGEST or _CONTROL.search(pair):
            return False
        port = int(request.host.rpartition(":")[2]) if _has_port(request.host) else 80
        cookie.port = _WEB_PORTS.get(port, str(port))
        return super().set_ok(cookie, request)

    def set_ok_domain(self, cookie: Cookie, request: Request) -> bool:
        domain, host = cookie.domain.lstrip(".").lower(), _hostname(request.host)
        if cookie.domain_specified and domain != host and (_is_numeric(host) or _suffixes().is_public(domain)):
            return False
        return super().set_ok_domain(cookie, request)


@cache
def _suffixes() -> PublicSuffixList:
    return PublicSuffixList()


def _request(address: Address) -> Request:
    return Request(address.url)  # noqa: S310  # it is only asked for its parts, never opened


def _has_port(authority: str) -> bool:
    return authority.rpartition("]")[2].count(":") == 1


def _hostname(authority: str) -> str:
    return (authority.rpartition(":")[0] if _has_port(authority) else authority).strip("[]").lower()


def _is_numeric(host: str) -> bool:
    with suppress(ValueError):
        return bool(ipaddress.ip_address(host))
    return False
