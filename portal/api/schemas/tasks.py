"""Tasks."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field

from portal.api.schemas import Answer, Body
from portal.services.copies import Status, TaskCopy
from portal.wording import sentence


class TaskBody(Body):
    """`fetch` takes `{url, name?, format?}` with format `csv` or `ndjson`; `health_check` takes nothing."""

    kind: Literal["fetch", "health_check"]
    params: dict[str, Any] = {}
    countdown: Annotated[int, Field(ge=0, le=7 * 86400, description="seconds to wait before it starts")] = 0


class TaskAnswer(Answer):
    """One task. `message` says what it is doing, `error_message` why it failed, both for people."""

    uuid: UUID
    kind: str
    params: dict[str, Any]
    status: Status
    cancelling: bool
    progress: Annotated[int, Field(ge=0, le=100)]
    message: str
    result: dict[str, Any] | None
    error_code: str | None
    error_message: str | None
    attempt: int
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class TasksAnswer(Answer):
    items: list[TaskAnswer]
    next_cursor: int | None


def dump(copy: TaskCopy) -> dict[str, Any]:
    """A task as the API answers it, in the caller's language."""
    return TaskAnswer(
        **copy.model_dump(include=TaskAnswer.model_fields.keys() - {"message"}),
        cancelling=copy.is_cancelling,
        message=sentence(copy.message) if copy.message else "",
        error_code=copy.error["code"] if copy.error else None,
        error_message=sentence(copy.error) if copy.error else None,
    ).model_dump(mode="json")
