"""What Celery loads: `celery -A celery_app worker`."""

from celery.signals import setup_logging, worker_process_init

from portal.app import create_app
from portal.extensions import db
from portal.worker import tasks

flask_app = create_app()
app = flask_app.extensions["celery"]


@worker_process_init.connect  # type: ignore[untyped-decorator]  # celery has no types
def own_connections(**_: object) -> None:
    """A forked child must not share its parent's connections."""
    with flask_app.app_context():
        db.engine.dispose(close=False)
    flask_app.extensions["redis"].connection_pool.reset()


@setup_logging.connect  # type: ignore[untyped-decorator]
def keep_our_logging(**_: object) -> None:
    """Celery leaves logging to `portal.logs`."""


__all__ = ["app", "flask_app", "tasks"]
