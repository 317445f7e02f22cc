"""Settings, typed, from the environment; a missing or weak one is refused at start. Their table: docs/operating.md."""

import hashlib
import hmac
import re
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit
from zoneinfo import available_timezones

from pydantic import BeforeValidator, Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from portal.limits import BODY_BYTES, BROWSER_SESSION_SECONDS

MIN_SECRET = 32
LOCAL_GATEWAYS = {"sms_gateway": "outbox", "mail_gateway": "outbox", "captcha_gateway": "altcha"}
SMS_PURPOSES = ("register", "login", "reset_password", "change_phone", "account_exists", "no_account")
_ALIYUN = ("aliyun_access_key_id", "aliyun_access_key_secret")
# What a provider cannot work without, by (setting, its choice).
NEEDED = {
    ("sms_gateway", "aliyun"): (*_ALIYUN, "sms_sign_name", "sms_templates"),
    ("mail_gateway", "directmail"): (*_ALIYUN, "mail_from"),
    ("mail_gateway", "smtp"): ("mail_from", "smtp_host"),
    ("captcha_gateway", "tencent"): (
        *("tencent_secret_id", "tencent_secret_key", "tencent_captcha_app_id", "tencent_captcha_app_secret"),
    ),
}
ALIAS_LENGTH = 14  # DirectMail's limit for the sender's name
LOOPBACK = ("127.0.0.1", "localhost", "::1")


def _split(value: Any) -> Any:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


Listed = Annotated[list[str], NoDecode, BeforeValidator(_split)]


# No statement, no idle transaction and no half-open connection holds anything up for long.
CONNECTION = {
    "connect_timeout": 5,
    "tcp_user_timeout": 10_000,
    "keepalives_idle": 30,
    "options": "-c statement_timeout=30s -c lock_timeout=10s -c idle_in_transaction_session_timeout=60s",
}


class Settings(BaseSettings):
    """Every setting of the portal; the name in the environment is the upper-case field name."""

    model_config = SettingsConfigDict(extra="ignore", hide_input_in_errors=True)

    portal_mode: Literal["local", "production"] = "production"
    secret_key: SecretStr
    jwt_secret_key: SecretStr
    password_key: SecretStr
    database_url: str
    redis_url: str
    instance_path: Path = Path("instance")
    store_path: Path | None = None
    trusted_proxies: int = Field(0, ge=0, le=5)
    allowed_hosts: Listed = []
    public_url: str = ""
    default_locale: Literal["zh", "en"] = "zh"
    time_zone: str = "Asia/Shanghai"

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

    sms_countries: Listed = ["86"]
    sms_per_address_day: int = Field(20, ge=1)
    sms_per_minute: int = Field(30, ge=1)
    sms_per_day: int = Field(2000, ge=1)
    mail_per_minute: int = Field(60, ge=1)
    mail_per_day: int = Field(2000, ge=1)
    api_per_minute: int = Field(600, ge=1)

    fetch_allow_hosts: Listed = []
    fetch_ports: Listed = ["80", "443"]
    fetch_max_bytes: int = Field(2 * 1024**3, ge=1)
    fetch_max_seconds: float = Field(1500, gt=0)
    fetch_stall_seconds: float = Field(30, gt=0)
    fetch_memory_mb: int = Field(160, ge=64)

    task_window: int = Field(8, ge=1)
    task_lease_seconds: int = Field(30, ge=3)
    task_start_within_hours: int = Field(24, ge=1)
    dataset_keep_days: int = Field(90, ge=1)

    sample_url: str = ""

    @field_validator("secret_key", "jwt_secret_key", "password_key")
    @classmethod
    def _strong(cls, value: SecretStr) -> SecretStr:
        text = value.get_secret_value()
        if len(text) < MIN_SECRET or len(set(text)) < 10:
            raise ValueError(f"must be random and at least {MIN_SECRET} characters long")
        return value

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        if value not in available_timezones():
            raise ValueError("must be a zone's name, such as Asia/Shanghai")
        return value

    @field_validator("database_url")
    @classmethod
    def _psycopg2(cls, value: str) -> str:
        # SQLAlchemy 2.1 reads a bare postgresql:// as psycopg 3, which we do not install.
        for prefix in ("postgres://", "postgresql://"):
            if value.startswith(prefix):
                return "postgresql+psycopg2://" + value.removeprefix(prefix)
        if not value.startswith("postgresql+psycopg2://"):
            raise ValueError("must be a postgresql:// address")
        return value

    @field_validator("fetch_ports")
    @classmethod
    def _ports(cls, value: list[str]) -> list[str]:
        if not all(port.isdigit() and 0 < int(port) < 65_536 for port in value):
            raise ValueError("must be ports, separated by commas")
        return value

    @field_validator("redis_url")
    @classmethod
    def _redis(cls, value: str) -> str:
        if not value.startswith(("redis://", "rediss://")):
            raise ValueError("must be a redis:// address")
        return value

    @field_validator("fetch_allow_hosts")
    @classmethod
    def _host_and_port(cls, value: list[str]) -> list[str]:
        for entry in value:
            host, _, port = entry.rpartition(":")
            if not host or not port.isdigit():
                raise ValueError(f"{entry!r} is not host:port")
        return value

    @field_validator("aliyun_sms_endpoint", "aliyun_mail_endpoint", "tencent_endpoint")
    @classmethod
    def _encrypted(cls, value: str) -> str:
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
    def _whole(self) -> "Settings":
        if len({s.get_secret_value() for s in (self.secret_key, self.jwt_secret_key, self.password_key)}) < 3:
            raise ValueError("SECRET_KEY, JWT_SECRET_KEY and PASSWORD_KEY must differ")
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

    def derived(self, purpose: str) -> bytes:
        """A key of its own for a purpose, made from SECRET_KEY (HMAC-SHA-256)."""
        return hmac.digest(
            self.secret_key.get_secret_value().encode(),
            purpose.encode(),
            hashlib.sha256,
        )

    @property
    def is_local(self) -> bool:
        return self.portal_mode == "local"

    @property
    def store_folder(self) -> Path:
        return (self.store_path or self.instance_path / "store").resolve()

    @property
    def work_folder(self) -> Path:
        return (self.instance_path / "work").resolve()

    @property
    def allowed_targets(self) -> frozenset[tuple[str, int]]:
        """FETCH_ALLOW_HOSTS as (host, port) pairs."""
        pairs = (entry.rpartition(":") for entry in self.fetch_allow_hosts)
        return frozenset((host.strip("[]").lower(), int(port)) for host, _, port in pairs)


