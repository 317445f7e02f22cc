"""Servers as they are: absent, slow, silent, lying; and addresses that change between the check and the connection."""

import hashlib
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from portal.engine.download import Download, Limits, download
from portal.engine.guard import Policy
from portal.engine.stop import Stop
from portal.errors import Fault, Stopped
from tests.engine.servers import Site, head

BODY = b"id,name\n1,a\n"


class Get:
    """Download into a file of the test."""

    def __init__(self, path: Path, policy: Policy, limits: Limits, stop: Stop) -> None:
        self.path, self.policy, self.limits, self.stop = path, policy, limits, stop
        self.reports: list[tuple[int, int | None]] = []

    def __call__(self, url: str, policy: Policy | None = None, **limits: Any) -> Download:
        return download(
            url,
            self.path,
            policy=policy or self.policy,
            limits=replace(self.limits, **limits),
            stop=self.stop,
            report=lambda done, total: self.reports.append((done, total)),
        )

    def fault(self, url: str, policy: Policy | None = None, **limits: Any) -> Fault:
        with pytest.raises(Fault) as caught:
            self(url, policy, **limits)
        return caught.value


@pytest.fixture
def get(tmp_path: Path, policy: Policy, limits: Limits, stop: Stop) -> Get:
    return Get(tmp_path / "file", policy, limits, stop)


def test_the_bytes_arrive_and_are_described(site: Site, get: Get) -> None:
    url = site.file("/a%20b.csv?x=1", BODY, Content_Type="text/csv; charset=utf-8")
    came = get(url)
    assert get.path.read_bytes() == BODY
    assert came == Download(len(BODY), hashlib.sha256(BODY).hexdigest(), url, "text/csv", "a b.csv")
    assert get.reports[-1] == (len(BODY), len(BODY))


def test_the_request_says_who_asks_and_nothing_else(site: Site, get: Get, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    get(site.file("/x", BODY, Set_Cookie="a=b"))
    lines = site.requests[0].split("\r\n")
    assert lines[0] == "GET /x HTTP/1.1"
    assert sorted(line.partition(":")[0] for line in lines[1:] if line) == [
        "Accept", "Accept-Encoding", "Host", "User-Agent",
    ]  # fmt: skip
    assert "Accept-Encoding: identity" in lines
    assert any(line.startswith("User-Agent: DataStation/") for line in lines)


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ('attachment; filename="r.csv"', "r.csv"),
        ("attachment; filename*=UTF-8''%E6%95%B0%E6%8D%AE.csv", "数据.csv"),
        ("attachment; filename=数据.csv", "数据.csv"),
        ('attachment; filename="../../etc/passwd"', "passwd"),
        ('attachment; filename="C:\\\\x\\\\y.csv"', "y.csv"),
        ("attachment", "plain.csv"),
    ],
)
def test_the_name_of_the_file(site: Site, get: Get, header: str, name: str) -> None:
    assert get(site.file("/d/plain.csv", BODY, Content_Disposition=header)).filename == name


def test_chunks(site: Site, get: Get) -> None:
    answer = head(Transfer_Encoding="chunked") + b"3\r\nid,\r\n9\r\nname\n1,a\n\r\n0\r\n\r\n"
    assert get(site.on("/x", lambda sock, _: sock.sendall(answer))).bytes == len(BODY)
    assert get.path.read_bytes() == BODY


@pytest.mark.parametrize(
    ("status", "code", "passing"),
    [
        ("404 Not Found", "http_not_found", False),
        ("410 Gone", "http_not_found", False),
        ("401 Unauthorized", "http_forbidden", False),
        ("403 Forbidden", "http_forbidden", False),
        ("400 Bad Request", "http_status", False),
        ("416 Range", "http_status", False),
        ("304 Not Modified", "http_status", False),
        ("206 Partial Content", "http_status", False),
        ("408 Timeout", "http_status", True),
        ("425 Early", "http_status", True),
        ("429 Too Many", "http_status", True),
        ("500 Oops", "http_status", True),
        ("503 Busy", "http_status", True),
    ],
)
def test_refusals(site: Site, get: Get, status: str, code: str, passing: bool) -> None:
    fault = get.fault(site.file("/x", b"" if "304" in status else BODY, status))
    assert (fault.code, fault.passing, fault.params) == (
        code,
        passing,
        {"status": int(status[:3])} | ({"reason": "partial"} if "206" in status else {}),
    )


