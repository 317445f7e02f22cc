"""What may be fetched: the classes of the SSRF corpus, resolution and rebinding."""

import ipaddress
import pickle
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from portal.engine.guard import Policy, check_url, is_public, resolve
from portal.engine.stop import Stop
from portal.errors import Blocked, Fault, Stopped

OPEN = Policy()

PRIVATE_V4 = (
    "0.0.0.0 0.1.2.3 10.0.0.1 10.255.255.255 100.64.0.1 100.100.100.200 100.127.255.254 127.0.0.1 127.255.255.254 "
    "168.63.129.16 169.254.169.254 172.16.0.1 172.31.255.255 192.0.0.1 192.0.0.170 192.0.2.1 192.88.99.1 192.168.1.1 "
    "198.18.0.1 198.19.255.255 198.51.100.1 203.0.113.1 224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255"
).split()
SPELLED_V4 = (
    "2130706433 017700000001 0x7f000001 0x7f.1 0177.1 0177.0.0.1 127.1 127.0.1 127.0.0.01 127.0.0.1. 127.0.0.0x1 "
    "1.2.3 0 0x 134744072 010.8.8.8 8.8 169.254.43518 0xa9fea9fe 2852039166 8.8.8.8. 256.256.256.256 1.2.3.4.5"
).split()
FULL_WIDTH = ["１２７.0.0.1", "①②⑦.0.0.1", "127。0。0。1", "８.８.８.８", "①", "localhost", "ｌocalhost"]
PRIVATE_V6 = (
    ":: ::1 ::127.0.0.1 ::ffff:127.0.0.1 ::ffff:8.8.8.8 ::ffff:7f00:1 0:0:0:0:0:ffff:a9fe:a9fe 64:ff9b::7f00:1 "
    "64:ff9b::808:808 64:ff9b:1::1 100::1 2001::1 2001:0:7f00:1:: 2001:10::1 2001:20::1 2001:db8::1 2002:7f00:1:: "
    "2002:0808:0808:: 3fff::1 5f00::1 fc00::1 fd00:ec2::254 fe80::1 fec0::1 ff02::1 ff0e::1 4000::1 2620:4f:8000::1 "
    "2606:4700::5efe:7f00:1 2606:4700::200:5efe:808:808"
).split()
MALFORMED = [
    "", "example.com", "//example.com/x", "http:example.com", "http:/example.com", "http://", "http:///x",
    "http://exa mple.com/", "http://example.com:99999/", "http://example.com:0/", "http://example.com:8o/",
    "http://example.com:80:80/", "http://[::1/", "http://::1/", "http://[::1]x/", "http://[1.2.3.4]/", "http://[]/",
    "http://example.com\\@127.0.0.1/", "http:\\\\example.com", "http://example.com/\x00", "http://exam\tple.com/",
    "http://example.com/a\r\nHost: x", "http://127.0.0.1%2f@example.com".replace("@", "."), "http://%31%32%37.com/",
    "http://127%2e0%2e0%2e1/", "http://example.com%00.a.com/", "http://-a.com/", "http://a..b/", "http://.a/",
    "http://example.com./", "http://a.com,b.com/", "http://ex\u200bample.com/", "http://" + "a" * 64 + ".com/",
    "http://example.com/" + "a" * 2100, "javascript:alert(1)", "http://a.com<b>/",
]  # fmt: skip


def code(url: str, policy: Policy = OPEN) -> str:
    with pytest.raises(Fault) as caught:
        check_url(url, policy)
    assert not caught.value.passing
    return caught.value.code


@pytest.mark.parametrize("host", [*PRIVATE_V4, *SPELLED_V4, *FULL_WIDTH, *(f"[{ip}]" for ip in PRIVATE_V6)])
def test_no_private_address_in_any_spelling(host: str) -> None:
    assert code(f"http://{host}/") == "url_not_allowed"
    assert code(f"https://{host}:443/x?y") == "url_not_allowed"


@pytest.mark.parametrize("host", ["[fe80::1%25eth0]", "[fe80::1%eth0]", "[2606:4700::1111%251]"])
def test_no_zone_ids(host: str) -> None:
    assert code(f"http://{host}/") == "url_not_allowed"


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "db.localhost"])
def test_no_names_of_this_machine(host: str) -> None:
    assert code(f"http://{host}/") == "url_not_allowed"


