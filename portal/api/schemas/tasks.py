"""Tasks."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, Field

from portal.api.schemas import Answer, Body, PageQuery
from portal.models import TaskEvent
from portal.services.copies import Status, TaskCopy, poll_after
from portal.services.tasks import Wanted
from portal.wording import sentence, timeline_sentence

_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d")
_TOLD = ("error", "next_run_at")  # of a step's details; which machine did it is ours to know

Kind = Literal["fetch", "export", "health_check"]
Countdown = Annotated[int, Field(ge=0, le=7 * 86400, description="seconds to wait before it starts")]
Step = Literal[
    "accepted",
    "queued",
    "requeued",
    "started",
    "retrying",
    "lost",
    "cancel_asked",
    "completed",
    "failed",
    "cancelled",
    "expired",
]


def _written_out(value: Any) -> Any:
    """A bare number would be read as seconds since 1970, which nobody means by `since=2026`."""
    if isinstance(value, str) and not _MOMENT.match(value):
        raise ValueError("write it like 2026-01-31T08:00:00Z")
    return value


def _in_utc(value: datetime) -> datetime:
    """PostgreSQL knows no zone more than 16 hours off, Python no year before 1 or after 9999."""
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise ValueError("not within the years 1 to 9999") from None


Moment = Annotated[
    AwareDatetime,
    BeforeValidator(_written_out),
    AfterValidator(_in_utc),
    Field(examples=["2026-01-31T08:00:00Z"]),
]


class TaskBody(Body):
    """What to do; `schemas.task_kinds` describes it by its kind."""

    kind: Kind
    params: dict[str, Any] = {}
    countdown: Countdown = 0


class RetryQuery(BaseModel):
    skip_broken: Annotated[bool, Field(description="leave out the rows of a fetch that cannot be read")] = False
    offered: Annotated[bool, Field(description="fetch the address that `error_params.offered` names instead")] = False
    replace_undecodable: Annotated[bool, Field(description="replace and count bytes that cannot be decoded")] = False
    encoding: Annotated[str, Field(description="in which the text of a fetch is read this time")] = ""


class TasksQuery(PageQuery):
    """Which tasks, and where to go on in their list. `text` is a part of the name, or of the address up to its `?`."""

    status: Literal[Status, "live", "ended"] | None = None
    kind: Kind | None = None
    since: Annotated[Moment | None, Field(description="submitted at this moment or later")] = None
    until: Annotated[Moment | None, Field(description="submitted before this moment")] = None
    text: Annotated[str, Field(max_length=200)] = ""

    def wanted(self) -> Wanted:
        return Wanted(**self.model_dump(exclude={"cursor", "limit"}))


class TaskFields(Answer):
    """One task. `message` says what it is doing, `error_message` why it failed, both for people.

    `error_params` are what the latter is made with. Signatures, tokens and keys in an address are answered as `…`.

    `place` in the queue (1 is next) and `expected_start` are guesses, null when nobody knows; it does not start before
    `starts_at`. Ask again in `poll_after` seconds; 0 says that it has ended. `retry_of` is the task it runs again.
    """

    uuid: UUID
    status: Status
    cancelling: bool
    place: int | None
    expected_start: datetime | None
    starts_at: datetime
    progress: Annotated[int, Field(ge=0, le=100)]
    message: str
    error_code: Annotated[str | None, Field(description="Why it failed; the tag `errors` lists what it may be")]
    error_params: dict[str, Any] | None
    error_message: str | None
    attempt: int
    retry_of: UUID | None
    poll_after: Annotated[int, Field(ge=0)]
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class TaskAnswer(TaskFields):
    """As it was kept; `schemas.task_kinds` describes it by its kind."""

    kind: str
    params: dict[str, Any]
    result: dict[str, Any] | None


class TasksAnswer(Answer):
    items: list[TaskAnswer]
    next_cursor: int | None


class TaskEventAnswer(Answer):
    """One step; `kind` is stable, `text` is for people. `details` may hold `error` and `next_run_at`."""

    at: datetime
    kind: Step
    attempt: int
    text: str
    details: dict[str, Any]


class TaskEventsAnswer(Answer):
    """All of them, oldest first."""

    items: list[TaskEventAnswer]
    next_cursor: None = None


_COMPUTED = {"message", "starts_at", "poll_after"}


def dump(copy: TaskCopy) -> dict[str, Any]:
    """A task as the API answers it, in the caller's language."""
    return TaskAnswer(
        **copy.model_dump(include=TaskAnswer.model_fields.keys() - _COMPUTED),
        cancelling=copy.is_cancelling,
        starts_at=copy.next_run_at,
        message=sentence(copy.message) if copy.message else "",
        error_code=copy.error["code"] if copy.error else None,
        error_params=copy.error["params"] if copy.error else None,
        error_message=sentence(copy.error) if copy.error else None,
        poll_after=poll_after(copy),
    ).model_dump(mode="json")


def dump_event(event: TaskEvent) -> dict[str, Any]:
    """A step of the timeline as the API answers it, in the caller's language."""
    return TaskEventAnswer(
        at=event.at,
        kind=event.kind,
        attempt=event.attempt,
        text=timeline_sentence(event),
        details={name: event.details[name] for name in _TOLD if event.details.get(name) is not None},
    ).model_dump(mode="json")
