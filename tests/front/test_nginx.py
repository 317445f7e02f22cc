"""deploy/nginx.conf, started before the front as it stands but for addresses and the certificate."""

import http.client
import json
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from apiflask import APIFlask

from portal.local.ports import free_port
from tests import certificate
from tests.front.conftest import ROOT, Front, started, until

NGINX = shutil.which("nginx")
pytestmark = pytest.mark.skipif(NGINX is None, reason="nginx is not installed (apt-get install nginx-light)")


class Proxy:
    def __init__(self, port: int, authority: Path, front: Front) -> None:
        self.port, self.front = port, front
        self.tls = ssl.create_default_context(cafile=str(authority))

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, bytes]:
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=20, context=self.tls)
        with closing(connection):
            given = {"Host": "data.example.com", **{name.replace("_", "-"): value for name, value in headers.items()}}
            connection.request(method, path, body, given)
            answer = connection.getresponse()
            return answer.status, answer.read()


@pytest.fixture(scope="module")
def proxy(whole_app: APIFlask, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    folder, port = tmp_path_factory.mktemp("nginx"), free_port()
    chain = folder / "both.pem"
    certificate.write(chain)
    more = {"TRUSTED_PROXIES": "1"}
    options = ("--app", "tests.front.hanging:app")
    with started(whole_app.extensions["settings"], tmp_path_factory.mktemp("front"), *options, **more) as front:
        text = (ROOT / "deploy/nginx.conf").read_text(encoding="utf-8")
        for found, put in {
            "listen 443 ": f"listen 127.0.0.1:{port} ",
            "listen 80;": f"listen 127.0.0.1:{free_port()};",
            "127.0.0.1:8000": f"127.0.0.1:{front.port}",
            "/etc/nginx/tls/fullchain.pem": str(chain),
            "/etc/nginx/tls/privkey.pem": str(chain),
            "/run/nginx.pid": str(folder / "pid"),
            "/var/log/nginx/error.log": str(folder / "error.log"),
        }.items():
            assert text.count(found) == 1, found
            text = text.replace(found, put)
        temporary = "".join(f"{kind}_temp_path {folder}/{kind};\n" for kind in KINDS)
        text = text.replace("http {\n", "http {\n" + temporary, 1)
        (folder / "nginx.conf").write_text(text, encoding="utf-8")
        argv = [str(NGINX), "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")]
        process = subprocess.Popen([*argv, "-g", "daemon off; master_process off;"])
        try:
            until((folder / "pid").exists)
            yield Proxy(port, chain, front)
        finally:
            process.terminate()
            process.wait(20)
        written = [path.name for kind in KINDS for path in (folder / kind).rglob("*") if path.is_file()]
        assert written == []  # no body was written down


KINDS = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


def test_the_portal_learns_who_asks_and_how(proxy: Proxy) -> None:
    forged = {"X_Forwarded_For": "203.0.113.9", "X_Forwarded_Proto": "ftp", "Forwarded": "for=x"}
    status, body = proxy.ask("GET", "/environ", **forged)
    seen = json.loads(body)
    assert status == 200
    assert seen["HTTP_X_FORWARDED_FOR"] == "203.0.113.9, 127.0.0.1"
    assert (seen["HTTP_X_FORWARDED_PROTO"], seen["HTTP_HOST"]) == ("https", "data.example.com")
    assert "HTTP_FORWARDED" not in seen
    assert seen["SERVER_PROTOCOL"] == "HTTP/1.1"


def test_bodies_arrive_and_large_ones_are_refused_with_a_reason(proxy: Proxy) -> None:
    assert json.loads(proxy.ask("POST", "/environ", b"x" * 200_000)[1])["body"] == 200_000
    status, body = proxy.ask("POST", "/environ", b"x" * 300_000)
    assert (status, json.loads(body)["code"]) == (413, "content_too_large")


def test_of_a_file_the_portal_sees_the_headers_first(proxy: Proxy) -> None:
    for path in ("/uploads/", "/api/v1/uploads"):
        connection = http.client.HTTPSConnection("127.0.0.1", proxy.port, timeout=20, context=proxy.tls)
        with closing(connection):
            connection.putrequest("POST", path, skip_host=True)
            connection.putheader("Host", "data.example.com")
            connection.putheader("Content-Length", str(2 * 1024**3))
            connection.endheaders()
            assert connection.getresponse().status == 200  # the application's answer, without a byte of the body


def test_an_over_long_address_is_explained_by_the_portal(proxy: Proxy) -> None:
    status, body = proxy.ask("GET", "/api/v1/tasks?q=" + "a" * 20_000)
    assert (status, json.loads(body)["code"]) == (414, "uri_too_long")
