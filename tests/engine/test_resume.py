"""A download goes on where it was, if the server still has the same; else it begins anew."""

import fcntl
import hashlib
import json
import re
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from portal.engine.download import Download, Limits, download
from portal.engine.guard import Policy
from portal.engine.stop import Stop
from portal.errors import Fault
from tests.engine.servers import Site, head

CONTENT = b"".join(b"%d,row\n" % number for number in range(300_000))
OTHER = CONTENT[::-1]
ETAG = '"one"'
Get = Callable[..., Download]


class Changing:
    """Serves `content` with ranges; breaks off after so many bytes as `breaks` says, request by request."""

    def __init__(self, content: bytes = CONTENT, breaks: tuple[int, ...] = (), **headers: str) -> None:
        self.content, self.breaks, self.headers = content, list(breaks), headers or {"ETag": ETAG}
        self.sent = 0
        self.answers: list[int] = []

    def __call__(self, sock: socket.socket, request: str) -> None:
        asked = re.search(r"^Range: bytes=(\d+)-", request, re.MULTILINE | re.IGNORECASE)
        said = re.search(r"^If-Range: (.+?)\r?$", request, re.MULTILINE | re.IGNORECASE)
        same = said is None or said[1] in self.headers.values()
        start = int(asked[1]) if asked and same else 0
        named = {name.replace("-", "_"): value for name, value in self.headers.items()}
        size = len(self.content)
        if start >= size:
            self.answers.append(416)
            sock.sendall(head("416 No", Content_Range=f"bytes */{size}", Content_Length="0", **named))
            return
        status = "206 Partial Content" if start else "200 OK"
        if start:
            named["Content_Range"] = f"bytes {start}-{size - 1}/{size}"
        self.answers.append(int(status[:3]))
        most = self.breaks.pop(0) if self.breaks else size
        body = self.content[start:][:most]
        sock.sendall(head(status, Content_Length=str(size - start), **named))
        sock.sendall(body)
        self.sent += len(body)


@pytest.fixture
def get(tmp_path: Path, policy: Policy, limits: Limits) -> Get:
    def run(url: str, **more: Any) -> Download:
        return download(
            url, tmp_path / "file", policy=policy, limits=limits, stop=Stop(), report=lambda *_: None, **more
        )

    return run


def whole(found: Download, folder: Path, content: bytes = CONTENT) -> None:
    assert (folder / "file").read_bytes() == content
    assert (found.bytes, found.sha256) == (len(content), hashlib.sha256(content).hexdigest())


def test_a_broken_connection_is_made_again_at_once(site: Site, get: Get, tmp_path: Path) -> None:
    server = Changing(breaks=(2_000_000, 100))
    whole(get(site.on("/x", server)), tmp_path)
    assert server.answers == [200, 206, 206] and server.sent == len(CONTENT)


@pytest.mark.parametrize("headers", [{"ETag": ETAG}, {"Last-Modified": "Fri, 27 Nov 2026 10:00:00 GMT"}])
def test_the_next_attempt_goes_on(site: Site, get: Get, tmp_path: Path, headers: dict[str, Any]) -> None:
    server = Changing(breaks=(1_500_000, 0, 0, 0), **headers)
    url = site.on("/x", server)
    with pytest.raises(Fault, match="connection_closed"):
        get(url)
    assert (tmp_path / "file").stat().st_size == 1_500_000
    whole(get(url), tmp_path)
    assert server.sent == len(CONTENT)


def test_a_source_that_changed_is_fetched_anew(site: Site, get: Get, tmp_path: Path) -> None:
    server = Changing(breaks=(1_500_000, 0, 0, 0))
    url = site.on("/x", server)
    with pytest.raises(Fault):
        get(url)
    server.content, server.headers = OTHER, {"ETag": '"two"'}
    whole(get(url), tmp_path, OTHER)
    assert server.answers[-1] == 200


