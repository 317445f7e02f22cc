"""Whom a connection comes from, in one form: limits, sessions and the history know an IPv4 visitor by one address.

A socket on `::` names IPv4 visitors `::ffff:a.b.c.d`, translators give them other IPv6 addresses, and proxies add
ports: all of IPv4 would be one network, or one visitor many.
"""

import ipaddress
from collections.abc import Callable, Iterable
from typing import Any

_TRANSLATED = tuple(
    ipaddress.IPv6Network(prefix)
    for prefix in ("::ffff:0:0:0/96", "64:ff9b::/96")  # RFC 7915 and 6052
)


class RemoteAddress:
    """WSGI: what is inside sees REMOTE_ADDR in its form: of the visitor that the nearest `proxies` name, if there are.

    Their word is the end of X-Forwarded-For, cut at commas alone: a quotation mark that a visitor put before it
    means nothing, although in other lists it would open a text that swallows it.
    """

    def __init__(self, app: Callable[..., Iterable[bytes]], proxies: int = 0) -> None:
        self._app, self._proxies = app, proxies

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        named = [environ.get("REMOTE_ADDR") or ""]
        if self._proxies and (forwarded := environ.get("HTTP_X_FORWARDED_FOR")):
            chain = forwarded.split(",")
            named = chain if len(chain) >= self._proxies else named
        environ["REMOTE_ADDR"] = form(named[-max(1, self._proxies) :][0])
        return self._app(environ, start_response)


def form(address: str) -> str:
    """The address alone, IPv4 where it is one in other clothes; empty when it is none."""
    text = address.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        parsed = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return ""
    return str(_embedded(parsed) or parsed) if isinstance(parsed, ipaddress.IPv6Address) else str(parsed)


def _embedded(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address that owns an IPv6 one: mapped, translated, 6to4 (a site of 65,536 networks) or Teredo."""
    if address.ipv4_mapped:
        return address.ipv4_mapped
    if any(address in prefix for prefix in _TRANSLATED):
        owner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    elif address.sixtofour:
        owner = address.sixtofour
    elif address.teredo:
        owner = address.teredo[1]
    else:
        return None
    return None if owner.is_loopback else owner  # nobody on the wire is this machine
