"""Addresses: sent as they were given, shown without their secrets, and better ones for pages that only show a file."""

import socket
import time
from typing import Any

import pytest

from portal.engine import secret_parts
from portal.engine.guard import Policy, check_url
from portal.engine.redirects import followed
from portal.engine.share_pages import file_address
from portal.errors import Fault
from tests.engine.conftest import Fetch
from tests.engine.servers import Site, gz, head

BODY = b"a,b\n1,2\n"
SIGNED = (
    "/b/k.csv?X-Amz-Credential=AK%2F20260101%2Fr%2Fs3%2Faws4_request&X-Amz-SignedHeaders=host"
    "&response-content-disposition=attachment%3B%20filename%2A%3DUTF-8%27%27a.csv&x=&y&{z}=^`|&X-Amz-Signature=00ff"
)


def test_a_signed_address_is_asked_once_and_byte_for_byte(site: Site, fetch: Fetch) -> None:
    fetch(site.file(SIGNED, BODY))
    assert [request.split("\r\n")[0] for request in site.requests] == [f"GET {SIGNED} HTTP/1.1"]


@pytest.mark.parametrize("to", [SIGNED, "http://{here}" + SIGNED, "//{here}" + SIGNED])
def test_so_it_is_behind_a_redirect(site: Site, fetch: Fetch, to: str) -> None:
    site.file(SIGNED, BODY)
    fetch(site.redirect("/go?x=1", to.replace("{here}", f"{site.host}:{site.port}")))
    assert site.requests[1].split("\r\n")[0] == f"GET {SIGNED} HTTP/1.1"


@pytest.mark.parametrize(
    ("location", "leads_to"),
    [
        ("/x/y?a=%2F&b", "http://h.com/x/y?a=%2F&b"),
        ("z.csv", "http://h.com/a//b/z.csv"),
        ("../z.csv?/../x", "http://h.com/a//z.csv?/../x"),
        ("./", "http://h.com/a//b/"),
        ("../../../../z", "http://h.com/z"),
        ("?q=2", "http://h.com/a//b/c?q=2"),
        ("#top", "http://h.com/a//b/c?q=1"),
        ("/x?", "http://h.com/x?"),
        ("//k.com/x", "http://k.com/x"),
        ("https://k.com/a/../b;c?d#e", "https://k.com/a/../b;c?d"),
        (" \t/x ", "http://h.com/x"),
        ("javascript:alert(1)", "javascript:alert(1)"),  # which the guard refuses
    ],
)
def test_where_a_location_leads(location: str, leads_to: str) -> None:
    assert followed(check_url("http://h.com/a//b/c?q=1", Policy()), location) == leads_to


@pytest.mark.parametrize(
    ("encoding", "path"),
    [("utf-8", "/%E6%95%B0%E6%8D%AE/%E6%9C%88%20%E5%85%85"), ("gbk", "/%CA%FD%BE%DD/%D4%C2%20%B3%E4")],
)
def test_raw_bytes_in_a_location(site: Site, fetch: Fetch, encoding: str, path: str) -> None:
    """The last byte, in UTF-8, is one that looks like a space in Latin-1."""
    site.file(path, BODY)
    to = head("302 Found", Content_Length="0")[:-2] + b"Location: " + "/数据/月 充".encode(encoding) + b"\r\n\r\n"
    assert fetch(site.on("/go", lambda sock, _: sock.sendall(to))).rows == 1


@pytest.mark.parametrize(
    ("status", "code", "expired"),
    [("403 No", "http_forbidden", True), ("401 No", "http_forbidden", True), ("400 No", "http_status", True),
     ("404 No", "http_not_found", False), ("500 No", "http_status", False)],
)  # fmt: skip
@pytest.mark.parametrize(
    "query", ["X-Amz-Signature=1", "sig=a%2B", "Signature=1", "sign=x", "q-signature=1", "token=1"]
)
def test_a_signed_link_may_have_expired(
    site: Site, fetch: Fetch, query: str, status: str, code: str, expired: bool
) -> None:
    with pytest.raises(Fault) as caught:
        fetch(site.file(f"/x?{query}", b"", status))
    assert caught.value.code == code
    assert caught.value.params == {"status": int(status[:3])} | ({"reason": "expired"} if expired else {})


