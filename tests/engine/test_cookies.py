"""Cookies live as long as a fetch, and go to nobody but those who may read them."""

import http.client
import io
import re
import socket

import pytest

from portal.engine.cookies import Cookies
from portal.engine.guard import Policy, check_url
from tests.engine.conftest import Fetch
from tests.engine.servers import Site, head

BODY = b"a,b\n1,2\n"
ANY = Policy(ports=frozenset({80, 443, 8080}))


class Answered:
    """What a jar reads of a response."""

    def __init__(self, *cookies: str) -> None:
        lines = "".join(f"Set-Cookie: {cookie}\r\n" for cookie in cookies)
        self._headers = http.client.parse_headers(io.BytesIO(f"{lines}\r\n".encode("latin-1")))

    def info(self) -> http.client.HTTPMessage:
        return self._headers


@pytest.mark.parametrize(
    ("setter", "cookie", "reader", "said"),
    [
        ("http://a.example.com/x", "s=1", "http://a.example.com/y", "s=1"),
        ("http://a.example.com/", "s=1", "https://a.example.com/", "s=1"),
        ("http://a.example.com/", "s=1", "http://b.example.com/", ""),
        ("http://example.com/", "s=1", "http://www.example.com/", ""),  # of that host alone
        ("http://a.example.com/", "s=1; Domain=example.com", "http://b.example.com/", "s=1"),
        ("http://a.example.com/", "s=1; Domain=.example.com", "http://example.com/", "s=1"),
        ("http://a.example.com/", "s=1; Domain=example.com", "http://notexample.com/", ""),
        ("http://a.example.com/", "s=1; Domain=b.example.com", "http://b.example.com/", ""),
        ("http://a.example.com/", "s=1; Domain=com", "http://b.com/", ""),
        ("http://a.com.cn/", "s=1; Domain=com.cn", "http://b.com.cn/", ""),
        ("http://a.github.io/", "s=1; Domain=github.io", "http://b.github.io/", ""),
        ("http://a.local/", "s=1; Domain=local", "http://b.local/", ""),
        ("http://10.1.0.1/", "s=1; Domain=.0.1", "http://10.2.0.1/", ""),
        ("http://10.1.0.1/", "s=1", "http://10.1.0.1/x", "s=1"),
        ("http://a.example.com/", "s=1", "http://a.example.com:8080/", ""),
        ("http://a.example.com:8080/", "s=1", "http://a.example.com/", ""),
        ("http://a.example.com:8080/", "s=1", "http://a.example.com:8080/", "s=1"),
        ("https://a.example.com/", "s=1; Secure", "http://a.example.com/", ""),
        ("https://a.example.com/", "s=1; Secure; HttpOnly", "https://a.example.com/", "s=1"),
        ("http://a.example.com/p/x", "s=1; Path=/p", "http://a.example.com/q", ""),
        ("http://a.example.com/p/x", "s=1; Path=/p", "http://a.example.com/p/y", "s=1"),
        ("http://a.example.com/", "s=1; Max-Age=0", "http://a.example.com/", ""),
        ("http://a.example.com/", "s=1; Expires=Fri, 02 Jan 2015 10:00:00 GMT", "http://a.example.com/", ""),
    ],
)
def test_who_is_told(setter: str, cookie: str, reader: str, said: str) -> None:
    cookies = Cookies()
    cookies.keep(Answered(cookie), check_url(setter, Policy(frozenset({("10.1.0.1", 80)}), ANY.ports)))  # type: ignore[arg-type]  # its headers are all that is read
    allowed = Policy(frozenset({("10.1.0.1", 80), ("10.2.0.1", 80)}), ANY.ports)
    assert cookies.of(check_url(reader, allowed)) == said


def test_what_the_user_gave_stays_unless_the_server_says_otherwise() -> None:
    here = check_url("http://a.example.com/", ANY)
    cookies = Cookies()
    assert cookies.of(here, "mine=1; seen=0") == "mine=1; seen=0"
    cookies.keep(Answered("seen=1"), here)  # type: ignore[arg-type]  # as above
    assert cookies.of(here, "mine=1; seen=0") == "mine=1; seen=1"


@pytest.mark.parametrize("cookie", ["s=" + "x" * 4096, "x" * 4096 + "=s", "s=1\r\n X: y", "s=1\x01"])
def test_no_cookie_that_is_none(cookie: str) -> None:
    here, cookies = check_url("http://a.example.com/", ANY), Cookies()
    cookies.keep(Answered(cookie, "t=1"), here)  # type: ignore[arg-type]  # as above
    assert cookies.of(here) == "t=1"


def test_a_server_that_sends_ever_more() -> None:
    here, cookies = check_url("http://a.example.com/", ANY), Cookies()
    for turn in range(9):
        cookies.keep(Answered(*(f"c{turn}_{n}=1" for n in range(99))), here)  # type: ignore[arg-type]  # as above
    cookies.keep(Answered("c0_0=2"), here)  # type: ignore[arg-type]  # as above
    said = cookies.of(here).split("; ")
    assert len(said) == 50 and "c0_0=2" in said and "c0_0=1" not in said


def wall(sock: socket.socket, request: str) -> None:
    """Leads in circles whoever does not bring its cookie."""
    if "seen=1" in request:
        sock.sendall(head(Content_Length=str(len(BODY))) + BODY)
    else:
        sock.sendall(head("302 Found", Location="/x.csv", Set_Cookie="seen=1; Path=/; HttpOnly", Content_Length="0"))


def test_a_wall_that_wants_its_cookie_back(site: Site, fetch: Fetch) -> None:
    url = site.on("/x.csv", wall)
    assert fetch(url, headers={"cookie": "mine=1"}).rows == 1
    assert [re.findall(r"Cookie: (.*)\r", request) for request in site.requests] == [["mine=1"], ["mine=1; seen=1"]]
    assert fetch(url).rows == 1
    assert "Cookie" not in site.requests[2]  # they were gone with the first fetch


def test_no_cookie_reaches_another_server(site: Site, fetch: Fetch, monkeypatch: pytest.MonkeyPatch) -> None:
    with Site("127.0.0.2") as other:
        away = other.file("/there.csv", BODY)
        to = head("302 Found", Location=away, Set_Cookie="s=1; Path=/", Content_Length="0")
        url = site.on("/x", lambda sock, _: sock.sendall(to))
        allowed = Policy(frozenset({(site.host, site.port), (other.host, other.port)}))
        assert fetch(url, policy=allowed, headers={"Cookie": "mine=1"}).rows == 1
        assert "Cookie" not in other.requests[0]
