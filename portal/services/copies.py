"""What the outside sees of a task: the same shape for pages, the API, and the copy that polls read."""

from datetime import UTC, datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, field_validator

from portal.engine import secret_parts
from portal.models import Task
from portal.models.tasks import LIVE

Status = Literal["pending", "queued", "processing", "completed", "failed", "cancelled", "expired"]
RETRYABLE = ("failed", "cancelled", "expired")
# Seconds from one poll to the next, for a task that is younger than so many seconds.
_INTERVALS = ((30, 1), (120, 2), (600, 5))
_WIDEST = 10


class TaskCopy(BaseModel):
    """One task as of `version`. `message` and `error` are `{code, params}`; `wording` makes sentences of them.

    Secrets in the address are hidden: what fetches it asks `runs.address_of`.

    `place` (1 is next) and `expected_start` are guesses about a task that waits, None where there is none.
    """

    model_config = ConfigDict(from_attributes=True, frozen=True)

    uuid: UUID
    owner_id: int
    kind: str
    params: dict[str, Any]
    status: Status
    progress: int
    message: dict[str, Any] | None
    result: dict[str, Any] | None
    error: dict[str, Any] | None
    attempt: int
    losses: int
    version: int
    retry_of: UUID | None
    created_at: datetime
    next_run_at: datetime
    started_at: datetime | None
    cancel_requested_at: datetime | None
    finished_at: datetime | None
    place: int | None = None
    expected_start: datetime | None = None

    @field_validator("params")
    @classmethod
    def _hide_secrets(cls, params: dict[str, Any]) -> dict[str, Any]:
        return params | {"url": secret_parts.shown(params["url"])} if params.get("url") else params

    @property
    def is_live(self) -> bool:
        return self.status in LIVE

    @property
    def is_cancelling(self) -> bool:
        return self.status == "processing" and self.cancel_requested_at is not None

    @property
    def is_retryable(self) -> bool:
        return self.status in RETRYABLE

    @property
    def is_delayed(self) -> bool:
        """Whether it waits for its time, not for its turn."""
        return self.status == "pending" and self.next_run_at > datetime.now(UTC)


def copy_of(task: Task) -> TaskCopy:
    return TaskCopy.model_validate(task)


def poll_after(copy: TaskCopy) -> int:
    """Seconds until another poll is worth it: the older a task, the more; 0 once it has ended."""
    if not copy.is_live:
        return 0
    age = (datetime.now(UTC) - copy.created_at).total_seconds()
    return next((interval for younger, interval in _INTERVALS if age < younger), _WIDEST)
