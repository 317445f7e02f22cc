"""Settings that are missing, weak or wrong stop the start, by name."""

import secrets
from pathlib import Path

import pytest
from pydantic import ValidationError

from portal.config import Settings

KEYS = {name: secrets.token_urlsafe(40) for name in ("SECRET_KEY", "JWT_SECRET_KEY", "PASSWORD_KEY")}
GOOD = {**KEYS, "DATABASE_URL": "postgresql://u:p@h/d", "REDIS_URL": "redis://h"}
CHOSEN = {
    "PUBLIC_URL": "https://data.example.com",
    "SMS_GATEWAY": "outbox",
    "MAIL_GATEWAY": "outbox",
    "CAPTCHA_GATEWAY": "altcha",
}


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """None of this machine's own settings."""
    monkeypatch.chdir(tmp_path)
    for name in (*Settings.model_fields, "DATABASE_URL", "REDIS_URL"):
        monkeypatch.delenv(name.upper(), raising=False)


def load(monkeypatch: pytest.MonkeyPatch, env: dict[str, str]) -> Settings:
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    return Settings()


def test_production_starts_with_gateways_chosen_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load(monkeypatch, {**GOOD, **CHOSEN})
    assert not settings.is_local
    assert settings.database_url == "postgresql+psycopg2://u:p@h/d"


def test_local_mode_chooses_its_gateways(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load(monkeypatch, {**GOOD, "PORTAL_MODE": "local", "FETCH_ALLOW_HOSTS": "a.test:80, [::1]:8080"})
    chosen = settings.sms_gateway, settings.mail_gateway, settings.captcha_gateway
    assert chosen == ("outbox", "outbox", "altcha")
    assert settings.allowed_targets == {("a.test", 80), ("::1", 8080)}


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"SECRET_KEY": "short"}, "secret_key"),
        ({"SECRET_KEY": "a" * 64}, "secret_key"),
        ({"JWT_SECRET_KEY": KEYS["SECRET_KEY"]}, "must differ"),
        ({"DATABASE_URL": "sqlite://"}, "database_url"),
        ({"SMS_GATEWAY": ""}, "SMS_GATEWAY"),
        ({"MAIL_GATEWAY": ""}, "MAIL_GATEWAY"),
        ({"CAPTCHA_GATEWAY": ""}, "CAPTCHA_GATEWAY"),
        ({"FETCH_ALLOW_HOSTS": "example.com"}, "fetch_allow_hosts"),
        ({"FETCH_PORTS": "80,abc"}, "fetch_ports"),
        ({"REDIS_URL": "localhost"}, "redis_url"),
        ({"TIME_ZONE": "Mars/Olympus"}, "time_zone"),
        ({"TRUSTED_PROXIES": "-1"}, "trusted_proxies"),
    ],
)
def test_what_is_wrong_is_named_and_never_shown(
    monkeypatch: pytest.MonkeyPatch, change: dict[str, str], named: str
) -> None:
    with pytest.raises(ValidationError) as refused:
        load(monkeypatch, {**GOOD, **CHOSEN, **change})
    assert named in str(refused.value)
    assert not any(key in str(refused.value) for key in KEYS.values())


@pytest.mark.parametrize("name", GOOD)
def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    with pytest.raises(ValidationError) as refused:
        load(monkeypatch, {key: value for key, value in {**GOOD, **CHOSEN}.items() if key != name})
    assert name.lower() in str(refused.value)
