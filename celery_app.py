"""What Celery loads: `celery -A celery_app worker`."""

from celery.signals import setup_logging, worker_process_init

from portal.app import create_app
from portal.extensions import db
from portal.worker import tasks

app = create_app()
celery = app.extensions["celery"]


@worker_process_init.connect  # type: ignore[untyped-decorator]  # celery has no types
def own_connections(**_: object) -> None:
    """A forked child must not share its parent's connections."""
    with app.app_context():
        db.engine.dispose(close=False)
    app.extensions["redis"].connection_pool.disconnect(inuse_connections=False)


@setup_logging.connect  # type: ignore[untyped-decorator]
def keep_our_logging(**_: object) -> None:
    """Celery leaves logging to `portal.logs`."""


__all__ = ["app", "celery", "tasks"]