@pytest.mark.parametrize("url", MALFORMED)
def test_malformed(url: str) -> None:
    assert code(url) == "url_malformed"


@pytest.mark.parametrize("scheme", ["file", "ftp", "gopher", "dict", "ldap", "unix", "ws", "jar", "FILE"])
def test_only_http_and_https(scheme: str) -> None:
    assert code(f"{scheme}://example.com/x") == "url_scheme"


@pytest.mark.parametrize("userinfo", ["user:pass@", "user@", "@", "127.0.0.1@", "example.com:80@", "a@b@"])
def test_no_credentials(userinfo: str) -> None:
    assert code(f"http://{userinfo}example.com/") == "url_credentials"


@pytest.mark.parametrize("port", [22, 25, 6379, 8080, 5432, 65535])
def test_only_the_ports_of_the_web(port: int) -> None:
    assert code(f"http://example.com:{port}/") == "url_port"


@pytest.mark.parametrize(
    ("url", "canonical"),
    [
        ("HTTP://Example.COM", "http://example.com/"),
        ("https://example.com:443/a?b=c#d", "https://example.com/a?b=c"),
        ("http://example.com:443/", "http://example.com:443/"),
        ("http://example.com:/x", "http://example.com/x"),
        ("http://example.com?q", "http://example.com/?q"),
        ("http://example.com#@127.0.0.1/", "http://example.com/"),
        ("  http://example.com/a b/数据.csv ", "http://example.com/a%20b/%E6%95%B0%E6%8D%AE.csv"),
        ("http://example.com/%E6%95%B0?x=%2F", "http://example.com/%E6%95%B0?x=%2F"),
        ("http://数据.中国/x", "http://xn--vxup8b.xn--fiqs8s/x"),
        ("http://8.8.8.8/", "http://8.8.8.8/"),
        ("http://[2606:4700:0:0::1111]/", "http://[2606:4700::1111]/"),
        ("http://1.example-x_y.com/", "http://1.example-x_y.com/"),
    ],
)
def test_accepted(url: str, canonical: str) -> None:
    assert check_url(url, OPEN).url == canonical


def test_an_opened_host_is_opened_at_its_port_alone() -> None:
    policy = Policy(allow_hosts=frozenset({("127.0.0.1", 8081), ("::1", 8081), ("intranet", 8081)}))
    for host in ("127.0.0.1", "[::1]", "intranet"):
        assert check_url(f"http://{host}:8081/x", policy).port == 8081
    assert code("http://127.0.0.1:8082/", policy) == "url_not_allowed"
    assert code("http://127.1:8081/", policy) == "url_not_allowed"
    assert code("http://intranet:8082/", policy) == "url_port"


def test_public_addresses_are_public() -> None:
    for text in ("1.1.1.1", "8.8.8.8", "223.5.5.5", "2606:4700:4700::1111", "2400:3200::1", "2001:4860:4860::8888"):
        assert is_public(ipaddress.ip_address(text))


Answers = Callable[[list[str]], None]


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Answers:
    """Replace what the name service answers."""

    def use(ips: list[str]) -> None:
        def getaddrinfo(host: str, port: int, **_: Any) -> list[Any]:
            return [
                (socket.AF_INET6, 1, 6, "", (ip, port, 0, 0)) if ":" in ip else (socket.AF_INET, 1, 6, "", (ip, port))
                for ip in ips
            ]

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)

    return use


@pytest.mark.parametrize("ip", [*PRIVATE_V4, *PRIVATE_V6, "fe80::1%eth0"])
def test_no_name_for_a_private_address(answers: Answers, ip: str) -> None:
    for ips in ([ip], ["93.184.215.14", ip], [ip, "93.184.215.14"]):
        answers(ips)
        with pytest.raises(Fault) as caught:
            resolve(check_url("http://example.com/", OPEN), OPEN)
        assert (caught.value.code, caught.value.passing, caught.value.params) == (
            "host_unresolvable",
            False,
            {"host": "example.com"},
        )