def test_nobody_listens(get: Get, site: Site) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    fault = get.fault(f"http://127.0.0.1:{port}/", Policy(frozenset({("127.0.0.1", port)})))
    assert (fault.code, fault.passing) == ("connection_failed", True)


def test_closed_without_an_answer(site: Site, get: Get) -> None:
    fault = get.fault(site.on("/x", lambda sock, _: None))
    assert (fault.code, fault.passing) == ("connection_closed", True)


def test_no_http(site: Site, get: Get) -> None:
    assert get.fault(site.on("/x", lambda sock, _: sock.sendall(b"SSH-2.0-OpenSSH\r\n\r\n"))).code == "bad_answer"


@pytest.mark.parametrize(
    ("answer", "received"),
    [
        (head(Content_Length="100") + BODY, len(BODY)),
        (head(Transfer_Encoding="chunked") + b"c\r\n" + BODY, None),
        (head(Transfer_Encoding="chunked") + b"c\r\n" + BODY + b"\r\n", None),
    ],
)
def test_closed_in_the_middle(site: Site, get: Get, answer: bytes, received: int | None) -> None:
    fault = get.fault(site.on("/x", lambda sock, _: sock.sendall(answer)))
    assert (fault.code, fault.passing, fault.params["received"]) == ("connection_closed", True, received)


def hang(start: bytes) -> Callable[[socket.socket, Site], None]:
    def handler(sock: socket.socket, site: Site) -> None:
        sock.sendall(start)
        site.released.wait(10)

    return handler


@pytest.mark.parametrize(
    ("start", "code"),
    [(b"", "no_answer"), (b"HTTP/1.1 200 OK\r\nA: ", "no_answer"), (head(Content_Length="99") + b"id", "too_slow")],
)
def test_a_server_that_hangs(site: Site, get: Get, start: bytes, code: str) -> None:
    began = time.monotonic()
    fault = get.fault(site.on("/x", lambda sock, _: hang(start)(sock, site)), stall_seconds=0.5)
    assert (fault.code, fault.passing) == (code, True)
    assert time.monotonic() - began < 3


@pytest.mark.parametrize(
    ("start", "piece", "code"),
    [
        (b"HTTP/1.1 200 OK\r\nX: ", b"a", "no_answer"),
        (head(Content_Length="99999"), b"a", "too_slow"),
        (head(), b"1,2\n", "too_slow"),
        (head(Transfer_Encoding="chunked") + b"5;", b"x", "too_slow"),
    ],
)
def test_a_server_that_drips(site: Site, get: Get, start: bytes, piece: bytes, code: str) -> None:
    def drip(sock: socket.socket, _: str) -> None:
        sock.sendall(start)
        while not site.released.wait(0.02):
            try:
                sock.sendall(piece)
            except OSError:
                return

    assert get.fault(site.on("/x", drip), stall_seconds=0.5).code == code


def test_an_endless_body_ends_at_the_limit(site: Site, get: Get) -> None:
    def pour(sock: socket.socket, _: str) -> None:
        sock.sendall(head())
        while not site.released.is_set():
            try:
                sock.sendall(b"1,2\n" * 4096)
            except OSError:
                return

    fault = get.fault(site.on("/x", pour), max_bytes=1024**2)
    assert (fault.code, fault.passing, fault.params) == ("too_large", False, {"limit": 1024**2})
    assert get.fault(site.on("/x", pour), max_bytes=1024**4, max_seconds=0.3).code == "too_long"


def test_a_length_over_the_limit_is_not_even_begun(site: Site, get: Get) -> None:
    url = site.on("/x", lambda sock, _: sock.sendall(head(Content_Length=str(9 * 1024**2))))
    assert get.fault(url).code == "too_large"
    assert get.path.stat().st_size == 0


def test_an_encoding_we_cannot_read(site: Site, get: Get) -> None:
    fault = get.fault(site.file("/x", BODY, Content_Encoding="br"))
    assert (fault.code, fault.params) == ("format_not_supported", {"found": "br"})