def test_an_address_without_a_signature_has_not(site: Site, fetch: Fetch) -> None:
    with pytest.raises(Fault) as caught:
        fetch(site.file("/x?design=1&assign=2&signal=3&year=2026", b"", "403 No"))
    assert caught.value.params == {"status": 403}


SECRETS = (
    "X-Amz-Signature x-amz-security-token X-Amz-Credential X-Goog-Signature X-Goog-Credential sig "
    "Signature OSSAccessKeyId x-oss-signature security-token q-signature q-ak Key-Pair-Id Policy "
    "GoogleAccessId auth_key token access_token api_key apikey X-API-Key key password pwd secret "
    "client_secret rlkey resourcekey jwt private_token sign txSecret sessionid %73ig SIG "
    "__token__ __gda__ _upt verify tempauth appkey registrationkey"
)
RANDOM = ["h=0123456789abcdef0123456789abcdef", "a=1&x=eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"]
WITHIN = [
    "hdnts=exp=1~acl=/*~hmac=z9",
    "url=https%3A%2F%2Fh.com%2Fx%3Fsig%3Dz9",
    "url=https%253A%252F%252Fh.com%252Fx%253Fa%253D1%2526sig%253Dz9",
    "url=http://h.com/x?sig=z9",
    "a=%25252525253Dz9",
]


@pytest.mark.parametrize("query", [*(f"{name}=z9" for name in SECRETS.split()), *RANDOM, *WITHIN])
@pytest.mark.parametrize("mark", ["?", "?year=2026&", "#", "?a=1;"])
def test_secrets_are_not_shown(mark: str, query: str) -> None:
    shown = secret_parts.shown(f"https://h.com/x.csv{mark}{query}")
    assert query.rpartition("=")[2] not in shown and shown.endswith("=…")
    assert secret_parts.is_hidden(shown) and secret_parts.shown(shown) == shown
    assert secret_parts.is_hidden(shown.replace("…", "%E2%80%A6"))


@pytest.mark.parametrize("mark", ["?", "?year=2026&", "#"])
@pytest.mark.parametrize("token", ["0123456789abcdef0123456789abcdef", "QWxhZGRpbjpvcGVuIHNlc2FtZQ0123456789=="])
def test_one_that_has_no_name(mark: str, token: str) -> None:
    shown = secret_parts.shown(f"https://h.com/x.csv{mark}{token}")
    assert shown == f"https://h.com/x.csv{mark}…" and secret_parts.is_hidden(shown)


@pytest.mark.parametrize(
    "address",
    [
        "https://h.com/x.csv",
        "https://h.com/x.csv?year=2026&format=csv&code=CN&keyword=a&monkey=1&design=2&sig=",
        "https://h.com/x.csv?download&a==&b&where=year=2026,month=1&q=SELECT+*+FROM+t",
        "https://h.com/x.csv?$filter=a eq 'b'&u=http%3A%2F%2Fk.com",
        "https://docs.google.com/spreadsheets/d/1BxiMVs0XRA5nFMdKvBdBZjgmUUqptlbs74OgvE2upms/export?format=csv&gid=0",
        "https://drive.usercontent.google.com/download?id=1BxiMVs0XRA5nFMdKvBdBZjgmUUqptlbs74OgvE2upms&export=download",
        "https://raw.example.com/0123456789abcdef0123456789abcdef01234567/x.csv",
    ],
)
def test_what_is_no_secret_is_shown(address: str) -> None:
    assert secret_parts.shown(address) == address and not secret_parts.is_hidden(address)