@pytest.mark.parametrize("headers", [{"X": "y"}, {"ETag": 'W/"weak"'}])
def test_without_a_sure_sign_it_begins_anew(site: Site, get: Get, tmp_path: Path, headers: dict[str, Any]) -> None:
    server = Changing(breaks=(1_500_000,), **headers)
    url = site.on("/x", server)
    with pytest.raises(Fault, match="connection_closed"):
        get(url)
    whole(get(url), tmp_path)
    assert server.answers == [200, 200]


def test_a_file_that_is_whole_is_not_sent_again(site: Site, get: Get, tmp_path: Path) -> None:
    server = Changing()
    url = site.on("/x", server)
    get(url)
    whole(get(url), tmp_path)
    assert server.answers == [200, 416] and server.sent == len(CONTENT)


def test_one_that_became_shorter_is_fetched_anew(site: Site, get: Get, tmp_path: Path) -> None:
    server = Changing()
    url = site.on("/x", server)
    get(url)
    server.content = CONTENT[:1000]
    whole(get(url), tmp_path, CONTENT[:1000])


@pytest.mark.parametrize("place", ["bytes 5-9/10", "bytes 1500000-1500009/7", "none"])
def test_another_part_than_was_asked_for(site: Site, get: Get, tmp_path: Path, place: str) -> None:
    first = Changing(breaks=(1_500_000, 0, 0, 0))
    url = site.on("/x", first)
    with pytest.raises(Fault):
        get(url)
    answers = [head("206 X", Content_Range=place, Content_Length="10", ETag=ETAG) + b"0123456789"]

    def odd(sock: socket.socket, request: str) -> None:
        if answers:
            sock.sendall(answers.pop())
        else:
            Changing()(sock, request)

    site.on("/x", odd)
    whole(get(url), tmp_path)
    assert "Range: bytes=1500000-" in site.requests[-2] and "Range:" not in site.requests[-1]


def test_what_lies_there_of_another_address_is_not_used(site: Site, get: Get, tmp_path: Path) -> None:
    get(site.file("/a", b"something else", ETag=ETAG))
    server = Changing()
    whole(get(site.on("/x", server)), tmp_path)
    assert server.answers == [200]


def test_a_part_without_its_note_is_not_trusted(site: Site, get: Get, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"nobody knows what")
    whole(get(site.on("/x", Changing())), tmp_path)


def test_two_never_write_at_once(site: Site, get: Get, tmp_path: Path) -> None:
    with (tmp_path / "file").open("wb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(Fault) as caught:
            get(site.on("/x", Changing()))
    assert (caught.value.code, caught.value.passing) == ("source_busy", True)


def test_headers_are_sent_and_written_down_nowhere(site: Site, get: Get, tmp_path: Path) -> None:
    get(site.on("/x", Changing()), headers={"Authorization": "Bearer secret", "User-Agent": "mine", "Host": "other"})
    assert "Authorization: Bearer secret" in site.requests[0] and "User-Agent: mine" in site.requests[0]
    assert f"Host: {site.host}:{site.port}" in site.requests[0]
    note = (tmp_path / "file.json").read_text()
    assert "secret" not in note and json.loads(note)["etag"] == ETAG


def test_headers_stay_with_their_origin(get: Get, site: Site) -> None:
    with Site() as other:
        away = other.file("/there", b"a,b\n1,2\n")
        url = site.redirect("/go", away)
        with pytest.raises(Fault, match="url_not_allowed"):  # not opened: and nothing was sent there
            get(url, headers={"X-Token": "secret"})
        assert other.requests == []
    site.file("/end", b"a,b\n")
    get(site.redirect("/here", "/end"), headers={"X-Token": "secret"})
    assert "secret" in site.requests[-1]


def test_bytes_are_asked_for_and_given_back(site: Site, get: Get) -> None:
    counts: list[int] = []
    get(site.on("/x", Changing()), allow=counts.append)
    assert sum(counts) == len(CONTENT)

    def refuse(count: int) -> None:
        counts.append(count)
        if count > 0:
            raise Fault("quota_fetched", limit=1)

    counts.clear()
    with pytest.raises(Fault, match="quota_fetched"):
        get(site.on("/y", Changing()), allow=refuse)
    assert len(counts) == 1