@pytest.mark.parametrize("status", ["301 a", "302 a", "303 a", "307 a", "308 a"])
def test_redirects_are_followed(site: Site, get: Get, status: str) -> None:
    last = site.file("/data.csv", BODY)
    site.redirect("/b/1", "../data.csv#x", status)
    assert get(site.redirect("/a", site.url("/b/1"), status)).final_url == last


def test_redirects_end(site: Site, get: Get) -> None:
    fault = get.fault(site.redirect("/x", "/x"))
    assert (fault.code, fault.params) == ("too_many_redirects", {"limit": 5})
    assert len(site.requests) == 6


@pytest.mark.parametrize(
    ("to", "code"),
    [
        ("http://127.0.0.1:1/", "url_not_allowed"),
        ("//127.0.0.1:1/", "url_not_allowed"),
        ("http://169.254.169.254/latest", "url_not_allowed"),
        ("http://100.100.100.200/", "url_not_allowed"),
        ("http://[::ffff:127.0.0.1]/", "url_not_allowed"),
        ("http://2130706433/", "url_not_allowed"),
        ("file:///etc/passwd", "url_scheme"),
        ("gopher://127.0.0.1:6379/_x", "url_scheme"),
        ("http://user:p@example.com/", "url_credentials"),
        ("http://example.com\\@127.0.0.1/", "url_malformed"),
        ("http://example.com:8080/", "url_port"),
    ],
)
def test_each_hop_is_checked(site: Site, get: Get, to: str, code: str) -> None:
    fault = get.fault(site.redirect("/x", to))
    assert (fault.code, fault.passing) == (code, False)


def test_the_checked_address_is_the_connected_one(site: Site, get: Get, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that answers a public address first and 127.0.0.1 ever after: it is asked once, and obeyed once."""
    asked: list[str] = []
    connected: list[Any] = []

    def getaddrinfo(host: str, port: int, **_: Any) -> list[Any]:
        asked.append(host)
        ip = "93.184.215.14" if len(asked) == 1 else "127.0.0.1"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, port))]

    def connect(sock: socket.socket, address: Any) -> None:
        connected.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    monkeypatch.setattr(socket.socket, "connect", connect)
    assert get.fault("http://rebind.example/").code == "connection_failed"
    assert (asked, connected) == (["rebind.example"], [("93.184.215.14", 80)])
    assert get.fault("http://rebind.example/").code == "host_unresolvable"
    assert len(connected) == 1


def test_a_peer_that_is_not_the_one_asked_for(site: Site, get: Get, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket.socket, "getpeername", lambda sock: ("10.0.0.1", 80))
    assert get.fault(site.file("/x", BODY)).code == "url_not_allowed"
    assert site.requests == []


def test_stop_breaks_off_a_blocked_read(site: Site, get: Get) -> None:
    reading = threading.Event()

    def handler(sock: socket.socket, _: str) -> None:
        sock.sendall(head(Content_Length="99") + b"id")
        reading.set()
        site.released.wait(10)

    began: list[float] = []

    def stop_it() -> None:
        reading.wait(5)
        began.append(time.monotonic())
        get.stop.set()

    threading.Thread(target=stop_it, daemon=True).start()
    with pytest.raises(Stopped):
        get(site.on("/x", handler))
    assert time.monotonic() - began[0] < 1


def test_stop_before_the_beginning(site: Site, get: Get) -> None:
    get.stop.set()
    with pytest.raises(Stopped):
        get(site.file("/x", BODY))
    assert site.requests == []


def test_stop_breaks_off_a_connection_being_made(get: Get) -> None:
    with socket.socket() as full, socket.socket() as first, socket.socket() as second:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for waiting in (first, second):  # a queue that is full answers nobody
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        port = full.getsockname()[1]
        threading.Timer(0.2, get.stop.set).start()
        began = time.monotonic()
        with pytest.raises(Stopped):
            get(f"http://127.0.0.1:{port}/", Policy(frozenset({("127.0.0.1", port)})), connect_seconds=20)
        assert time.monotonic() - began < 2