def load() -> Settings:
    """Settings from the environment; raises pydantic's ValidationError that names each wrong one."""
    return Settings()


def for_flask(settings: Settings) -> dict[str, object]:
    """The same as Flask and its extensions name them."""
    secure = not settings.is_local
    return {
        "SECRET_KEY": settings.secret_key.get_secret_value(),
        "SQLALCHEMY_DATABASE_URI": settings.database_url,
        "SQLALCHEMY_ENGINE_OPTIONS": {
            "pool_pre_ping": True,
            "hide_parameters": True,
            "connect_args": CONNECTION,
        },
        "MAX_CONTENT_LENGTH": BODY_BYTES,
        "SEND_FILE_MAX_AGE_DEFAULT": 365 * 86400,  # addresses of static files carry a hash or a version
        "SESSION_COOKIE_NAME": "__Host-session" if secure else "session",
        "SESSION_COOKIE_SECURE": secure,
        "SESSION_COOKIE_HTTPONLY": True,
        "SESSION_COOKIE_SAMESITE": "Lax",
        "PERMANENT_SESSION_LIFETIME": BROWSER_SESSION_SECONDS,
        "WTF_CSRF_TIME_LIMIT": None,  # as long as the session: a form left open overnight still works
        "BABEL_DEFAULT_LOCALE": "en",
        "BABEL_DEFAULT_TIMEZONE": settings.time_zone,
        "BABEL_TRANSLATION_DIRECTORIES": "translations",
        "JWT_SECRET_KEY": settings.jwt_secret_key.get_secret_value(),
        "JWT_ALGORITHM": "HS256",
        "JWT_DECODE_ALGORITHMS": ["HS256"],
        "JWT_ENCODE_ISSUER": "data-station",
        "JWT_DECODE_ISSUER": "data-station",
        "JWT_ENCODE_AUDIENCE": "data-station-api",
        "JWT_DECODE_AUDIENCE": "data-station-api",
        "JWT_TOKEN_LOCATION": ["headers"],
        "OPENAPI_VERSION": "3.1.0",
        "AUTO_OPERATION_ID": True,
        "VALIDATION_ERROR_STATUS_CODE": 422,
        "RATELIMIT_STORAGE_URI": settings.redis_url,
        "RATELIMIT_STORAGE_OPTIONS": {"socket_timeout": 0.5, "socket_connect_timeout": 0.5},
        "TRUSTED_HOSTS": settings.allowed_hosts or None,
    }
