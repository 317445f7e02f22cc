"""Which addresses may be fetched. What is checked here is what `connection` connects to."""

import ipaddress
import re
import socket
import threading
import time
from dataclasses import dataclass
from typing import Any, TypeAlias
from urllib.parse import quote

from portal.engine.stop import Stop
from portal.errors import Blocked, Fault

LONGEST_URL = 2048
LOOKUP_SECONDS = 10.0

Sockaddr: TypeAlias = tuple[socket.AddressFamily, tuple[Any, ...]]
IP: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

# IANA special-purpose registry, plus Azure's host address 168.63.129.16, which looks public.
_CLOSED_V4 = [
    ipaddress.IPv4Network(block)
    for block in (
        "0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 168.63.129.16/32 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 "
        "192.0.2.0/24 192.31.196.0/24 192.52.193.0/24 192.88.99.0/24 192.168.0.0/16 192.175.48.0/24 198.18.0.0/15 "
        "198.51.100.0/24 203.0.113.0/24 224.0.0.0/4 240.0.0.0/4"
    ).split()
]
# Only 2000::/3 is handed out to the public internet. That alone refuses mapped, compatible, NAT64, unique local,
# link-local, multicast and 5f00::/16 addresses; these are the special blocks within it.
_OPEN_V6 = ipaddress.IPv6Network("2000::/3")
_CLOSED_V6 = [
    ipaddress.IPv6Network(block)
    for block in "2001::/23 2001:db8::/32 2002::/16 2620:4f:8000::/48 3fff::/20".split()  # Teredo is in the first
]
_ISATAP = {0x00005EFE, 0x02005EFE}

_URL = re.compile(r"(?P<scheme>[a-zA-Z][a-zA-Z0-9+.-]*)://(?P<authority>[^/?#]*)(?P<target>[^#]*)(?:#.*)?", re.DOTALL)
_PORT = re.compile(r"(?P<host>.*?)(?::(?P<port>[0-9]{0,5}))?", re.DOTALL)
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*")
_NUMERIC = re.compile(r"[0-9]+|0x[0-9a-f]*")
_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\\\u200b-\u200f\u2028-\u202e\u2060-\u2064\ufeff\ufffd\ud800-\udfff]")
# What browsers send as it is written, so that what was signed stays what was signed.
_PATH_SAFE = "/:@!$&'()*+,;=-._~%[]|"
_QUERY_SAFE = _PATH_SAFE + "?{}^`"
_ABSENT = {socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)}  # none, or one without an address
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Policy:
    """`allow_hosts` opens exactly these (host, port) pairs, whatever their address; `ports` is for all others.

    A name is refused after a whole number of `band_seconds`, so that the time does not tell what the sentence hides.
    """

    allow_hosts: frozenset[tuple[str, int]] = frozenset()
    ports: frozenset[int] = frozenset({80, 443})
    band_seconds: float = 0


