"""Settings, typed, from the environment; a missing or weak one is refused at start. Their table: docs/operating.md."""

from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import available_timezones

from pydantic import BeforeValidator, Field, SecretStr, field_validator, model_validator
from pydantic_settings import NoDecode, SettingsConfigDict

from portal.config.gateways import GatewaySettings
from portal.derived_keys import derived, outbox_key
from portal.limits import ACCESS_SECONDS, BODY_BYTES, BROWSER_SESSION_SECONDS, FORM_PARTS, REFRESH_SECONDS

MIN_SECRET = 32


def _split(value: Any) -> Any:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


Listed = Annotated[list[str], NoDecode, BeforeValidator(_split)]


# No statement, no idle transaction and no half-open connection holds anything up for long.
CONNECTION = {
    "connect_timeout": 5,
    "tcp_user_timeout": 10_000,
    "keepalives_idle": 30,
    "options": "-c statement_timeout=30s -c lock_timeout=10s -c idle_in_transaction_session_timeout=20s"
    " -c client_connection_check_interval=5s",  # what nobody waits for any more ends
}


class Settings(GatewaySettings):
    """Every setting of the portal; the name in the environment is the upper-case field name."""

    model_config = SettingsConfigDict(extra="ignore", hide_input_in_errors=True)

    secret_key: SecretStr
    jwt_secret_key: SecretStr
    password_key: SecretStr
    database_url: str
    redis_url: str
    instance_path: Path = Path("instance")
    store_path: Path | None = None
    trusted_proxies: int = Field(0, ge=0, le=5)
    web_processes: int = Field(1, ge=1)
    allowed_hosts: Listed = []
    public_url: str = ""
    default_locale: Literal["zh", "en"] = "zh"
    time_zone: str = "Asia/Shanghai"

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
    fetch_memory_mb: int = Field(256, ge=64)
    look_seconds: float = Field(5, gt=0)

    tasks_running_per_user: int = Field(5, ge=1)
    tasks_waiting_per_user: int = Field(1000, ge=1)
    tasks_waiting: int = Field(10_000, ge=1)
    tasks_per_user_day: int = Field(5000, ge=1)
    task_keep_days: int = Field(365, ge=1)
    lend_idle_workers: bool = True
    task_retry_seconds: float = Field(60, gt=0)
    task_lease_seconds: int = Field(30, ge=3)
    task_memory_mb: int = Field(512, ge=128)
    task_work_seconds: float = Field(45, gt=0)
    task_start_within_hours: int = Field(24, ge=1)
    dataset_keep_days: int = Field(90, ge=1)
    export_keep_days: int = Field(7, ge=1)
    upload_keep_hours: int = Field(24, ge=1)
    bytes_kept_per_user: int = Field(20 * 1024**3, ge=1)
    bytes_fetched_per_user_day: int = Field(50 * 1024**3, ge=1)

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

    @model_validator(mode="after")
    def _keys_differ(self) -> "Settings":
        if len({s.get_secret_value() for s in (self.secret_key, self.jwt_secret_key, self.password_key)}) < 3:
            raise ValueError("SECRET_KEY, JWT_SECRET_KEY and PASSWORD_KEY must differ")
        if not self.public_url.startswith(("https://", "http://")) and not (self.is_local and not self.public_url):
            raise ValueError("PUBLIC_URL must be where people reach the portal, such as https://data.example.com")
        return self

    def derived(self, purpose: str, *, lasting: bool = False) -> bytes:
        """A key of its own for a purpose, made from SECRET_KEY; a lasting one (of what is stored) from PASSWORD_KEY."""
        key = self.password_key if lasting else self.secret_key
        return derived(key.get_secret_value(), purpose)

    @property
    def outbox_key(self) -> str:
        """What the local outbox asks for; `make run` prints it."""
        return outbox_key(self.secret_key.get_secret_value())

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
            "pool_timeout": 5,
            "hide_parameters": True,
            "connect_args": CONNECTION,
        },
        "MAX_CONTENT_LENGTH": BODY_BYTES,
        "MAX_FORM_MEMORY_SIZE": BODY_BYTES,
        "MAX_FORM_PARTS": FORM_PARTS,
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
        "JWT_ACCESS_TOKEN_EXPIRES": ACCESS_SECONDS,
        "JWT_REFRESH_TOKEN_EXPIRES": REFRESH_SECONDS,
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
        "TRUSTED_HOSTS": settings.allowed_hosts or None,
    }
