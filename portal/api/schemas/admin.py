"""What admins ask for and get."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field, model_validator

from portal.api.schemas import Answer, Body, PageQuery
from portal.api.schemas.accounts import UserAnswer
from portal.api.schemas.task_kinds import ExportTask, FetchTask, HealthCheckTask
from portal.api.schemas.tasks import TaskAnswer, dump
from portal.models import Task
from portal.services.admin import Changed
from portal.services.copies import Status, copy_of

Role = Literal["user", "admin", "super_admin"]


class UsersQuery(PageQuery):
    """`q` is a part of a username, e-mail address or phone number."""

    q: Annotated[str, Field(max_length=254)] = ""
    role: Role | None = None
    is_active: bool | None = None


class UserBody(Body):
    """What to change; the user's sessions and tokens end."""

    role: Role | None = None
    is_active: bool | None = None

    @model_validator(mode="after")
    def _something(self) -> "UserBody":
        if self.role is None and self.is_active is None:
            raise ValueError("role or is_active")
        return self


class AdminUserAnswer(UserAnswer):
    is_active: bool
    has_second_factor: bool


class SwitchedOffAnswer(Answer):
    """How many log-ins ended, tasks were cancelled or asked to stop, secrets and uploads erased, mails kept back."""

    sessions: int
    tasks_cancelled: int
    tasks_stopping: int
    secrets: int
    uploads: int
    mails: int


class ChangedUserAnswer(AdminUserAnswer):
    """`stopped` is null unless the user was switched off by this."""

    stopped: SwitchedOffAnswer | None = None


class AdminUsersAnswer(Answer):
    items: list[AdminUserAnswer]
    next_cursor: int | None


class AdminTasksQuery(PageQuery):
    status: Status | None = None


class OwnerAnswer(Answer):
    uuid: UUID
    username: str


class AdminTaskAnswer(TaskAnswer):
    owner: OwnerAnswer


class AdminFetchTask(FetchTask):
    owner: OwnerAnswer


class AdminExportTask(ExportTask):
    owner: OwnerAnswer


class AdminHealthCheckTask(HealthCheckTask):
    owner: OwnerAnswer


class AdminTasksAnswer(Answer):
    items: list[AdminTaskAnswer]
    next_cursor: int | None


class QueueAnswer(Answer):
    """Tasks that wait and run; `oldest_seconds` is how long the first has waited."""

    waiting: int
    running: int
    oldest_seconds: int


class WorkerAnswer(Answer):
    name: str
    answers: bool
    slots: int
    running: int


class RedisAnswer(Answer):
    """The connection pool of the process that answers, and the server's own figures."""

    pool_in_use: int
    pool_open: int
    pool_max: int
    clients: int
    memory_bytes: int


class StoreAnswer(Answer):
    """While the store is foreign nothing is tidied and no task starts; `reason` says why.

    `orphans` of `files` have no row, too many to be moved at once: tidying has stopped.
    """

    is_foreign: bool
    reason: Literal["", "new", "other", "unmarked", "copied", "older", "shared"]
    orphans: int | None
    files: int | None


class BudgetAnswer(Answer):
    """How many may still be sent this minute and this day."""

    minute: int
    day: int


class CaptchaCountsAnswer(Answer):
    """Of the last eight days."""

    passed: int
    failed: int


class StoppedAnswer(Answer):
    """Numbers that begin so get no codes: of `sent`, only `verified` were used."""

    prefix: str
    sent: int
    verified: int
    stopped_at: datetime


class SystemAnswer(Answer):
    """How the portal stands; what cannot be known while Redis or the store is away is null."""

    queue: QueueAnswer
    workers: list[WorkerAnswer]
    dispatchers: int
    store: StoreAnswer | None
    redis: RedisAnswer | None
    budget_left: dict[str, BudgetAnswer]
    stopped: list[StoppedAnswer]
    captcha: CaptchaCountsAnswer | None


def dump_changed(changed: Changed) -> ChangedUserAnswer:
    stopped = SwitchedOffAnswer.model_validate(changed.stopped) if changed.stopped else None
    return ChangedUserAnswer.model_validate(changed.user).model_copy(update={"stopped": stopped})


def dump_owned(task: Task) -> dict[str, object]:
    """A task with its owner, in the caller's language."""
    return {**dump(copy_of(task)), "owner": OwnerAnswer.model_validate(task.owner).model_dump(mode="json")}
