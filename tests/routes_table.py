"""Who is answered what, by route: status, and for a redirect where it leads. A new route needs a line here.

Everyone does everything right (their own CSRF token, a fresh log-in, a second factor where they have one) and sends
what BODIES says; without a line there nothing, which 422 refuses for its content alone. What is asked for is alice's.
"""

from collections.abc import Mapping
from typing import Any

from tests.cast import PASSWORD

# In this order, the owner last: what she does may end what the others ask for.
ACTORS = {"anonymous": None, "inactive": "dana", "other": "bob", "admin": "frank", "super": "grace", "owner": "alice"}

# The first that fits.
THINGS = {
    "/tasks/<uuid:uuid>/retry": "ended",
    "/api/v1/tasks/<uuid:uuid>/retry": "ended",
    "/tasks/<": "task",
    "/api/v1/tasks/<": "task",
    "/datasets/<": "dataset",
    "/api/v1/datasets/<": "dataset",
    "/sessions/<": "session",
    "/api/v1/users/me/sessions/<": "session",
    "/admin/users/<": "user",
    "/api/v1/admin/users/<": "user",
}
NEW = "a long walk by the sea"
BODIES: dict[str, dict[str, str]] = {
    "POST /account/email": {"email": "new.{name}@example.com"},
    "POST /account/notices": {"wanted": "yes"},
    "POST /account/password": {"new_password": NEW},
    "POST /account/username": {"username": "new-{name}"},
    "POST /admin/users/<uuid:uuid>/active": {"active": "no"},
    "POST /admin/users/<uuid:uuid>/role": {"role": "admin"},
    "POST /confirm": {"password": PASSWORD},
    "POST /datasets/<uuid:uuid>/edit": {"name": "two"},
    "POST /datasets/<uuid:uuid>/export": {"format": "csv"},
    "POST /language": {"locale": "zh"},
    "POST /login": {"account": "alice", "password": PASSWORD},
    "POST /tasks/": {"url": "http://example.com/one.csv"},
    "POST /tasks/bulk": {"action": "cancel", "task": "{task}"},
    "PATCH /api/v1/admin/users/<uuid:uuid>": {"role": "admin"},
    "POST /api/v1/auth/confirm": {"password": PASSWORD},
    "POST /api/v1/auth/login": {"account": "alice", "password": PASSWORD},
    "POST /api/v1/tasks": {"kind": "health_check"},
    "PATCH /api/v1/datasets/<uuid:uuid>": {"name": "two"},
    "PATCH /api/v1/users/me": {"locale": "zh"},
    "PUT /api/v1/users/me/password": {"new_password": NEW},
}

Row = tuple[int | str, ...]


def everyone(expected: int | str) -> Row:
    return (expected,) * len(ACTORS)


def members(expected: int | str, admins: int | str | None = None) -> Row:
    """For pages; `admins` where they, who have a second factor, are answered something else."""
    theirs = expected if admins is None else admins
    return "303 /login", "303 /login", expected, theirs, theirs, expected


def owner(expected: int | str) -> Row:
    return "303 /login", "303 /login", 404, 404, 404, expected


def admins(expected: int | str) -> Row:
    return 404, 404, 404, expected, expected, 404


def programs(expected: int, admins: int | None = None) -> Row:
    return 401, 401, expected, admins or expected, admins or expected, expected


def owners_program(expected: int) -> Row:
    return 401, 401, 404, 404, 404, expected


def admins_program(expected: int, admin: int | None = None) -> Row:
    return 401, 401, 404, admin or expected, expected, 404


def strangers(expected: int | str, others: str) -> Row:
    return expected, expected, others, others, others, others


