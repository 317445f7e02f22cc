"""Who may do what: pure predicates."""

from portal.models import Dataset, LoginSession, Task, User


def may_see_task(user: User, task: Task) -> bool:
    return task.owner_id == user.id


def may_see_dataset(user: User, dataset: Dataset) -> bool:
    return dataset.owner_id == user.id


def may_end_session(user: User, login: LoginSession) -> bool:
    return login.user_id == user.id
