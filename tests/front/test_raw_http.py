"""What only a hand-written request can say: each is answered, or cut off, as RFC 9112 wants; nothing is smuggled."""

import json
import socket
import time
from contextlib import closing

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from portal import limits
from tests.front.conftest import Answer, Front, until_closed

HOST = b"Host: localhost\r\n"
LIVE = b"GET /health/ready HTTP/1.1\r\n" + HOST
POST = b"POST /api/v1/auth/login HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\n"
LOGIN = b'{"account": 5, "password": ["walking along"]}'  # read, and found to be no log-in: 422
FORM = b"POST /login HTTP/1.1\r\n" + HOST
SECOND = b"GET /smuggled HTTP/1.1\r\n" + HOST + b"\r\n"


def chunked(*pieces: bytes) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)


MALFORMED = {
    "two Host headers": LIVE + HOST + b"\r\n",
    "two different Host headers": LIVE + b"Host: other.example\r\n\r\n",
    "no Host": b"GET /health/ready HTTP/1.1\r\n\r\n",
    "an empty Host": b"GET /health/ready HTTP/1.1\r\nHost:\r\n\r\n",
    "a Host with a path": b"GET /health/ready HTTP/1.1\r\nHost: a/b\r\n\r\n",
    "a Host with two names": b"GET /health/ready HTTP/1.1\r\nHost: a, b\r\n\r\n",
    "a Host with somebody's name": b"GET /health/ready HTTP/1.1\r\nHost: a@b\r\n\r\n",
    "absolute-form of another host": b"GET http://other.example/ HTTP/1.1\r\n" + HOST + b"\r\n",
    "authority-form": b"CONNECT localhost:80 HTTP/1.1\r\n" + HOST + b"\r\n",
    "asterisk-form": b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n",
    "a target that is no path": b"GET login HTTP/1.1\r\n" + HOST + b"\r\n",
    "a fragment in the target": b"GET /login#a HTTP/1.1\r\n" + HOST + b"\r\n",
    "a space in the target": b"GET /a b HTTP/1.1\r\n" + HOST + b"\r\n",
    "length and chunks": POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SECOND,
    "chunks and length": POST + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" + SECOND,
    "two lengths": POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!" + SECOND,
    "the same length twice": POST + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello" + SECOND,
    "a list of lengths": POST + b"Content-Length: 5, 5\r\n\r\nhello" + SECOND,
    "a length with a sign": POST + b"Content-Length: +5\r\n\r\nhello",
    "a length below zero": POST + b"Content-Length: -5\r\n\r\nhello",
    "a length in hex": POST + b"Content-Length: 0x5\r\n\r\nhello",
    "a length of letters": POST + b"Content-Length: five\r\n\r\nhello",
    "a length with a space": POST + b"Content-Length: 5 5\r\n\r\nhello",
    "a length that overflows": POST + b"Content-Length: 99999999999999999999999\r\n\r\nhello",
    "another transfer coding": POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "an unknown transfer coding": POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + SECOND,
    "chunked, but not last": POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + SECOND,
    "chunked twice": POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks in HTTP/1.0": b"POST /login HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a chunk's size of letters": POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n",
    "a chunk longer than said": POST + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhello\r\n0\r\n\r\n",
    "a chunk's size that overflows": POST + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\nhello\r\n",
    "a space before the colon": LIVE + b"Content-Length : 5\r\n\r\nhello",
    "a folded header": LIVE + b"X-A: b\r\n c\r\n\r\n",
    "a tab before the colon": LIVE + b"Content-Length\t: 5\r\n\r\nhello",
    "a tab before the coding": POST + b"Transfer-Encoding\t: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" + SECOND,
    "a chunk's size with a sign": POST + b"Transfer-Encoding: chunked\r\n\r\n-1\r\nhello\r\n0\r\n\r\n",
    "a chunk's size in 0x": POST + b"Transfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n",
    "NUL in a header": LIVE + b"X-A: b\0c\r\n\r\n",
    "CR in a header": LIVE + b"X-A: b\rX-B: c\r\n\r\n",
    "a header without a colon": LIVE + b"X-A\r\n\r\n",
    "a header without a name": LIVE + b": b\r\n\r\n",
    "a header's name with a space": LIVE + b"X A: b\r\n\r\n",
    "NUL in the target": b"GET /a\0b HTTP/1.1\r\n" + HOST + b"\r\n",
    "a method in small letters": b"get /health/ready HTTP/1.1\r\n" + HOST + b"\r\n",
    "a method of one's own": b"FETCHALL /health/ready HTTP/1.1\r\n" + HOST + b"\r\n",
    "HTTP/0.9": b"GET /health/ready\r\n\r\n",
    "HTTP of another kind": b"GET /health/ready ICE/1.0\r\n" + HOST + b"\r\n",
    "HTTP/2 without asking": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\x04\0\0\0\0\0",
    "TLS": bytes.fromhex("16030100c8010000c40303") + bytes(200),
    "SSH": b"SSH-2.0-OpenSSH_9.6\r\n",
    "Redis": b"*1\r\n$4\r\nPING\r\n",
    "nothing but zeros": bytes(4096),
    "lines that end in LF alone": b"GET /health/ready HTTP/1.1\nHost: localhost\n\n",
    "one header that ends in LF alone": LIVE + b"X-A: b\nX-B: c\r\n\r\n",
    "a chunk that ends in LF alone": POST + b"Transfer-Encoding: chunked\r\n\r\n5\nhello\n0\n\n" + SECOND,
    "a chunk's extension with LF alone": POST + b"Transfer-Encoding: chunked\r\n\r\n5;a\nhello\r\n0\r\n\r\n" + SECOND,
}


