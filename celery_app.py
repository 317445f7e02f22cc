"""What Celery loads: `celery -A celery_app worker`."""

from typing import Any

from celery.bootsteps import StartStopStep
from celery.signals import (
    setup_logging,
    worker_init,
    worker_process_init,
    worker_ready,
    worker_shutdown,
    worker_shutting_down,
)

from portal.app import create_app
from portal.beat import BEAT_SECONDS, while_waiting
from portal.extensions import db
from portal.worker import tasks
from portal.worker.presence import Presence

flask_app = create_app()
app = flask_app.extensions["celery"]


@worker_process_init.connect  # type: ignore[untyped-decorator]  # celery has no types
def own_connections(**_: object) -> None:
    """A forked child must not share its parent's connections, nor give its sign of life."""
    while_waiting(None)
    with flask_app.app_context():
        db.engine.dispose(close=False)
    flask_app.extensions["redis"].connection_pool.reset()


presences: dict[str, Presence] = {}


class SignOfLife(StartStopStep):  # type: ignore[misc]  # celery has no types
    """The worker's main loop says each second that it goes round."""

    def register_with_event_loop(self, consumer: Any, hub: Any) -> None:
        """Called each time the loop begins; it cancels the timer when it ends."""
        presence = presences[consumer.hostname]
        presence.loop_turns()
        hub.timer.call_repeatedly(BEAT_SECONDS, presence.loop_turns)


app.steps["consumer"].add(SignOfLife)


@worker_init.connect  # type: ignore[untyped-decorator]
def take_back(sender: Any, **_: object) -> None:
    """Before it has tasks of its own: what a dead worker of this name left runs again at once."""
    presences[sender.hostname] = Presence(flask_app, sender.hostname)
    presences[sender.hostname].begin()
    while_waiting(presences[sender.hostname].loop_turns)


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
