"""For admins: people, everyone's tasks, how the portal stands."""

from typing import Any
from uuid import UUID

from apiflask import APIBlueprint

from portal.api import guards
from portal.api.schemas.admin import (
    AdminTasksAnswer,
    AdminTasksQuery,
    AdminUserAnswer,
    AdminUsersAnswer,
    ChangedUserAnswer,
    SystemAnswer,
    UserBody,
    UsersQuery,
    dump_changed,
    dump_owned,
)
from portal.extensions import db
from portal.services import admin

bp = APIBlueprint("api_admin", __name__, url_prefix="/api/v1/admin", tag="admin")


@bp.get("/users")
@guards.admin_bearer
@bp.doc(operation_id="listUsers", security="bearer")
@bp.input(UsersQuery, location="query", arg_name="query")
@bp.output(AdminUsersAnswer)
def users(query: UsersQuery) -> Any:
    """Everyone, newest first."""
    found = admin.list_users(query.q, role=query.role, active=query.is_active, cursor=query.cursor, limit=query.limit)
    return {
        "items": [AdminUserAnswer.model_validate(user) for user in found.items],
        "next_cursor": found.next_cursor,
    }


@bp.patch("/users/<uuid:uuid>")
@guards.admin_bearer
@bp.doc(operation_id="changeUser", security="bearer")
@bp.input(UserBody, arg_name="body")
@bp.output(ChangedUserAnswer)
def change(uuid: UUID, body: UserBody) -> Any:
    """Give another role, let in or keep out; all sessions and tokens of the user end. Admins: by super admins only.

    Who is kept out has nothing done in their name any more; `stopped` says what that was.
    Needs a log-in of the last ten minutes, or `/auth/confirm`.
    """
    changed = admin.change(guards.user(), uuid, role=body.role, active=body.is_active, visitor=guards.visitor())
    db.session.commit()
    return dump_changed(changed)


@bp.get("/tasks")
@guards.admin_bearer
@bp.doc(operation_id="listAllTasks", security="bearer")
@bp.input(AdminTasksQuery, location="query", arg_name="query")
@bp.output(AdminTasksAnswer)
def tasks(query: AdminTasksQuery) -> Any:
    """Everyone's tasks with their owners, newest first."""
    found = admin.list_tasks(status=query.status, cursor=query.cursor, limit=query.limit)
    return {"items": [dump_owned(task) for task in found.items], "next_cursor": found.next_cursor}


@bp.get("/system")
@guards.admin_bearer
@bp.doc(operation_id="getSystemState", security="bearer")
@bp.output(SystemAnswer)
def system() -> Any:
    """Queue, workers, Redis, budgets, stopped numbers, captcha."""
    return SystemAnswer.model_validate(admin.system())