@pytest.mark.parametrize("name", MALFORMED)
def test_what_is_not_http_is_refused_and_closed(front: Front, name: str) -> None:
    heard = front.say(MALFORMED[name])
    answer = Answer(heard)
    assert answer.status in (400, 505), heard
    assert answer.headers["connection"] == "close"
    assert "HTTP/1.1" in answer.body.decode()
    assert "请求" in answer.body.decode() or "这里" in answer.body.decode()
    assert answer.rest == b""  # nothing behind it was taken for a request


def test_other_versions_are_named(front: Front) -> None:
    assert Answer(front.say(b"GET / HTTP/2.0\r\n" + HOST + b"\r\n")).status in (400, 505)
    assert Answer(front.say(b"GET / HTTP/3.0\r\n" + HOST + b"\r\n")).status in (400, 505)


@pytest.mark.parametrize("size", [9_000, 66_000, 300_000])
@pytest.mark.parametrize("path", [b"/api/v1/tasks?q=", b"/login?next="])
def test_an_over_long_address_is_explained(front: Front, size: int, path: bytes) -> None:
    answer = Answer(front.say(b"GET " + path + b"a" * size + b" HTTP/1.1\r\n" + HOST + b"\r\n"))
    assert answer.status == 414
    if path.startswith(b"/api/"):
        assert answer.headers["content-type"] == "application/problem+json"
        assert (answer.json["status"], answer.json["code"]) == (414, "uri_too_long")
    else:
        assert "The address is too long" in answer.body.decode()
        assert "网址过长" in answer.body.decode()


@pytest.mark.parametrize(
    "headers",
    [
        b"X-A: " + b"a" * 70_000 + b"\r\n",
        b"".join(b"X-%d: a\r\n" % n for n in range(200)),
        b"X-" + b"a" * 300_000,
        b"Cookie: " + b"a=b; " * 20_000 + b"\r\n",
    ],
    ids=["one long", "many", "a name without end", "cookies"],
)
def test_over_large_headers_are_explained(front: Front, headers: bytes) -> None:
    answer = Answer(front.say(b"GET /api/v1/tasks HTTP/1.1\r\n" + HOST + headers + b"\r\n"))
    assert (answer.status, answer.json["code"]) == (431, "headers_too_large")


def test_a_body_in_chunks_is_read(front: Front) -> None:
    sent = (
        POST + b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n" + chunked(LOGIN[:9], LOGIN[9:]) + b"0\r\n\r\n"
    )
    assert Answer(front.say(sent)).json["code"] == "invalid"
    assert Answer(front.say(*(bytes([byte]) for byte in sent))).status == 422


@pytest.mark.parametrize("extension", [b";a", b";a=b", b';a="b;c"', b";" + b"a" * 1000], ids=len)
def test_a_chunk_s_extension_is_read_over(front: Front, extension: bytes) -> None:
    pieces = b"%x%b\r\n%b\r\n0%b\r\n\r\n" % (len(LOGIN), extension, LOGIN, extension)
    sent = POST + b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n" + pieces
    assert Answer(front.say(sent)).json["code"] == "invalid"


