"""Who is answered what, by route: status, and for a redirect where it leads. A new route needs a line here.

Everyone does everything right (their own CSRF token, a fresh log-in, a second factor where they have one) and sends
what BODIES says; without a line there nothing, which 422 refuses for its content alone. What is asked for is alice's.
What a route needs of a log-in beyond that stands there, too: `Row.answer` says what is answered without it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

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
    "PATCH /api/v1/users/me": {"username": "new-{name}"},
    "PUT /api/v1/users/me/password": {"new_password": NEW},
}

# What a log-in must have besides being live: a proof of the last minutes, the second factor, both.
Needs = Literal["nothing", "fresh", "factor", "fresh and factor"]
ANY: Needs = "nothing"
FRESH: Needs = "fresh"
FACTOR: Needs = "factor"
BOTH: Needs = "fresh and factor"


@dataclass(frozen=True)
class Way:
    """How somebody is logged in: whether the last proof is young, and whether who has a second factor gave it."""

    fresh: bool = True
    factor: bool = True


USUAL = Way()
# Those who have no second factor are not asked for it: for them `factor` makes no difference.
# In this order, for the last may be let in, and changes what the others ask for.
LACKING = {"stale, one factor": Way(False, False), "stale": Way(fresh=False), "one factor": Way(factor=False)}


@dataclass(frozen=True)
class Row:
    """What a route needs of a log-in, and what each of ACTORS is answered whose log-in has it."""

    needs: Needs
    answers: tuple[int | str, ...]

    def answer(self, actor: str, way: Way, *, program: bool) -> int | str:
        """What is answered to a log-in of another kind: those who may not enter at all are told nothing new."""
        usual = self.answers[list(ACTORS).index(actor)]
        turned_away = usual in (404, 401, "303 /login")
        if turned_away or self.needs == ANY:
            return usual
        if not way.factor and self.needs in (FACTOR, BOTH):
            return 403 if program else "303 /account/two-factor"
        if not way.fresh and self.needs in (FRESH, BOTH):
            return 403 if program else "303 /confirm"
        return usual


def everyone(expected: int | str) -> Row:
    return Row(ANY, (expected,) * len(ACTORS))


def members(needs: Needs, expected: int | str, admins: int | str | None = None) -> Row:
    """For pages; `admins` where they, who have a second factor, are answered something else."""
    theirs = expected if admins is None else admins
    return Row(needs, ("303 /login", "303 /login", expected, theirs, theirs, expected))


def owner(needs: Needs, expected: int | str) -> Row:
    return Row(needs, ("303 /login", "303 /login", 404, 404, 404, expected))


def admins(needs: Needs, expected: int | str) -> Row:
    return Row(needs, (404, 404, 404, expected, expected, 404))


def programs(needs: Needs, expected: int, admins: int | None = None) -> Row:
    return Row(needs, (401, 401, expected, admins or expected, admins or expected, expected))


def owners_program(needs: Needs, expected: int) -> Row:
    return Row(needs, (401, 401, 404, 404, 404, expected))


def admins_program(needs: Needs, expected: int, admin: int | None = None) -> Row:
    return Row(needs, (401, 401, 404, admin or expected, expected, 404))


def strangers(expected: int | str, others: str) -> Row:
    return Row(ANY, (expected, expected, others, others, others, others))


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
    "POST /logout": members(ANY, "303 /"),
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
    "GET /email/verify": members(ANY, 200),
    "POST /email/verify": members(ANY, 422),
    "GET /confirm": members(ANY, 200),
    "POST /confirm": members(ANY, "303 /account/", 422),  # they have to give the second factor, too
    # one's account
    "GET /account/": members(ANY, 200),
    "GET /account/username": members(FRESH, 200),
    "POST /account/username": members(FRESH, "303 /account/"),
    "GET /account/email": members(FRESH, 200),
    "POST /account/email": members(FRESH, "303 /account/"),
    "POST /account/email/link": members(ANY, "303 /account/"),
    "GET /account/phone": members(FRESH, 200),
    "POST /account/phone": members(FRESH, 422),
    "GET /account/phone/code": members(FRESH, "303 /account/phone"),
    "POST /account/phone/code": members(FRESH, 422),
    "POST /account/notices": members(ANY, "303 /account/"),
    "GET /account/password": members(FRESH, 200),
    "POST /account/password": members(FRESH, "303 /account/"),
    "GET /account/two-factor": members(FRESH, 200),
    "GET /account/two-factor/set-up": members(FRESH, 200, "303 /account/two-factor"),
    "POST /account/two-factor/set-up": members(FRESH, 422, "303 /account/two-factor"),
    "GET /account/two-factor/recovery-codes": members(ANY, "303 /account/two-factor"),
    "POST /account/two-factor/recovery-codes": members(FRESH, 409, 200),
    "GET /account/two-factor/off": members(ANY, "303 /account/two-factor"),
    "POST /account/two-factor/off": members(FRESH, 409),
    "GET /account/history/": members(ANY, 200),
    "GET /sessions/": members(ANY, 200),
    "POST /sessions/<uuid:session_id>/end": owner(ANY, "303 /sessions/"),
    "POST /sessions/end-all": members(ANY, "303 /login"),
    # tasks and datasets
    "GET /tasks/": members(ANY, 200),
    "POST /tasks/": members(ANY, "303 /tasks/<uuid>"),
    "POST /tasks/health-check": members(ANY, "303 /tasks/<uuid>"),
    "POST /tasks/bulk": members(ANY, "303 /tasks/"),  # others' tasks among them are left alone
    "GET /tasks/progress": members(ANY, "302 /tasks/"),
    "GET /tasks/<uuid:uuid>": owner(ANY, 200),
    "GET /tasks/<uuid:uuid>/progress": owner(ANY, "302 /tasks/<uuid>"),
    "GET /tasks/<uuid:uuid>/timeline": owner(ANY, "302 /tasks/<uuid>"),
    "POST /tasks/<uuid:uuid>/cancel": owner(ANY, "303 /tasks/<uuid>"),
    "POST /tasks/<uuid:uuid>/retry": owner(ANY, "303 /tasks/<uuid>"),
    "GET /tasks/<uuid:uuid>/download": owner(ANY, 404),  # it is no export
    "GET /uploads/": members(ANY, "302 /tasks/"),
    "POST /uploads/": members(ANY, 422),  # no file
    "GET /datasets/": members(ANY, 200),
    "GET /datasets/<uuid:uuid>": owner(ANY, 200),
    "GET /datasets/<uuid:uuid>/columns": owner(ANY, 200),
    "GET /datasets/<uuid:uuid>/row": owner(ANY, 200),
    "GET /datasets/<uuid:uuid>/edit": owner(ANY, 200),
    "POST /datasets/<uuid:uuid>/edit": owner(ANY, "303 /datasets/<uuid>"),
    "GET /datasets/<uuid:uuid>/export": owner(ANY, 200),
    "POST /datasets/<uuid:uuid>/export": owner(ANY, "303 /tasks/<uuid>"),
    "POST /datasets/<uuid:uuid>/fetch-again": owner(ANY, "303 /tasks/<uuid>"),
    "POST /datasets/<uuid:uuid>/delete": owner(ANY, "303 /datasets/"),
    # admins
    "GET /admin/": admins(FACTOR, "302 /admin/users"),
    "GET /admin/users": admins(FACTOR, 200),
    "GET /admin/users/<uuid:uuid>": admins(FACTOR, 200),
    "GET /admin/users/<uuid:uuid>/active": admins(FACTOR, "303 /admin/users/<uuid>"),  # back from /confirm
    "GET /admin/users/<uuid:uuid>/role": admins(FACTOR, "303 /admin/users/<uuid>"),
    "POST /admin/users/<uuid:uuid>/active": admins(BOTH, "303 /admin/users/<uuid>"),
    "POST /admin/users/<uuid:uuid>/role": admins(
        BOTH, "303 /admin/users/<uuid>"
    ),  # an admin is told that it was not done
    "GET /admin/tasks": admins(FACTOR, 200),
    "GET /admin/messages": admins(FACTOR, 200),
    "GET /admin/messages/<prefix>/lift": admins(FACTOR, "303 /admin/messages"),
    "POST /admin/messages/<prefix>/lift": admins(BOTH, "303 /admin/messages"),
    "GET /admin/history": admins(FACTOR, 200),
    "GET /admin/system": admins(FACTOR, 200),
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
    "POST /api/v1/auth/logout": programs(ANY, 200),
    "POST /api/v1/auth/logout-all": programs(ANY, 200),
    "POST /api/v1/auth/password/forgot": everyone(422),
    "POST /api/v1/auth/password/reset": everyone(422),
    "POST /api/v1/auth/email/verify": programs(ANY, 422),
    "POST /api/v1/auth/confirm": programs(ANY, 200, admins=422),
    "GET /api/v1/users/me": programs(ANY, 200),
    "PATCH /api/v1/users/me": programs(FRESH, 200),
    "PUT /api/v1/users/me/password": programs(FRESH, 204),
    "POST /api/v1/users/me/email/verify": programs(ANY, 409),
    "GET /api/v1/users/me/events": programs(ANY, 200),
    "GET /api/v1/users/me/sessions": programs(ANY, 200),
    "DELETE /api/v1/users/me/sessions/<uuid:session_id>": owners_program(ANY, 204),
    "GET /api/v1/tasks": programs(ANY, 200),
    "POST /api/v1/tasks": programs(ANY, 202),
    "GET /api/v1/tasks/<uuid:uuid>": owners_program(ANY, 200),
    "GET /api/v1/tasks/<uuid:uuid>/events": owners_program(ANY, 200),
    "POST /api/v1/tasks/<uuid:uuid>/cancel": owners_program(ANY, 202),
    "POST /api/v1/tasks/<uuid:uuid>/retry": owners_program(ANY, 202),
    "GET /api/v1/datasets": programs(ANY, 200),
    "GET /api/v1/datasets/<uuid:uuid>": owners_program(ANY, 200),
    "GET /api/v1/datasets/<uuid:uuid>/rows": owners_program(ANY, 200),
    "GET /api/v1/datasets/<uuid:uuid>/profile": owners_program(ANY, 200),
    "POST /api/v1/datasets/<uuid:uuid>/fetch": owners_program(ANY, 202),
    "PATCH /api/v1/datasets/<uuid:uuid>": owners_program(ANY, 200),
    "DELETE /api/v1/datasets/<uuid:uuid>": owners_program(ANY, 204),
    "GET /api/v1/tasks/<uuid:uuid>/download": owners_program(ANY, 404),
    "POST /api/v1/uploads": programs(ANY, 201),
    "GET /api/v1/users/me/quota": programs(ANY, 200),
    "GET /api/v1/admin/users": admins_program(FACTOR, 200),
    "PATCH /api/v1/admin/users/<uuid:uuid>": admins_program(BOTH, 200, admin=403),
    "GET /api/v1/admin/tasks": admins_program(FACTOR, 200),
    "GET /api/v1/admin/system": admins_program(FACTOR, 200),
}
TABLE = {**PAGES, **PROGRAMS}


def body_of(route: str, name: str | None, things: Mapping[str, Any]) -> dict[str, Any]:
    words = {"name": name or "nobody", **things}
    return {field: value.format(**words) for field, value in BODIES.get(route, {}).items()}
