"""What is done every few seconds so that nothing that died stays dead."""

from loguru import logger

from portal.extensions import db
from portal.services import queue, sessions

EVERY_SECONDS = 3
TIDY_SECONDS = 3600


def sweep() -> None:
    """Bring back lost tasks, end late ones."""
    for step in (queue.put_back_lost, queue.expire_late):
        if count := step():
            logger.warning("reaper: {} {}", step.__name__, count)
        db.session.commit()


def tidy() -> None:
    """Delete what nobody looks at any more."""
    sessions.forget_old()
    db.session.commit()