def test_a_trailer_is_no_header(front: Front) -> None:
    """What comes after the body was not there when it was decided who asks."""
    asked = b"GET /api/v1/users/me HTTP/1.1\r\n" + HOST + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    trailers = b"0\r\nAuthorization: Bearer x\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n"
    answer = Answer(front.say(asked + trailers))
    assert (answer.status, answer.json["code"]) == (401, "token_missing")


@pytest.mark.parametrize("what", [b"0\r\n", b"5;"], ids=["trailers", "extensions"])
def test_trailers_and_extensions_without_end_are_refused(front: Front, what: bytes) -> None:
    head = POST + b"Transfer-Encoding: chunked\r\n\r\n" + what
    more = b"X-A: " + b"a" * 1000 + b"\r\n" if what == b"0\r\n" else b"a" * 1000
    assert Answer(front.say(head, *[more] * 3000)).status in (400, 413, 431)


def test_two_spaces_in_the_request_line_are_one(front: Front) -> None:
    """RFC 9112 3: may be read so. No target has a space in it, so that it cannot mean two things."""
    answer = Answer(front.say(b"GET  /health/live  HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n"))
    assert (answer.status, answer.rest) in ((200, b""), (400, b""))


def test_a_shorter_body_than_announced_is_waited_for_and_a_longer_one_is_the_next_request(front: Front) -> None:
    head = POST + b"Content-Length: %d\r\n\r\n"
    assert front.say(head % (len(LOGIN) + 1) + LOGIN, half=True) == b""
    heard = front.say(head % len(LOGIN) + LOGIN + b"and more\r\n\r\n")
    first = Answer(heard)
    assert first.json["code"] == "invalid"
    assert Answer(first.rest).status == 400


@pytest.mark.parametrize("door", [POST, FORM])
@pytest.mark.parametrize("how", [b"Content-Length: 2147483648\r\n\r\n", b"Content-Length: 262145\r\n\r\n"])
def test_a_body_that_is_too_large_is_refused_before_it_comes(front: Front, door: bytes, how: bytes) -> None:
    with closing(front.connect()) as sock:
        sock.sendall(door + how)
        answer = Answer(until_closed(sock))
    assert answer.status == 413
    assert answer.headers["connection"] == "close"
    assert front.files() == []


def test_chunks_without_end_are_refused_where_others_end(front: Front) -> None:
    head = POST + b"Transfer-Encoding: chunked\r\n\r\n"
    answer = Answer(front.say(head, *[chunked(b"x" * 65_536)] * 40))
    assert (answer.status, answer.json["code"]) == (413, "content_too_large")
    assert "Content-Length" in answer.json["detail"]


@pytest.mark.parametrize("how", ["length", "chunks"])
def test_the_largest_body_is_taken(front: Front, how: str) -> None:
    body = b'{"account": "' + b"a" * (limits.BODY_BYTES - 40) + b'", "password": "x"}'
    body += b" " * (limits.BODY_BYTES - len(body))
    if how == "length":
        sent = POST + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    else:
        sent = POST + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(body) + b"0\r\n\r\n"
    assert Answer(front.say(sent)).status in (401, 422)


