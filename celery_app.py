"""What Celery loads: `celery -A celery_app worker`."""

from typing import Any

from celery.signals import (
    setup_logging,
    worker_init,
    worker_process_init,
    worker_ready,
    worker_shutdown,
    worker_shutting_down,
)

from portal.app import create_app
from portal.extensions import db
from portal.worker import tasks
from portal.worker.presence import Presence

flask_app = create_app()
app = flask_app.extensions["celery"]


@worker_process_init.connect  # type: ignore[untyped-decorator]  # celery has no types
def own_connections(**_: object) -> None:
    """A forked child must not share its parent's connections."""
    with flask_app.app_context():
        db.engine.dispose(close=False)
    flask_app.extensions["redis"].connection_pool.reset()


presences: dict[str, Presence] = {}


@worker_init.connect  # type: ignore[untyped-decorator]
def take_back(sender: Any, **_: object) -> None:
    """Before it has tasks of its own: what a dead worker of this name left runs again at once."""
    presences[sender.hostname] = Presence(flask_app, sender.hostname)
    presences[sender.hostname].begin()


@worker_ready.connect  # type: ignore[untyped-decorator]
def say_alive(sender: Any, **_: object) -> None:
    """From now on dispatchers count on this worker's slots."""
    presences[sender.hostname].start(sender.pool.num_processes)


@worker_shutting_down.connect  # type: ignore[untyped-decorator]
def say_leaving(**_: object) -> None:
    """It ends what it has begun, and gets nothing new."""
    for presence in presences.values():
        presence.leave()


@worker_shutdown.connect  # type: ignore[untyped-decorator]
def say_gone(**_: object) -> None:
    """No more tasks for this worker; also sent when it ends because of a fault."""
    for presence in presences.values():
        presence.stop()


@setup_logging.connect  # type: ignore[untyped-decorator]
def keep_our_logging(**_: object) -> None:
    """Celery leaves logging to `portal.logs`."""


__all__ = ["app", "flask_app", "tasks"]
