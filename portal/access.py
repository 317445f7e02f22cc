"""Who may do what: pure predicates."""

from portal.models import Dataset, LoginSession, Task, Upload, User


def may_see_task(user: User, task: Task) -> bool:
    return task.owner_id == user.id


def may_see_dataset(user: User, dataset: Dataset) -> bool:
    return dataset.owner_id == user.id


def may_use_upload(user: User, upload: Upload) -> bool:
    return upload.owner_id == user.id


def may_end_session(user: User, login: LoginSession) -> bool:
    return login.user_id == user.id


def may_administer(user: User) -> bool:
    return user.is_active and user.is_admin


def may_change_user(actor: User, user: User, role: str) -> bool:
    """Whether the actor may give the user this role (or the one they have), let them in and keep them out."""
    if not may_administer(actor) or actor.id == user.id:
        return False
    return actor.role == "super_admin" or (user.role == "user" and role == "user")
