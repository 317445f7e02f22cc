"""All tables, so that migrations see them."""

from portal.models.accounts import User
from portal.models.datasets import Dataset
from portal.models.sessions import LoginSession
from portal.models.tasks import Task

__all__ = ["Dataset", "LoginSession", "Task", "User"]
