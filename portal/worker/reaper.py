"""What is done every few seconds so that nothing that died stays dead."""

from loguru import logger

from portal.extensions import db
from portal.services import datasets, keys, notices, processes, queue, sessions

EVERY_SECONDS = 3
TIDY_SECONDS = 3600


def sweep() -> None:
    """Bring back lost tasks, end late ones, remove what is past its retention, have mails written."""
    for step in (queue.put_back_lost, queue.expire_late, datasets.expire_old, notices.drain):
        if count := step():
            logger.info("reaper: {} {}", step.__name__, count)
        db.session.commit()


def tidy() -> None:
    """Delete what nobody looks at any more."""
    for step in (sessions.forget_old, keys.forget_old, processes.forget_old):
        step()
        db.session.commit()
