"""What attempts leave behind when they end without a result: folders on a machine, files in the store."""

from collections.abc import Collection
from uuid import UUID

from loguru import logger
from sqlalchemy import select

from portal.errors import Fault
from portal.extensions import db, gateways
from portal.models import Task
from portal.models.tasks import LIVE
from portal.services import datasets, exports, storage, store_identity
from portal.services.copies import TaskCopy


def probe_key(run: TaskCopy, attempt: int) -> str:
    """Where a health check tries out the store."""
    return f"probes/{run.uuid}/{attempt}"


_KEYS = {"fetch": datasets.store_key, "export": exports.store_key, "health_check": probe_key}


def drop(run: TaskCopy, *, own: bool = True) -> None:
    """Erase from the store what the attempts before this one put there, and with `own` this one.

    An attempt that was followed by another has published nothing; of one's own the caller must know. Never raises:
    a store that is away must not keep a task from ending.
    """
    if not store_identity.is_known_to_be_ours():  # what lies there by these names is not ours, or is swept later
        return
    for attempt in range(1, run.attempt + own):
        try:
            gateways().store.delete(_KEYS[run.kind](run, attempt))
        except (OSError, Fault) as error:
            logger.warning("leftovers: {} not deleted: {}", attempt, type(error).__name__)


def drop_later(run: TaskCopy) -> None:
    """Have removed what any attempt at a task put there that has ended without a result, with this transaction."""
    storage.remove(*(_KEYS[run.kind](run, attempt) for attempt in range(1, run.attempt + 1)))


def running(uuids: Collection[UUID]) -> set[tuple[UUID, int]]:
    """Those of these tasks that a worker holds, each with the number of its attempt."""
    rows = db.session.execute(
        select(Task.uuid, Task.attempt).where(Task.uuid.in_(uuids), Task.status == "processing")
    ).all()
    return {(row.uuid, row.attempt) for row in rows}


def live(uuids: Collection[UUID]) -> set[UUID]:
    """Those of these tasks that have not ended."""
    return set(db.session.scalars(select(Task.uuid).where(Task.uuid.in_(uuids), Task.status.in_(LIVE))))
