"""Settings of the providers: which ones, and what each of them needs."""

import re
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationInfo, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

LOCAL_GATEWAYS = {"sms_gateway": "outbox", "mail_gateway": "outbox", "captcha_gateway": "altcha"}
SMS_WITHOUT_CODE = ("account_exists", "no_account", "account_changed")
SMS_PURPOSES = ("register", "login", "reset_password", "change_phone", *SMS_WITHOUT_CODE)
_ALIYUN = ("aliyun_access_key_id", "aliyun_access_key_secret")
# What a provider cannot work without, by (setting, its choice).
NEEDED = {
    ("sms_gateway", "aliyun"): (*_ALIYUN, "sms_sign_name", "sms_templates"),
    ("mail_gateway", "directmail"): (*_ALIYUN, "mail_from"),
    ("mail_gateway", "smtp"): ("mail_from", "smtp_host"),
    ("store_gateway", "s3"): ("s3_endpoint", "s3_bucket", "s3_access_key_id", "s3_secret_access_key"),
    ("captcha_gateway", "tencent"): (
        *("tencent_secret_id", "tencent_secret_key", "tencent_captcha_app_id", "tencent_captcha_app_secret"),
    ),
}
ALIAS_LENGTH = 14  # DirectMail's limit for the sender's name
LOOPBACK = ("127.0.0.1", "localhost", "::1")


class GatewaySettings(BaseSettings):
    """Providers of SMS, mail and captcha; what local mode chooses by itself must be named in production."""

    model_config = SettingsConfigDict(extra="ignore", hide_input_in_errors=True)

    portal_mode: Literal["local", "production"] = "production"

    sms_gateway: Literal["", "outbox", "aliyun"] = ""
    mail_gateway: Literal["", "outbox", "directmail", "smtp"] = ""
    captcha_gateway: Literal["", "altcha", "tencent"] = ""
    gateway_connect_seconds: float = Field(2, gt=0, le=30)
    gateway_read_seconds: float = Field(5, gt=0, le=60)
    captcha_read_seconds: float = Field(3, gt=0, le=30)
    aliyun_access_key_id: str = ""
    aliyun_access_key_secret: SecretStr = SecretStr("")
    aliyun_sms_endpoint: str = "dysmsapi.aliyuncs.com"
    aliyun_mail_endpoint: str = "dm.aliyuncs.com"
    sms_sign_name: str = ""
    sms_templates: dict[str, str] = {}
    mail_from: str = ""
    mail_from_name: str = Field("Data Station", max_length=64)
    smtp_host: str = ""
    smtp_port: int = Field(587, ge=1, le=65_535)
    smtp_security: Literal["starttls", "ssl", "none"] = "starttls"
    smtp_username: str = ""
    smtp_password: SecretStr = SecretStr("")
    tencent_secret_id: str = ""
    tencent_secret_key: SecretStr = SecretStr("")
    tencent_captcha_app_id: int = Field(0, ge=0)
    tencent_captcha_app_secret: SecretStr = SecretStr("")
    tencent_endpoint: str = "captcha.tencentcloudapi.com"
    tencent_script_url: str = "https://turing.captcha.qcloud.com/TJCaptcha.js"
    captcha_cost: int = Field(5000, ge=100, le=100_000)

    store_gateway: Literal["folder", "s3"] = "folder"
    s3_endpoint: str = ""
    s3_region: str = ""
    s3_bucket: str = ""
    s3_prefix: str = ""
    s3_access_key_id: str = ""
    s3_secret_access_key: SecretStr = SecretStr("")
    s3_virtual_hosted: bool = False
    s3_read_seconds: float = Field(60, gt=0)
    store_cache_bytes: int = Field(10 * 1024**3, ge=0)

    @field_validator("aliyun_sms_endpoint", "aliyun_mail_endpoint", "tencent_endpoint", "s3_endpoint")
    @classmethod
    def _encrypted(cls, value: str, info: ValidationInfo) -> str:
        if not value and info.field_name == "s3_endpoint":
            return value
        scheme, _, address = value.rpartition("://")
        host = urlsplit(f"//{address}").hostname
        if not host or "/" in address.rstrip("/") or scheme not in ("", "http", "https"):
            raise ValueError("must be host or host:port")
        # Keys sign requests, but numbers and codes in them can be read.
        if scheme == "http" and host not in LOOPBACK:
            raise ValueError("may be http:// on this machine only")
        return value

    @field_validator("tencent_script_url")
    @classmethod
    def _script(cls, value: str) -> str:
        # Its origin becomes part of the content security policy.
        if not re.fullmatch(r"https?://[\w.:\[\]-]+/[\w./%?=&-]*", value, re.ASCII):
            raise ValueError("must be an https:// address")
        return value

    @field_validator("mail_from_name")
    @classmethod
    def _one_line(cls, value: str) -> str:
        if not value.isprintable():
            raise ValueError("must be one line")
        return value

    @field_validator("mail_from")
    @classmethod
    def _sender(cls, value: str) -> str:
        if value and not re.fullmatch(r"[^@\s<>]+@[^@\s<>]+", value, re.ASCII):
            raise ValueError("must be an e-mail address")
        return value

    @field_validator("sms_templates")
    @classmethod
    def _every_purpose(cls, value: dict[str, str]) -> dict[str, str]:
        missing = [purpose for purpose in SMS_PURPOSES if not value.get(purpose)]
        if value and missing:
            raise ValueError(f"lacks a template for {', '.join(missing)}")
        return value

    @model_validator(mode="after")
    def _chosen_and_whole(self) -> "GatewaySettings":
        for name, gateway in LOCAL_GATEWAYS.items():
            if not getattr(self, name):
                if not self.is_local:
                    raise ValueError(f"{name.upper()} must be chosen by name in production")
                setattr(self, name, gateway)
        for (name, choice), needed in NEEDED.items():
            missing = [setting.upper() for setting in needed if not self._said(setting)]
            if getattr(self, name) == choice and missing:
                raise ValueError(f"{name.upper()}={choice} needs {', '.join(missing)}")
        if self.mail_gateway == "directmail" and len(self.mail_from_name) > ALIAS_LENGTH:
            raise ValueError(f"MAIL_FROM_NAME may have {ALIAS_LENGTH} characters with DirectMail")
        if self.smtp_security == "none" and self.smtp_username and not self.is_local:
            raise ValueError("SMTP_SECURITY=none would show SMTP_PASSWORD to the network")
        return self

    def _said(self, setting: str) -> bool:
        value = getattr(self, setting)
        return bool(value.get_secret_value() if isinstance(value, SecretStr) else value)

    @property
    def is_local(self) -> bool:
        return self.portal_mode == "local"
