"""Flask's extensions and the Redis client, created here and bound in `app.create_app`."""

from typing import TYPE_CHECKING, Any, cast

from celery import Celery
from flask import Flask, current_app
from flask_babel import Babel
from flask_jwt_extended import JWTManager
from flask_login import LoginManager
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from flask_wtf import CSRFProtect
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.retry import Retry
from sqlalchemy import MetaData
from sqlalchemy.orm import DeclarativeBase

__all__ = [
    "Model",
    "RedisError",
    "babel",
    "csrf",
    "db",
    "gateways",
    "init_celery",
    "init_redis",
    "jwt",
    "login",
    "migrate",
    "redis",
    "settings",
]

if TYPE_CHECKING:
    from portal.config import Settings
    from portal.gateways import Gateways


class Base(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_label)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


db = SQLAlchemy(model_class=Base, session_options={"expire_on_commit": False})
if TYPE_CHECKING:
    Model = Base
else:
    Model = db.Model

babel = Babel()
csrf = CSRFProtect()
jwt = JWTManager()
login = LoginManager()
migrate = Migrate()


def settings() -> "Settings":
    """The current application's settings."""
    return cast("Settings", current_app.extensions["settings"])


def gateways() -> "Gateways":
    """The current application's providers."""
    return cast("Gateways", current_app.extensions["gateways"])


class Client(Redis):
    """Redis, and until when (monotonic seconds) those who can do without it leave it alone after a failure."""

    away_until = 0.0


def redis() -> Client:
    """The current application's Redis client; text in, text out; no call waits longer than half a second."""
    return cast(Client, current_app.extensions["redis"])


def init_redis(app: Flask, url: str) -> None:
    app.extensions["redis"] = Client.from_url(
        url,
        decode_responses=True,
        socket_timeout=0.5,
        socket_connect_timeout=0.5,
        # One more try on a fresh connection: after a restart of Redis every pooled connection is stale.
        retry=Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError,)),
    )


def init_celery(app: Flask, config: dict[str, Any]) -> Celery:
    """A Celery whose tasks run inside the application's context."""
    from celery import Task

    class ContextTask(Task):  # type: ignore[misc]  # celery has no types
        def __call__(self, *args: object, **kwargs: object) -> object:
            with app.app_context():
                return self.run(*args, **kwargs)

    celery = Celery("portal", task_cls=ContextTask)
    celery.config_from_object(config)
    celery.set_default()
    app.extensions["celery"] = celery
    return celery
