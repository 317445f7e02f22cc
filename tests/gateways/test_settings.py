"""What a chosen provider needs is asked for at the start, by name."""

import json
import secrets
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from portal.config import Settings
from portal.config.gateways import NEEDED, SMS_PURPOSES
from portal.gateways import build
from portal.gateways.aliyun import AliyunSms, DirectMail
from portal.gateways.captcha import AltchaCaptcha
from portal.gateways.outbox import OutboxMail, OutboxSms
from portal.gateways.smtp import SmtpMail
from portal.gateways.tencent import TencentCaptcha

GOOD = {
    **{name: secrets.token_urlsafe(40) for name in ("SECRET_KEY", "JWT_SECRET_KEY", "PASSWORD_KEY")},
    "DATABASE_URL": "postgresql://h/d",
    "REDIS_URL": "redis://h",
    "PUBLIC_URL": "https://data.example.com",
    "ALIYUN_ACCESS_KEY_ID": "LTAItest",
    "ALIYUN_ACCESS_KEY_SECRET": "secret-of-aliyun",
    "SMS_SIGN_NAME": "数据站",
    "SMS_TEMPLATES": json.dumps(dict.fromkeys(SMS_PURPOSES, "SMS_1")),
    "MAIL_FROM": "no-reply@ds.example",
    "SMTP_HOST": "smtp.ds.example",
    "TENCENT_SECRET_ID": "AKIDtest",
    "TENCENT_SECRET_KEY": "secret-of-tencent",
    "TENCENT_CAPTCHA_APP_ID": "199999",
    "TENCENT_CAPTCHA_APP_SECRET": "secret-of-the-captcha",
    "SMS_GATEWAY": "aliyun",
    "MAIL_GATEWAY": "directmail",
    "CAPTCHA_GATEWAY": "tencent",
}
SECRETS = [name.upper() for name, field in Settings.model_fields.items() if field.annotation is SecretStr]


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """None of this machine's own settings."""
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


def load(monkeypatch: pytest.MonkeyPatch, **changed: str) -> Settings:
    for name, value in {**GOOD, **changed}.items():
        monkeypatch.setenv(name, value)
    return Settings()


@pytest.mark.parametrize(
    ("changed", "classes"),
    [
        ({}, (AliyunSms, DirectMail, TencentCaptcha)),
        ({"MAIL_GATEWAY": "smtp"}, (AliyunSms, SmtpMail, TencentCaptcha)),
        (
            {"SMS_GATEWAY": "outbox", "MAIL_GATEWAY": "outbox", "CAPTCHA_GATEWAY": "altcha"},
            (OutboxSms, OutboxMail, AltchaCaptcha),
        ),
    ],
)
def test_the_settings_choose(
    monkeypatch: pytest.MonkeyPatch, changed: dict[str, str], classes: tuple[type[Any], ...]
) -> None:
    gateways = build(load(monkeypatch, **changed))
    assert (type(gateways.sms), type(gateways.mail), type(gateways.captcha)) == classes
    assert gateways.outbox is None


NEEDS = [(setting, choice, name) for (setting, choice), names in NEEDED.items() for name in names]


@pytest.mark.parametrize(("setting", "choice", "name"), NEEDS)
def test_what_is_needed_is_named(monkeypatch: pytest.MonkeyPatch, setting: str, choice: str, name: str) -> None:
    empty = {"sms_templates": "{}", "tencent_captcha_app_id": "0"}.get(name, "")
    with pytest.raises(ValidationError) as refused:
        load(monkeypatch, **{setting.upper(): choice, name.upper(): empty})
    assert name.upper() in str(refused.value)
    assert not any(GOOD[secret] in str(refused.value) for secret in SECRETS if secret in GOOD)


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"SMS_TEMPLATES": '{"login": "SMS_1"}'}, "lacks a template for register, reset_password"),
        ({"SMS_TEMPLATES": json.dumps({"login": 1})}, "sms_templates"),
        ({"ALIYUN_SMS_ENDPOINT": "http://dysmsapi.aliyuncs.com"}, "this machine only"),
        ({"ALIYUN_MAIL_ENDPOINT": "http://127.0.0.1.example.com"}, "this machine only"),
        ({"TENCENT_ENDPOINT": "https://h/path"}, "tencent_endpoint"),
        ({"TENCENT_ENDPOINT": "ftp://h"}, "tencent_endpoint"),
        ({"TENCENT_SCRIPT_URL": "//h/x.js"}, "tencent_script_url"),
        ({"TENCENT_SCRIPT_URL": "https://h/x.js; script-src *"}, "tencent_script_url"),
        ({"MAIL_FROM": "nobody"}, "mail_from"),
        ({"MAIL_FROM_NAME": "A name too long"}, "MAIL_FROM_NAME"),
        ({"MAIL_FROM_NAME": "A\nBcc: x"}, "mail_from_name"),
        (
            {"MAIL_GATEWAY": "smtp", "SMTP_SECURITY": "none", "SMTP_USERNAME": "u", "SMTP_PASSWORD": "p"},
            "SMTP_SECURITY",
        ),
        ({"SMS_GATEWAY": "pigeon"}, "sms_gateway"),
        ({"GATEWAY_READ_SECONDS": "0"}, "gateway_read_seconds"),
    ],
)
def test_what_is_wrong_is_named(monkeypatch: pytest.MonkeyPatch, changed: dict[str, str], named: str) -> None:
    with pytest.raises(ValidationError) as refused:
        load(monkeypatch, **changed)
    assert named in str(refused.value)