@dataclass(frozen=True)
class Address:
    """An http(s) address in canonical form; `host` is lower-case ASCII, an IPv6 address without brackets."""

    scheme: str
    host: str
    port: int
    target: str

    @property
    def authority(self) -> str:
        """What the Host header says."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.authority}{self.target}"


def check_url(url: str, policy: Policy) -> Address:
    """Everything that can be said of an address without asking DNS.

    Raises `Fault`: `url_malformed`, `url_scheme`, `url_credentials`, `url_port` or `url_not_allowed`.
    """
    url = url.strip()
    parts = _URL.fullmatch(url)
    if len(url) > LONGEST_URL or _UNSAFE.search(url) or not parts:
        raise Fault("url_malformed")
    scheme = parts["scheme"].lower()
    if scheme not in _DEFAULT_PORTS:
        raise Fault("url_scheme", scheme=scheme)
    if "@" in parts["authority"]:
        raise Fault("url_credentials")
    host, port = _split(parts["authority"], _DEFAULT_PORTS[scheme])
    path, mark, query = parts["target"].partition("?")
    target = quote(path, safe=_PATH_SAFE) + mark + quote(query, safe=_QUERY_SAFE)
    address = Address(scheme, host, port, target if target.startswith("/") else f"/{target}")
    if (host, port) in policy.allow_hosts:
        return address
    literal = _literal(host)
    if host == "localhost" or host.endswith(".localhost") or (literal and not is_public(literal)):
        raise Blocked("url_not_allowed", "literal", host, str(literal or ""))
    if port not in policy.ports:
        raise Fault("url_port", port=port)
    return address


def resolve(address: Address, policy: Policy, stop: Stop | None = None) -> list[Sockaddr]:
    """The socket addresses that may be connected to, all of them checked; never empty.

    Raises `Fault`: `host_unresolvable`, also when any answer is not public: nobody is told which names are inside.
    """
    stop, began = stop or Stop(), time.monotonic()
    try:
        answers = _lookup(address, stop)
        if (address.host, address.port) not in policy.allow_hosts:
            _check_all(address, answers)
    except Blocked:
        _wait_for_band(began, policy.band_seconds, stop)
        raise
    return answers


def _check_all(address: Address, answers: list[Sockaddr]) -> None:
    for family, sockaddr in answers:
        ip = str(sockaddr[0])
        known = family in (socket.AF_INET, socket.AF_INET6) and "%" not in ip
        if not known or not is_public(ipaddress.ip_address(ip)):
            raise _nowhere(address, "inward", ip)


def _nowhere(address: Address, reason: str, ip: str = "") -> Blocked:
    blocked = Blocked("host_unresolvable", reason, address.host, ip)
    blocked.params = {"host": address.host}
    return blocked


def _wait_for_band(began: float, band: float, stop: Stop) -> None:
    if band > 0:
        over = threading.Event()
        with stop.interrupting(over.set):
            over.wait(band - (time.monotonic() - began) % band)
        stop.check()


def is_public(ip: IP) -> bool:
    """Whether the address is one anybody on the internet could reach."""
    if isinstance(ip, ipaddress.IPv4Address):
        return ip.is_global and not any(ip in block for block in _CLOSED_V4)
    if ip not in _OPEN_V6 or any(ip in block for block in _CLOSED_V6):
        return False
    return ip.is_global and ip.scope_id is None and (int(ip) >> 32) & 0xFFFFFFFF not in _ISATAP


def _split(authority: str, default_port: int) -> tuple[str, int]:
    if authority.startswith("["):
        inside, bracket, rest = authority[1:].partition("]")
        try:
            host = str(ipaddress.IPv6Address(inside))
        except ValueError:
            raise Fault("url_malformed") from None
        parts = _PORT.fullmatch(rest)
        if not bracket or not parts or parts["host"]:
            raise Fault("url_malformed")
        if "%" in inside:
            raise Blocked("url_not_allowed", "literal", host)
    else:
        parts = _PORT.fullmatch(authority)
        if not parts:
            raise Fault("url_malformed")
        host = _ascii(parts["host"])
    port = int(parts["port"]) if parts["port"] else default_port
    if not 1 <= port <= 65535:
        raise Fault("url_malformed")
    return host, port


def _ascii(host: str) -> str:
    """The host in lower-case ASCII; spellings of an IPv4 address other than 1.2.3.4 are refused."""
    try:
        ascii_host = host.encode("idna").decode("ascii").lower() if not host.isascii() else host.lower()
    except UnicodeError:
        raise Fault("url_malformed") from None
    labels = ascii_host.rstrip(".").split(".")
    if _NUMERIC.fullmatch(labels[-1]) and (not host.isascii() or not _literal(ascii_host)):
        raise Blocked("url_not_allowed", "literal", ascii_host)
    if not _NAME.fullmatch(ascii_host):
        raise Fault("url_malformed")
    return ascii_host


def _literal(host: str) -> IP | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _lookup(address: Address, stop: Stop) -> list[Sockaddr]:
    """getaddrinfo cannot be interrupted, so it runs in a thread that is left behind on a stop or after a time-out."""
    answers: list[Sockaddr] = []
    problems: list[OSError | UnicodeError] = []
    done = threading.Event()

    def ask() -> None:
        try:
            found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
            answers.extend(dict.fromkeys((entry[0], entry[4]) for entry in found))
        except (OSError, UnicodeError) as problem:
            problems.append(problem)
        finally:
            done.set()

    with stop.interrupting(done.set):
        threading.Thread(target=ask, name="lookup", daemon=True).start()
        answered = done.wait(LOOKUP_SECONDS)
    stop.check()
    if not answers:
        if answered and problems and getattr(problems[0], "errno", None) in _ABSENT:
            raise _nowhere(address, "absent")
        raise Fault("host_unresolvable", passing=True, host=address.host)
    return answers