@pytest.mark.parametrize(
    ("shared", "file"),
    [
        ("https://github.com/o/r/blob/main/d/x.csv?plain=1#L3", "https://github.com/o/r/raw/main/d/x.csv"),
        ("https://gist.github.com/u/0123456789abcdef0123", "https://gist.github.com/u/0123456789abcdef0123/raw"),
        ("https://gitee.com/o/r/blob/master/x.csv", "https://gitee.com/o/r/raw/master/x.csv"),
        ("https://gitlab.com/g/s/p/-/blob/main/x.csv?ref_type=heads", "https://gitlab.com/g/s/p/-/raw/main/x.csv?ref_type=heads"),
        ("https://git.example.org/g/p/-/blob/v1/x.csv", "https://git.example.org/g/p/-/raw/v1/x.csv"),
        ("https://gitlab.com/g/p/blob/main/x.csv", "https://gitlab.com/g/p/-/raw/main/x.csv"),
        ("https://huggingface.co/datasets/o/r/blob/main/d/x.parquet", "https://huggingface.co/datasets/o/r/resolve/main/d/x.parquet"),
        ("https://huggingface.co/datasets/o/r/raw/main/x.csv", "https://huggingface.co/datasets/o/r/resolve/main/x.csv"),
        ("https://huggingface.co/gpt2/blob/main/x.json", "https://huggingface.co/gpt2/resolve/main/x.json"),
        ("https://www.modelscope.cn/datasets/o/n/file/view/master/d%2Fx.csv?id=1&status=2", "https://www.modelscope.cn/datasets/o/n/resolve/master/d/x.csv"),
        ("https://modelscope.cn/models/o/n/file/view/master/x.json", "https://modelscope.cn/models/o/n/resolve/master/x.json"),
        ("https://docs.google.com/spreadsheets/d/1A-b_c/edit?usp=sharing#gid=12", "https://docs.google.com/spreadsheets/d/1A-b_c/export?gid=12&format=csv"),
        ("https://docs.google.com/spreadsheets/u/0/d/1A/htmlview", "https://docs.google.com/spreadsheets/d/1A/export?format=csv"),
        ("https://docs.google.com/spreadsheets/d/e/2PACX-1v/pubhtml?gid=3", "https://docs.google.com/spreadsheets/d/e/2PACX-1v/pub?gid=3&single=true&output=csv"),
        ("https://drive.google.com/file/d/1X/view?usp=sharing&resourcekey=0-k", "https://drive.usercontent.google.com/download?id=1X&resourcekey=0-k&export=download&confirm=t"),
        ("https://drive.google.com/open?id=1X", "https://drive.usercontent.google.com/download?id=1X&export=download&confirm=t"),
        ("https://drive.google.com/uc?export=download&id=1X", "https://drive.usercontent.google.com/download?id=1X&export=download&confirm=t"),
        ("https://www.dropbox.com/s/abc/x.csv?dl=0", "https://www.dropbox.com/s/abc/x.csv?dl=1"),
        ("https://www.dropbox.com/scl/fi/abc/x.csv?rlkey=zz&dl=0", "https://www.dropbox.com/scl/fi/abc/x.csv?rlkey=zz&dl=1"),
        ("https://github.com/o/r", None),
        ("https://github.com/o/r/raw/main/x.csv", None),
        ("https://github.com.example.com/o/r/blob/main/x.csv", None),
        ("https://user@github.com/o/r/blob/main/x.csv", None),
        ("https://example.com/https://github.com/o/r/blob/main/x.csv", None),
        ("https://docs.google.com/spreadsheets/d/1A/export?format=csv", None),
        ("https://drive.google.com/drive/folders/1X", None),
        ("ftp://github.com/o/r/blob/main/x.csv", None),
        ("http://[::1/o", None),
    ],
)  # fmt: skip
def test_the_file_of_a_share_page(shared: str, file: str | None) -> None:
    assert file_address(shared) == file
    assert file is None or check_url(file, Policy()).url == file


def page(title: str = "", body: str = "", status: str = "200 OK", **headers: str) -> Any:
    html = f"<!doctype html><html><head><title>{title}</title></head><body>{body}</body></html>".encode()
    return lambda sock, _: sock.sendall(head(status, Content_Length=str(len(html)), **headers) + html)


def fault_of(fetch: Fetch, url: str, **said: Any) -> Fault:
    with pytest.raises(Fault) as caught:
        fetch(url, **said)
    return caught.value


@pytest.mark.parametrize(
    "place", ["/login?next=%2Fx&ticket=s", "/users/sign_in", "/cas/login", "/UserLogin.do", "/oauth2/x"]
)
def test_a_redirect_to_a_log_in(site: Site, fetch: Fetch, place: str) -> None:
    site.on(place, page("Our data"))
    fault = fault_of(fetch, site.redirect("/x.csv", place))
    assert (fault.code, dict(fault.params)) == (
        "not_data",
        {"found": "html", "reason": "login", "login": site.url(place.partition("?")[0])},
    )