def test_expect_is_met_or_refused_before_the_body(front: Front) -> None:
    with closing(front.connect()) as sock:
        sock.sendall(POST + b"Expect: 100-continue\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(LOGIN))
        assert sock.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(LOGIN)
        assert Answer(until_closed(sock)).json["code"] == "invalid"
    refused = front.say(POST + b"Expect: 100-continue\r\nContent-Length: 2147483648\r\n\r\n")
    assert refused.startswith(b"HTTP/1.1 413 ")
    assert front.say(POST + b"Expect: miracles\r\nContent-Length: 5\r\n\r\n").startswith(b"HTTP/1.1 417 ")


def test_requests_in_a_row_are_answered_in_a_row(front: Front) -> None:
    one = b"GET /health/live HTTP/1.1\r\n" + HOST + b"\r\n"
    other = b"GET /api/v1/nothing HTTP/1.1\r\n" + HOST + b"\r\n"
    last = b"GET /health/live HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n"
    answer = Answer(front.say(one + other + one + other + last))
    statuses = [answer.status]
    while answer.rest:
        answer = Answer(answer.rest)
        statuses.append(answer.status)
    assert statuses == [200, 404, 200, 404, 200]


def test_a_thousand_requests_in_a_row_are_too_many(front: Front) -> None:
    heard = front.say((b"GET /api/v1/nothing HTTP/1.1\r\n" + HOST + b"\r\n") * 1000)
    assert heard.count(b"HTTP/1.1 404 ") < 100
    assert b"HTTP/1.1 400 " in heard


def test_a_broken_request_after_a_good_one_is_refused_after_it(front: Front) -> None:
    answer = Answer(front.say(b"GET /health/live HTTP/1.1\r\n" + HOST + b"\r\n" + b"get it\r\n\r\n"))
    assert answer.status == 200
    assert Answer(answer.rest).status == 400


@pytest.mark.parametrize("protocol", [b"websocket", b"h2c"])
def test_an_upgrade_is_not_made(front: Front, protocol: bytes) -> None:
    asked = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: " + protocol + b"\r\nHTTP2-Settings: AAMAAABkAAQAoAAA\r\n"
    heard = front.say(b"GET /health/ready HTTP/1.1\r\n" + HOST + asked + b"\r\n" + SECOND)
    assert not heard.startswith(b"HTTP/1.1 101")
    answer = Answer(heard)
    assert (answer.status, answer.rest) == (200, b"")


def test_head_has_no_body_and_keeps_the_connection(front: Front) -> None:
    first = Answer(
        front.say(b"HEAD /login HTTP/1.1\r\n" + HOST + b"\r\n" + b"GET /health/live HTTP/1.0\r\n\r\n"), bare=True
    )
    assert (first.status, Answer(first.rest).json) == (200, {"status": "ok"})


def test_http_1_0_is_answered_and_closed(front: Front) -> None:
    answer = Answer(front.say(b"GET /health/live HTTP/1.0\r\n\r\n"))
    assert (answer.status, answer.headers["connection"]) == (200, "close")


def test_absolute_form_of_this_host_is_a_path(front: Front) -> None:
    assert (
        Answer(front.say(b"GET http://localhost/health/live HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n")).status
        == 200
    )


def test_a_header_with_an_underscore_passes_for_none_with_a_hyphen(front: Front) -> None:
    sent = b"GET /api/v1/users/me HTTP/1.1\r\n" + HOST + b"Connection: close\r\n"
    missing = Answer(front.say(sent + b"\r\n")).json
    assert (
        Answer(front.say(sent + b"Authorization_: Bearer x\r\nAuthorization: Bearer x\r\n\r\n")).json["code"]
        == "token_invalid"
    )
    assert missing["code"] == "token_missing"


def test_all_at_once_or_a_byte_at_a_time_is_the_same(front: Front) -> None:
    sent = b"GET /api/v1/nothing HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n"
    slow = Answer(front.say(*(bytes([byte]) for byte in sent)))
    assert (slow.status, json.loads(slow.body)["code"]) == (404, "not_found")


def test_who_closes_its_side_is_still_answered(front: Front) -> None:
    assert Answer(front.say(b"GET /health/ready HTTP/1.1\r\n" + HOST + b"\r\n", half=True)).status == 200


def test_a_head_that_does_not_come_is_told_so(front: Front) -> None:
    began = time.monotonic()
    with closing(front.connect(seconds=30)) as silent, closing(front.connect(seconds=30)) as slow:
        slow.sendall(b"GET /api/v1/tasks HTTP/1.1\r\n")
        assert Answer(until_closed(slow)).status == 408
        assert until_closed(silent) == b""
    assert time.monotonic() - began < 20


def test_urgent_data_and_resets_do_no_harm(front: Front) -> None:
    for _ in range(50):
        with closing(front.connect()) as sock:
            sock.send(POST + b"Content-Length: 100\r\n\r\n{", socket.MSG_OOB)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    assert front.get("/health/live").status == 200


SEEDS = [
    *MALFORMED.values(),
    POST + b"Content-Length: 2\r\n\r\n{}",
    LIVE + b"\r\n",
    FORM + b"Content-Length: 9\r\n\r\na",
]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_is_sent_the_next_is_answered(front: Front, data: st.DataObject) -> None:
    """Mutations of all of the above, cut anywhere: the connection ends, and nobody else notices."""
    sent = bytearray(data.draw(st.sampled_from(SEEDS)))
    for _ in range(data.draw(st.integers(0, 4))):
        sent[data.draw(st.integers(0, len(sent) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(sent)))
    heard = front.say(bytes(sent[:cut]), bytes(sent[cut:]), half=True)
    assert heard == b"" or heard.startswith(b"HTTP/1.1 ")
    assert front.get("/health/live").status == 200
    assert b"Traceback" not in front.log.read_bytes()
