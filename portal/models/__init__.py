"""All tables, so that migrations see them."""

from portal.models.accounts import RecoveryCode, User
from portal.models.datasets import Dataset
from portal.models.events import Event, EventsHead
from portal.models.messages import Message, StoppedPrefix
from portal.models.sessions import LoginSession
from portal.models.tasks import Notice, Process, Task, TaskEvent, TaskKey, Turn

__all__ = [
    "Dataset",
    "Event",
    "EventsHead",
    "LoginSession",
    "Message",
    "Notice",
    "Process",
    "RecoveryCode",
    "StoppedPrefix",
    "Task",
    "TaskEvent",
    "TaskKey",
    "Turn",
    "User",
]