def test_public_answers_are_returned_once_in_order(answers: Answers) -> None:
    answers(["2606:4700::1111", "93.184.215.14", "2606:4700::1111"])
    assert resolve(check_url("https://example.com/", OPEN), OPEN) == [
        (socket.AF_INET6, ("2606:4700::1111", 443, 0, 0)),
        (socket.AF_INET, ("93.184.215.14", 443)),
    ]


@pytest.mark.parametrize(
    ("number", "passing"), [(socket.EAI_NONAME, False), (socket.EAI_NODATA, False), (socket.EAI_AGAIN, True)]
)
def test_an_unresolvable_name(monkeypatch: pytest.MonkeyPatch, number: int, passing: bool) -> None:
    def getaddrinfo(*_: Any, **__: Any) -> list[Any]:
        raise socket.gaierror(number, "no")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    with pytest.raises(Fault) as caught:
        resolve(check_url("http://nowhere.example/", OPEN), OPEN, Stop())
    assert (caught.value.code, caught.value.passing) == ("host_unresolvable", passing)
    assert caught.value.params == {"host": "nowhere.example"}


def refusal(answers: Answers, monkeypatch: pytest.MonkeyPatch, ips: list[str], band: float) -> tuple[Blocked, float]:
    """What is said of a name that leads there, or nowhere, and after how long (s)."""
    if ips:
        answers(ips)
    else:
        monkeypatch.setattr(socket, "getaddrinfo", _nowhere)
    began = time.monotonic()
    with pytest.raises(Blocked) as caught:
        resolve(check_url("http://name.example/x?token=1", OPEN), Policy(band_seconds=band), Stop())
    return caught.value, time.monotonic() - began


def _nowhere(*_: Any, **__: Any) -> list[Any]:
    time.sleep(0.05)  # who does not know has to ask others
    raise socket.gaierror(socket.EAI_NONAME, "no")


@pytest.mark.parametrize("ip", ["10.0.0.7", "127.0.0.1", "fd00::7", "169.254.169.254", "100.100.100.200"])
def test_a_name_inside_is_refused_as_one_that_is_nowhere(
    answers: Answers, monkeypatch: pytest.MonkeyPatch, ip: str
) -> None:
    """In words, in whether it is tried again, in time; what it was is for the operator's log."""
    (inside, took_inside), (nowhere, took_nowhere) = (
        refusal(answers, monkeypatch, ips, 0.3) for ips in ([ip], list[str]())
    )
    for fault in (inside, nowhere):
        assert (fault.code, fault.passing, fault.params) == ("host_unresolvable", False, {"host": "name.example"})
    assert ((inside.reason, inside.ip), (nowhere.reason, nowhere.ip)) == (("inward", ip), ("absent", ""))
    assert min(took_inside, took_nowhere) >= 0.3  # the next whole band


def test_a_name_is_refused_at_once_to_who_is_told_to_stop(answers: Answers) -> None:
    answers(["10.0.0.7"])
    stop = Stop()
    threading.Timer(0.1, stop.set).start()
    with pytest.raises(Stopped):
        resolve(check_url("http://name.example/", OPEN), Policy(band_seconds=60), stop)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1/", "http://localhost/", "http://0x7f.1/", "http://[fe80::1%25eth0]/"]
)
def test_what_needs_no_name_service_is_refused_for_what_it_is(url: str) -> None:
    with pytest.raises(Fault) as caught:
        check_url(url, OPEN)
    assert caught.value.code in ("url_not_allowed", "url_malformed")
    assert caught.value.code == "url_malformed" or (isinstance(caught.value, Blocked) and caught.value.host)


def test_a_refusal_comes_out_of_a_cage_whole() -> None:
    with pytest.raises(Blocked) as caught:
        check_url("http://10.0.0.7/", OPEN)
    copy = pickle.loads(pickle.dumps(caught.value))  # noqa: S301  # our own, made a moment ago
    assert isinstance(copy, Blocked)
    assert (copy.code, copy.reason, copy.host, copy.ip) == ("url_not_allowed", "literal", "10.0.0.7", "10.0.0.7")
