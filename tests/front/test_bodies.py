"""Bodies and answers that come and go slowly, or not at all: no thread waits, no file stays, others are served."""

import hashlib
import os
import signal
import time
from contextlib import ExitStack, closing
from typing import Any

import pytest
from apiflask import APIFlask

from portal.extensions import db
from portal.front import terms
from portal.models import Upload
from tests.cast import person, tokens
from tests.front.conftest import SLOW_SECONDS, Answer, Front, until, until_closed

HOST = b"Host: localhost\r\n"
CONTENT = b"a,b\n1,2\n" * 200_000  # 1.6 MB
UPLOAD = b"POST /api/v1/uploads?name=two.csv HTTP/1.1\r\nConnection: close\r\n" + HOST


@pytest.fixture
def bearer(app: APIFlask) -> bytes:
    person(app, "alice")
    return f"Authorization: Bearer {tokens(app, 'alice')['access_token']}\r\n".encode()


def length(size: int) -> bytes:
    return b"Content-Length: %d\r\n\r\n" % size


def uploads_kept(app: APIFlask) -> list[Any]:
    with app.app_context():
        return list(db.session.query(Upload.bytes, Upload.sha256).all())


def test_a_large_upload_is_taken_in(front: Front, app: APIFlask, bearer: bytes) -> None:
    answer = Answer(front.say(UPLOAD + bearer + length(len(CONTENT)), CONTENT))
    assert answer.status == 201, answer.body
    assert answer.json["sha256"] == hashlib.sha256(CONTENT).hexdigest()
    assert uploads_kept(app) == [(len(CONTENT), hashlib.sha256(CONTENT).hexdigest())]
    until(lambda: front.files() == [])


def test_expect_is_met_when_the_portal_wants_the_body(front: Front, bearer: bytes) -> None:
    with closing(front.connect()) as sock:
        sock.sendall(UPLOAD + bearer + b"Expect: 100-continue\r\n" + length(len(CONTENT)))
        assert sock.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(CONTENT)
        assert Answer(until_closed(sock)).status == 201


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (b"", 401),
        (b"Authorization: Bearer x\r\n", 401),
        (b"Cookie: session=x\r\n", 401),
    ],
)
def test_strangers_send_nothing(front: Front, app: APIFlask, headers: bytes, status: int) -> None:
    with closing(front.connect()) as sock:
        sock.sendall(UPLOAD + headers + b"Expect: 100-continue\r\n" + length(2 * 1024**3))
        assert Answer(until_closed(sock)).status == status
    before = written(front)
    answer = Answer(front.say(UPLOAD + headers + length(2 * 1024**3), *[CONTENT] * 20))
    assert answer.status == status
    assert written(front) - before < 100_000
    assert (front.files(), uploads_kept(app)) == ([], [])


def test_a_page_of_another_site_sends_nothing(front: Front) -> None:
    head = b"POST /uploads/ HTTP/1.1\r\n" + HOST + b"Origin: https://evil.example\r\n" + length(2 * 1024**3)
    assert Answer(front.say(head)).status == 403
    assert front.files() == []


def test_more_than_the_quota_is_refused_by_its_headers(front: Front, bearer: bytes) -> None:
    answer = Answer(front.say(UPLOAD + bearer + length(2 * 1024**3 + 1)))
    assert (answer.status, answer.json["code"]) == (422, "too_large")


@pytest.mark.parametrize("route", [b"/login", b"/register", b"/tasks/", b"/forgot", b"/uploads/", b"/nothing"])
@pytest.mark.parametrize("how", ["length", "chunks"])
def test_forms_leave_no_files(front: Front, route: bytes, how: str) -> None:
    part = b'--b\r\nContent-Disposition: form-data; name="f%d"; filename="f"\r\n\r\nx\r\n'
    body = b"".join(part % n for n in range(900)) + b"--b--\r\n"
    head = b"POST " + route + b" HTTP/1.1\r\n" + HOST + b"Content-Type: multipart/form-data; boundary=b\r\n"
    if how == "length":
        sent = head + b"Connection: close\r\n" + length(len(body)) + body
    else:
        sent = head + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (
            len(body),
            body,
        )
    assert Answer(front.say(sent)).status in (303, 400, 401, 404, 413)
    assert front.files() == []