def test_a_session_in_the_path_of_a_log_in_is_not_shown(site: Site, fetch: Fetch) -> None:
    site.on("/login;jsessionid=z9", page("Our data"))
    fault = fault_of(fetch, site.redirect("/x.csv", "/login;jsessionid=z9"))
    assert fault.params["login"] == site.url("/login;jsessionid=…")


@pytest.mark.parametrize(
    ("title", "body"),
    [
        ("Sign in · GitLab", ""),
        ("用户登录", ""),
        ("ログイン", ""),
        ("Anmelden", ""),
        ("Our data", "<input name=p type='password'>"),
    ],
)
def test_a_log_in_without_a_redirect(site: Site, fetch: Fetch, title: str, body: str) -> None:
    url = site.on("/x.csv", page(title, body))
    assert fault_of(fetch, url).params["login"] == url
    assert fault_of(fetch, url, format="csv").params == {
        "said": "csv", "found": "html", "reason": "login", "login": url,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("title", "body"),
    [("Rates", ""), ("Blogin the blog", ""), ("News", "<a href=x>x</a>" * 50 + "<input type=password>")],
)
def test_another_page(site: Site, fetch: Fetch, title: str, body: str) -> None:
    site.on("/catalog.html", page(title, body))
    assert fault_of(fetch, site.redirect("/x.csv", "/catalog.html")).params == {"found": "html"}


@pytest.mark.parametrize("piece", ["<title", "<title>", "<input ", "<input type", "<input type=", "<a ", "log"])
def test_a_page_of_beginnings_holds_nobody(site: Site, fetch: Fetch, piece: str) -> None:
    url = site.file("/x.csv", b"<!doctype html>" + piece.encode() * (256 * 1024 // len(piece)))
    began = time.process_time()
    fault_of(fetch, url)
    assert time.process_time() - began < 5


@pytest.mark.parametrize("status", ["200 OK", "403 Forbidden", "404 Not Found", "429 Busy"])
def test_a_share_page_offers_its_file(site: Site, fetch: Fetch, status: str) -> None:
    fault = fault_of(fetch, site.on("/g/p/-/blob/main/x.csv", page("x.csv", "", status)))
    assert fault.params["offered"] == site.url("/g/p/-/raw/main/x.csv")
    assert fault.params["reason"] == "share_page"


def test_one_that_wants_a_log_in_says_both(site: Site, fetch: Fetch) -> None:
    site.on("/users/sign_in", page("Sign in"))
    fault = fault_of(fetch, site.redirect("/g/p/-/blob/main/x.csv", "/users/sign_in"))
    assert (fault.params["reason"], fault.params["offered"]) == ("login", site.url("/g/p/-/raw/main/x.csv"))


@pytest.mark.parametrize(
    "coding", ["utf-8", "UTF8", "none", "binary", "8bit", "7bit", "aws-chunked", "text/csv", "gb2312"]
)
def test_a_coding_that_codes_nothing(site: Site, fetch: Fetch, coding: str) -> None:
    done = fetch(site.file("/x", BODY, Content_Encoding=coding))
    assert (done.rows, done.found["ignored_codings"]) == (1, [coding.lower()])


@pytest.mark.parametrize("coding", ["", "identity", "gzip", "gzip, gzip", "x-gzip", "GZIP", "identity, gzip", "zstd"])
@pytest.mark.parametrize("times", [0, 1, 2])
def test_a_coding_is_believed_where_the_bytes_say_so(site: Site, fetch: Fetch, coding: str, times: int) -> None:
    body = BODY
    for _ in range(times):
        body = gz(body)
    done = fetch(site.file("/x", body, Content_Encoding=coding))
    assert done.rows == 1 and "ignored_codings" not in done.found


@pytest.mark.parametrize("coding", ["br", "deflate", "compress", "gzip, br"])
def test_a_coding_that_is_not_undone(site: Site, fetch: Fetch, coding: str) -> None:
    fault = fault_of(fetch, site.file("/x", BODY, Content_Encoding=coding))
    assert (fault.code, fault.params["found"]) == ("format_not_supported", coding.rpartition(" ")[2])


def test_a_length_that_was_never_said(site: Site, fetch: Fetch) -> None:
    def until_the_end(sock: socket.socket, _: str) -> None:
        sock.sendall(head() + BODY)

    assert fetch(site.on("/x", until_the_end)).found["unsized"] is True
