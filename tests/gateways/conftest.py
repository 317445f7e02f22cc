"""Every provider against a stand-in that checks what the real one checks."""

import logging
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from loguru import logger

from portal.config import Settings
from portal.gateways import Gateways, build
from tests.cloud import Cloud
from tests.gateways.post_office import PostOffice

Make = Callable[..., Gateways]
CONNECT_SECONDS = READ_SECONDS = 0.4


@pytest.fixture(autouse=True)
def direct(monkeypatch: pytest.MonkeyPatch) -> None:
    """Aliyun's SDKs would ask a proxy even for the loopback."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    with Cloud() as running:
        yield running


@pytest.fixture
def office() -> Iterator[PostOffice]:
    with PostOffice() as running:
        yield running


@pytest.fixture
def make(cloud: Cloud, tmp_path: Path) -> Make:
    """`make(**settings)`: the gateways of a portal in production; those of the cloud unless another is named."""

    def gateways(**changed: Any) -> Gateways:
        keys = {name: secrets.token_urlsafe(40) for name in ("secret_key", "jwt_secret_key", "password_key")}
        base = {"database_url": "postgresql://h/d", "redis_url": "redis://h", "instance_path": tmp_path}
        base["public_url"] = "https://data.example.com"
        patience = {
            "gateway_connect_seconds": CONNECT_SECONDS,
            "gateway_read_seconds": READ_SECONDS,
            "captcha_read_seconds": READ_SECONDS,
        }
        return build(Settings(**{**keys, **base, **patience, "captcha_cost": 100, **cloud.settings(), **changed}))

    return gateways


@pytest.fixture
def mailer(office: PostOffice) -> dict[str, Any]:
    """Settings of mail that goes to the office."""
    return {"mail_gateway": "smtp", "smtp_host": "127.0.0.1", "smtp_port": office.port, "smtp_security": "none"}


class _Into(logging.Handler):
    def __init__(self, lines: list[str]) -> None:
        super().__init__(level=0)
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        self._lines.append(self.format(record))


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Everything that anybody logs at any level, traces included."""
    lines: list[str] = []
    number = logger.add(
        lambda message: lines.append(str(message)),
        level=0,
        backtrace=True,
        diagnose=False,
        format="{level} {message} {extra} {exception}",
    )
    handler, root = _Into(lines), logging.getLogger()
    monkeypatch.setenv("DEBUG", "sdk")  # Aliyun's SDKs write whole requests then
    before = root.level
    root.setLevel(logging.DEBUG)
    root.addHandler(handler)
    yield lines
    root.removeHandler(handler)
    root.setLevel(before)
    logger.remove(number)
