"""The application, put together. Reads top to bottom."""

from apiflask import APIFlask
from werkzeug.middleware.proxy_fix import ProxyFix

from portal import answers, api, jobs, logs, models, web
from portal.config import Settings, load
from portal.extensions import (
    babel,
    csrf,
    db,
    init_celery,
    init_redis,
    jwt,
    login,
    migrate,
)
from portal.gateways import build
from portal.json_provider import StrictJSON
from portal.limits import BODY_BYTES, BROWSER_SESSION_SECONDS
from portal.services import after_commit


def create_app(settings: Settings | None = None) -> APIFlask:
    """The portal with the given settings, else with those of the environment."""
    settings = settings or load()
    logs.configure(local=settings.is_local)
    app = APIFlask(
        "portal",
        title="Data Station",
        version="1",
        spec_path=None,
        docs_path=None,
        json_errors=False,
    )
    app.json = StrictJSON(app)
    app.extensions["settings"] = settings
    app.extensions["gateways"] = build(settings)
    app.config.update(_flask_config(settings))

    db.init_app(app)
    migrate.init_app(app, db, compare_type=True)
    init_redis(app, settings.redis_url)
    init_celery(app, jobs.celery_config(settings.redis_url))
    csrf.init_app(app)
    login.init_app(app, add_context_processor=False)  # it would look the member up for every poll
    jwt.init_app(app)
    with app.app_context():
        after_commit.register()

    web.init_app(app, babel)
    api.init_app(app)
    answers.init_app(app, secure=not settings.is_local)
    if settings.trusted_proxies:
        hops = settings.trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops)  # type: ignore[method-assign]
    return app


def _flask_config(settings: Settings) -> dict[str, object]:
    secure = not settings.is_local
    return {
        "SECRET_KEY": settings.secret_key.get_secret_value(),
        "SQLALCHEMY_DATABASE_URI": settings.database_url,
        "SQLALCHEMY_ENGINE_OPTIONS": {
            "pool_pre_ping": True,
            "connect_args": {"connect_timeout": 5},
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
        "VALIDATION_ERROR_STATUS_CODE": 422,
        "TRUSTED_HOSTS": settings.allowed_hosts or None,
    }


__all__ = ["create_app", "models"]
