"""TLS: the certificate must be valid for the name, whatever address is connected to."""

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from portal.engine.download import Limits, download
from portal.engine.guard import Policy
from portal.engine.stop import Stop
from portal.errors import Fault, Stopped
from tests.certificate import write
from tests.engine.servers import Site, head


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for 127.0.0.1 with its key, in one file."""
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    write(path)
    return path


@pytest.fixture
def secure(certificate: Path) -> Iterator[Site]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with Site(context=context) as site:
        yield site


@pytest.fixture
def trusted(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))


def get(url: str, port: int, path: Path, limits: Limits, stop: Stop, host: str = "127.0.0.1") -> int:
    policy = Policy(frozenset({(host, port)}))
    return download(url, path, policy=policy, limits=limits, stop=stop, report=lambda *_: None).bytes


def test_a_valid_certificate(secure: Site, trusted: None, tmp_path: Path, limits: Limits, stop: Stop) -> None:
    assert get(secure.file("/x", b"a,b\n"), secure.port, tmp_path / "f", limits, stop) == 4


def test_a_certificate_nobody_vouches_for(secure: Site, tmp_path: Path, limits: Limits, stop: Stop) -> None:
    with pytest.raises(Fault) as caught:
        get(secure.file("/x", b"a,b\n"), secure.port, tmp_path / "f", limits, stop)
    assert (caught.value.code, caught.value.passing) == ("tls_failed", False)
    assert caught.value.params == {"reason": "self-signed certificate"}
    assert secure.requests == []


def test_a_certificate_for_another_name(
    secure: Site, trusted: None, tmp_path: Path, limits: Limits, stop: Stop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def getaddrinfo(host: str, port: int, **_: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    with pytest.raises(Fault) as caught:
        get(f"https://data.example:{secure.port}/x", secure.port, tmp_path / "f", limits, stop, "data.example")
    assert caught.value.code == "tls_failed"
    assert "data.example" in caught.value.params["reason"]


def test_a_server_that_speaks_no_tls(tmp_path: Path, limits: Limits, stop: Stop) -> None:
    def answer(server: socket.socket) -> None:
        sock, _ = server.accept()
        with sock:
            sock.recv(100)
            sock.sendall(b"HTTP/1.1 400 Bad\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        threading.Thread(target=answer, args=(server,), daemon=True).start()
        with pytest.raises(Fault) as caught:
            get(f"https://127.0.0.1:{port}/", port, tmp_path / "f", limits, stop)
    assert (caught.value.code, caught.value.passing) == ("tls_failed", True)


def test_never_from_https_to_http(
    secure: Site, site: Site, trusted: None, tmp_path: Path, limits: Limits, stop: Stop
) -> None:
    url = secure.redirect("/x", site.file("/y", b"a\n"))
    policy = Policy(frozenset({("127.0.0.1", secure.port), ("127.0.0.1", site.port)}))
    with pytest.raises(Fault) as caught:
        download(url, tmp_path / "f", policy=policy, limits=limits, stop=stop, report=lambda *_: None)
    assert (caught.value.code, site.requests) == ("redirect_insecure", [])


def test_stop_breaks_off_a_blocked_read(
    secure: Site, trusted: None, tmp_path: Path, limits: Limits, stop: Stop
) -> None:
    def hang(sock: socket.socket, _: str) -> None:
        sock.sendall(head(Content_Length="99") + b"id")
        threading.Timer(0.1, stop.set).start()
        secure.released.wait(10)

    began = time.monotonic()
    with pytest.raises(Stopped):
        get(secure.on("/x", hang), secure.port, tmp_path / "f", Limits(), stop)
    assert time.monotonic() - began < 2
