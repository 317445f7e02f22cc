"""The application, put together. Reads top to bottom."""

from apiflask import APIFlask
from werkzeug.middleware.proxy_fix import ProxyFix

from portal import answers, api, cli, jobs, logs, models, transfers, web
from portal.config import Settings, for_flask, load
from portal.extensions import (
    babel,
    csrf,
    db,
    init_celery,
    init_migrations,
    init_redis,
    jwt,
    login,
)
from portal.gateways import build
from portal.json_provider import StrictJSON
from portal.remote_address import RemoteAddress
from portal.services import after_commit, events, security_notices


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
    app.request_class = transfers.Request
    app.extensions["settings"] = settings
    app.extensions["gateways"] = build(settings)
    app.config.update(for_flask(settings))

    db.init_app(app)
    init_migrations(app)
    init_redis(app, settings.redis_url)
    init_celery(app, jobs.celery_config(settings.redis_url))
    csrf.init_app(app)
    login.init_app(app, add_context_processor=False)  # it would look the member up for every poll
    jwt.init_app(app)
    with app.app_context():
        after_commit.register()
        security_notices.register()  # before the history, whose end is locked last
        events.register()

    web.init_app(app, babel)
    api.init_app(app)
    cli.init_app(app)
    answers.init_app(app, secure=not settings.is_local)
    hops = settings.trusted_proxies
    app.wsgi_app = RemoteAddress(app.wsgi_app, hops)  # type: ignore[method-assign]  # as Flask wraps it
    if hops:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=0, x_proto=hops, x_host=hops)  # type: ignore[method-assign]
    return app


__all__ = ["create_app", "models"]
