"""Flask's extensions and the Redis client, created here and bound in `app.create_app`."""

from typing import TYPE_CHECKING, Any, cast

import click
from celery import Celery
from flask import Flask, current_app
from flask.cli import FlaskGroup
from flask_babel import Babel
from flask_jwt_extended import JWTManager
from flask_login import LoginManager
from flask_sqlalchemy import SQLAlchemy
from flask_wtf import CSRFProtect
from redis import Redis
from redis.exceptions import RedisError
from sqlalchemy import MetaData
from sqlalchemy.orm import DeclarativeBase
from werkzeug.local import LocalProxy

from portal import postgres, redis_pool
from portal.beat import waits

__all__ = [
    "Model",
    "RedisError",
    "babel",
    "csrf",
    "db",
    "gateways",
    "init_celery",
    "init_migrations",
    "init_redis",
    "jwt",
    "login",
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


postgres.install()
db = SQLAlchemy(model_class=Base, session_options={"expire_on_commit": False})
if TYPE_CHECKING:
    Model = Base
else:
    Model = db.Model

babel = Babel()
csrf = CSRFProtect()
jwt = JWTManager()
login = LoginManager()


def settings() -> "Settings":
    """The current application's settings."""
    return cast("Settings", current_app.extensions["settings"])


def gateways() -> "Gateways":
    """The current application's providers."""
    return cast("Gateways", current_app.extensions["gateways"])


def redis() -> Redis:
    """The current application's Redis client; text in, text out.

    No call waits longer than half a second, and for two seconds after a failure each raises RedisError at once.
    """
    return cast(Redis, current_app.extensions["redis"])


def init_redis(app: Flask, url: str) -> None:
    pool = redis_pool.pool(url, size=redis_pool.size(local=app.extensions["settings"].is_local))
    app.extensions["redis"] = Redis(connection_pool=pool)


def init_migrations(app: Flask) -> None:
    """For `flask db`; Alembic, a seventh of all that a process imports, is loaded when it is first asked for."""

    def bound() -> Any:
        from flask_migrate import Migrate

        Migrate(app, db, compare_type=True)  # puts itself in the proxy's place
        return app.extensions["migrate"]

    app.extensions["migrate"] = LocalProxy(bound)
    context = click.get_current_context(silent=True)
    if context and isinstance(context.find_root().command, FlaskGroup):
        bound()  # `flask` itself: that is what adds the command `db`


def init_celery(app: Flask, config: dict[str, Any]) -> Celery:
    """A Celery whose tasks run inside the application's context, and that is soon back when the broker is."""
    from celery import Task
    from celery.app.amqp import AMQP
    from kombu.connection import Connection

    class Returning(Connection):
        # The worker waits 2, 4, 6 … 30 s between two looks for a lost broker; no setting says otherwise.
        def _ensure_connection(self, *args: Any, callback: Any = None, **kwargs: Any) -> Any:
            def between() -> None:
                waits()
                if callback:
                    callback()

            soon = {"interval_start": 0.5, "interval_step": 0.5, "interval_max": 2, "callback": between}
            return super()._ensure_connection(*args, **{**soon, **kwargs})  # type: ignore[no-untyped-call]

    class Broker(AMQP):  # type: ignore[misc]  # celery has no types
        Connection = Returning

    class ContextTask(Task):  # type: ignore[misc]
        def __call__(self, *args: object, **kwargs: object) -> object:
            with app.app_context():
                return self.run(*args, **kwargs)

    celery = Celery("portal", task_cls=ContextTask, amqp=Broker)
    celery.config_from_object(config)
    celery.set_default()
    app.extensions["celery"] = celery
    return celery
