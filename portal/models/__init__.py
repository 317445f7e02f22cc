"""All tables, so that migrations see them."""

from portal.models.accounts import RecoveryCode, User
from portal.models.datasets import Dataset, Export, Removal, Transfer, Upload
from portal.models.events import Event, EventsHead
from portal.models.messages import Message, StoppedPrefix
from portal.models.sessions import LoginSession
from portal.models.store_identity import StoreIdentity
from portal.models.tasks import Notice, Process, Task, TaskEvent, TaskHeaders, TaskKey, Turn

__all__ = [
    "Dataset",
    "Event",
    "EventsHead",
    "Export",
    "LoginSession",
    "Message",
    "Notice",
    "Process",
    "RecoveryCode",
    "Removal",
    "StoppedPrefix",
    "StoreIdentity",
    "Task",
    "TaskEvent",
    "TaskHeaders",
    "TaskKey",
    "Transfer",
    "Turn",
    "Upload",
    "User",
]
