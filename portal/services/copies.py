"""What the outside sees of a task: the same shape for pages, the API, and the copy that polls read."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from portal.models import Task
from portal.models.tasks import LIVE

Status = Literal["pending", "queued", "processing", "completed", "failed", "cancelled", "expired"]


class TaskCopy(BaseModel):
    """One task as of `version`. `message` and `error` are `{code, params}`; `wording` makes sentences of them."""

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
    version: int
    created_at: datetime
    next_run_at: datetime
    started_at: datetime | None
    cancel_requested_at: datetime | None
    finished_at: datetime | None

    @property
    def is_live(self) -> bool:
        return self.status in LIVE

    @property
    def is_cancelling(self) -> bool:
        return self.status == "processing" and self.cancel_requested_at is not None


def copy_of(task: Task) -> TaskCopy:
    return TaskCopy.model_validate(task)