def test_an_upload_that_stops_gives_everything_back(front: Front, app: APIFlask, bearer: bytes) -> None:
    with closing(front.connect(seconds=40)) as sock:
        sock.sendall(UPLOAD + bearer + length(len(CONTENT)) + CONTENT[:400_000])
        until(front.files)
        assert front.get("/health/ready").status == 200
        assert Answer(until_closed(sock)).status == 408
    until(lambda: front.files() == [])
    assert uploads_kept(app) == []
    assert Answer(front.say(UPLOAD + bearer + length(len(CONTENT)), CONTENT)).status == 201


def test_nothing_is_left_of_an_upload_when_the_web_is_killed(front: Front, bearer: bytes) -> None:
    (web,) = front.webs()
    with closing(front.connect()) as sock:
        sock.sendall(UPLOAD + bearer + length(len(CONTENT)) + CONTENT[:400_000])
        until(front.files)
        os.kill(web, signal.SIGKILL)
        until_closed(sock)
    until(lambda: front.webs() not in ([], [web]))
    assert front.files() == []


def test_bodies_that_never_come_take_no_thread(front: Front) -> None:
    head = b"POST /login HTTP/1.1\r\n" + HOST + b"Content-Type: application/x-www-form-urlencoded\r\n"
    with ExitStack() as stack:
        for n in range(3 * terms.THREADS):
            sock = stack.enter_context(closing(front.connect(f"127.0.3.{n + 1}")))
            sock.sendall(head + (length(10) if n % 2 else b"Transfer-Encoding: chunked\r\n\r\n"))
        for _ in range(5):
            assert front.get("/health/ready").status == 200
            assert front.get("/login").status == 200


def test_one_network_has_a_share_of_unfinished_requests(front: Front) -> None:
    with ExitStack() as stack:
        first = stack.enter_context(closing(front.connect("127.0.4.1")))
        first.sendall(b"POST /login HTTP/1.1\r\n" + HOST + length(10))
        time.sleep(terms.YOUNG_SECONDS + 0.5)  # an honest one would be complete
        for _ in range(terms.UNFINISHED):
            stack.enter_context(closing(front.connect("127.0.4.1"))).sendall(b"GET /")
        began = time.monotonic()
        assert Answer(until_closed(first)).status == 408  # it makes room for them, long before its time is up
        assert time.monotonic() - began < terms.BODY_SECONDS / 2


def test_who_does_not_read_is_cut_off(front: Front) -> None:
    """Many answers are asked for and none is read: the rest of them waits in the web, which lets go."""
    with closing(front.connect()) as sock:
        sock.setsockopt(1, 8, 4096)  # SOL_SOCKET, SO_RCVBUF
        try:
            for _ in range(400):
                sock.sendall(b"GET /static/vendor/redoc-2.5.4/redoc.standalone.js HTTP/1.1\r\n" + HOST + b"\r\n")
                time.sleep(0.001)
        except OSError:
            pass
        sock.settimeout(40)
        (web,) = front.webs()
        port = sock.getsockname()[1]
        until(lambda: not connected(web, front.port, port), 4 * SLOW_SECONDS + 30)
    assert front.get("/health/live").status == 200


def connected(pid: int, here: int, there: int) -> bool:
    """Whether a process has this connection in use."""
    with open(f"/proc/{pid}/net/tcp") as table:
        lines = [line.split() for line in table][1:]
    pair = f":{here:04X}", f":{there:04X}"
    return any(line[1].endswith(pair[0]) and line[2].endswith(pair[1]) and line[9] != "0" for line in lines)


def written(front: Front) -> int:
    """Bytes that its processes have handed to the disk, logs among them."""
    total = 0
    for pid in front.webs():
        with open(f"/proc/{pid}/io") as counts:
            total += int(dict(line.split(": ") for line in counts)["write_bytes"])
    return total