PAGES: dict[str, Row] = {
    "GET /": strangers(200, "302 /tasks/"),
    "POST /language": everyone("303 /"),
    # sign up, log in
    "GET /register": everyone(200),
    "POST /register": everyone(422),
    "GET /register/account": everyone("303 /register"),
    "POST /register/account": everyone(422),
    "GET /login": strangers(200, "303 /tasks/"),
    "POST /login": everyone("303 /tasks/"),
    "GET /login/sms": everyone(200),
    "POST /login/sms": everyone(422),
    "GET /login/sms/code": everyone("303 /login/sms"),
    "POST /login/sms/code": everyone(422),
    "GET /login/factor": everyone("303 /login"),
    "POST /login/factor": everyone("303 /login"),
    "POST /logout": members("303 /"),
    # passwords and links
    "GET /password/forgot": everyone(200),
    "POST /password/forgot": everyone(422),
    "GET /password/forgot/sent": everyone(200),
    "GET /password/forgot/sms": everyone(200),
    "POST /password/forgot/sms": everyone(422),
    "GET /password/reset": everyone(200),
    "POST /password/reset": everyone(422),
    "GET /password/reset/code": everyone("303 /password/forgot/sms"),
    "POST /password/reset/code": everyone(422),
    "GET /email/verify": everyone(200),
    "POST /email/verify": everyone(422),
    "GET /confirm": members(200),
    "POST /confirm": members("303 /account/", 422),  # they have to give the second factor, too
    # one's account
    "GET /account/": members(200),
    "GET /account/username": members(200),
    "POST /account/username": members("303 /account/"),
    "GET /account/email": members(200),
    "POST /account/email": members("303 /account/"),
    "POST /account/email/link": members("303 /account/"),
    "GET /account/phone": members(200),
    "POST /account/phone": members(422),
    "GET /account/phone/code": members("303 /account/phone"),
    "POST /account/phone/code": members(422),
    "POST /account/notices": members("303 /account/"),
    "GET /account/password": members(200),
    "POST /account/password": members("303 /account/"),
    "GET /account/two-factor": members(200),
    "GET /account/two-factor/set-up": members(200, "303 /account/two-factor"),
    "POST /account/two-factor/set-up": members(422, "303 /account/two-factor"),
    "GET /account/two-factor/recovery-codes": members("303 /account/two-factor"),
    "POST /account/two-factor/recovery-codes": members(409, 200),
    "GET /account/two-factor/off": members("303 /account/two-factor"),
    "POST /account/two-factor/off": members(409),
    "GET /account/history/": members(200),
    "GET /sessions/": members(200),
    "POST /sessions/<uuid:session_id>/end": owner("303 /sessions/"),
    "POST /sessions/end-all": members("303 /login"),
    # tasks and datasets
    "GET /tasks/": members(200),
    "POST /tasks/": members("303 /tasks/<uuid>"),
    "POST /tasks/health-check": members("303 /tasks/<uuid>"),
    "POST /tasks/bulk": members("303 /tasks/"),  # others' tasks among them are left alone
    "GET /tasks/progress": members("302 /tasks/"),
    "GET /tasks/<uuid:uuid>": owner(200),
    "GET /tasks/<uuid:uuid>/progress": owner("302 /tasks/<uuid>"),
    "GET /tasks/<uuid:uuid>/timeline": owner("302 /tasks/<uuid>"),
    "POST /tasks/<uuid:uuid>/cancel": owner("303 /tasks/<uuid>"),
    "POST /tasks/<uuid:uuid>/retry": owner("303 /tasks/<uuid>"),
    "GET /tasks/<uuid:uuid>/download": owner(404),  # it is no export
    "GET /uploads/": members("302 /tasks/"),
    "POST /uploads/": members(422),  # no file
    "GET /datasets/": members(200),
    "GET /datasets/<uuid:uuid>": owner(200),
    "GET /datasets/<uuid:uuid>/columns": owner(200),
    "GET /datasets/<uuid:uuid>/row": owner(200),
    "GET /datasets/<uuid:uuid>/edit": owner(200),
    "POST /datasets/<uuid:uuid>/edit": owner("303 /datasets/<uuid>"),
    "GET /datasets/<uuid:uuid>/export": owner(200),
    "POST /datasets/<uuid:uuid>/export": owner("303 /tasks/<uuid>"),
    "POST /datasets/<uuid:uuid>/fetch-again": owner("303 /tasks/<uuid>"),
    "POST /datasets/<uuid:uuid>/delete": owner("303 /datasets/"),
    # admins
    "GET /admin/": admins("302 /admin/users"),
    "GET /admin/users": admins(200),
    "GET /admin/users/<uuid:uuid>": admins(200),
    "POST /admin/users/<uuid:uuid>/active": admins("303 /admin/users/<uuid>"),
    "POST /admin/users/<uuid:uuid>/role": admins("303 /admin/users/<uuid>"),  # an admin is told that it was not done
    "GET /admin/tasks": admins(200),
    "GET /admin/messages": admins(200),
    "POST /admin/messages/<prefix>/lift": admins("303 /admin/messages"),
    "GET /admin/history": admins(200),
    "GET /admin/system": admins(200),
    # for everyone
    "GET /docs": everyone(200),
    "GET /redoc": everyone(200),
    "GET /openapi.json": everyone(200),
    "GET /dev/outbox": everyone(404),  # without its key: tests/web/test_outbox.py
    "GET /dev/outbox.json": everyone(404),
    "GET /static/<path:filename>": everyone(200),
}
PROGRAMS: dict[str, Row] = {
    "GET /health/live": everyone(200),
    "GET /health/ready": everyone(200),
    "GET /api/v1/auth/captcha": everyone(200),
    "GET /api/v1/auth/captcha/challenge": everyone(200),
    "POST /api/v1/auth/sms-code": everyone(422),
    "POST /api/v1/auth/register": everyone(422),
    "POST /api/v1/auth/login": everyone(200),
    "POST /api/v1/auth/login/sms": everyone(422),
    "POST /api/v1/auth/refresh": everyone(422),
    "POST /api/v1/auth/logout": programs(200),
    "POST /api/v1/auth/logout-all": programs(200),
    "POST /api/v1/auth/password/forgot": everyone(422),
    "POST /api/v1/auth/password/reset": everyone(422),
    "POST /api/v1/auth/email/verify": everyone(422),
    "POST /api/v1/auth/confirm": programs(200, admins=422),
    "GET /api/v1/users/me": programs(200),
    "PATCH /api/v1/users/me": programs(200),
    "PUT /api/v1/users/me/password": programs(204),
    "POST /api/v1/users/me/email/verify": programs(409),
    "GET /api/v1/users/me/events": programs(200),
    "GET /api/v1/users/me/sessions": programs(200),
    "DELETE /api/v1/users/me/sessions/<uuid:session_id>": owners_program(204),
    "GET /api/v1/tasks": programs(200),
    "POST /api/v1/tasks": programs(202),
    "GET /api/v1/tasks/<uuid:uuid>": owners_program(200),
    "GET /api/v1/tasks/<uuid:uuid>/events": owners_program(200),
    "POST /api/v1/tasks/<uuid:uuid>/cancel": owners_program(202),
    "POST /api/v1/tasks/<uuid:uuid>/retry": owners_program(202),
    "GET /api/v1/datasets": programs(200),
    "GET /api/v1/datasets/<uuid:uuid>": owners_program(200),
    "GET /api/v1/datasets/<uuid:uuid>/rows": owners_program(200),
    "GET /api/v1/datasets/<uuid:uuid>/profile": owners_program(200),
    "POST /api/v1/datasets/<uuid:uuid>/fetch": owners_program(202),
    "PATCH /api/v1/datasets/<uuid:uuid>": owners_program(200),
    "DELETE /api/v1/datasets/<uuid:uuid>": owners_program(204),
    "GET /api/v1/tasks/<uuid:uuid>/download": owners_program(404),
    "POST /api/v1/uploads": programs(201),
    "GET /api/v1/users/me/quota": programs(200),
    "GET /api/v1/admin/users": admins_program(200),
    "PATCH /api/v1/admin/users/<uuid:uuid>": admins_program(200, admin=403),
    "GET /api/v1/admin/tasks": admins_program(200),
    "GET /api/v1/admin/system": admins_program(200),
}
TABLE = {**PAGES, **PROGRAMS}


def body_of(route: str, name: str | None, things: Mapping[str, Any]) -> dict[str, Any]:
    words = {"name": name or "nobody", **things}
    return {field: value.format(**words) for field, value in BODIES.get(route, {}).items()}
