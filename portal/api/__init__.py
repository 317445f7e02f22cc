"""The JSON door, under /api/v1."""

from apiflask import APIFlask

from portal.api import (
    accounts,
    admin,
    credentials,
    datasets,
    description,
    errors,
    health,
    rates,
    sessions,
    tasks,
    uploads,
)
from portal.extensions import csrf

BLUEPRINTS = (accounts.bp, credentials.bp, sessions.bp, tasks.bp, datasets.bp, uploads.bp, admin.bp, health.bp)


def init_app(app: APIFlask) -> None:
    """Register the blueprints. They take tokens only, never cookies, so CSRF does not reach them."""
    rates.init_app(app)
    app.error_processor(errors.of_validation)
    app.spec_processor(description.complete)
    app.security_schemes = {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}}
    for blueprint in BLUEPRINTS:
        csrf.exempt(blueprint)
        app.register_blueprint(blueprint)


__all__ = ["errors", "init_app"]
