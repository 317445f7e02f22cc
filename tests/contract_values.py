"""Values that no draw hits upon: things that are there, passwords, codes and tokens that are good."""

import hashlib
import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from apiflask import APIFlask
from flask_jwt_extended import create_refresh_token
from schemathesis import APIOperation
from schemathesis import Case as AnyCase

from portal.extensions import db, gateways
from portal.models import Export, Task, User
from portal.services import links, tasks
from tests.cast import PASSWORD, solved
from tests.routes_table import NEW
from tests.stack import new_number
from tests.stage import CAST, Stage, dataset, set_up
from tests.tables import emptied

Case = AnyCase[APIOperation[Any, Any, Any, Any]]
ACTORS = {"nobody": None, "member": "alice", "admin": "grace"}
PURPOSES = {  # of the SMS code that an operation takes
    "POST /api/v1/auth/register": "register",
    "POST /api/v1/auth/login/sms": "login",
    "POST /api/v1/auth/password/reset": "reset_password",
    "PATCH /api/v1/users/me": "change_phone",
}
LINKS = {"POST /api/v1/auth/password/reset": "reset_password", "POST /api/v1/auth/email/verify": "verify_email"}
PARAMS: dict[Any, Callable[[dict[str, UUID]], dict[str, str]]] = {
    "fetch": lambda _: {"url": "http://example.com/one.csv"},
    "export": lambda things: {"dataset": str(things["dataset"]), "format": "csv"},
    "health_check": lambda _: {},
}
WHERE = '[{"column": "a", "op": "ge", "value": 0}]'
FILE = b"a\n1\n"


class Values:
    """A fresh stage on which nobody, a member and an admin each have things of their own."""

    def __init__(self, app: APIFlask) -> None:
        emptied(app)
        self._app, self._stage = app, set_up(app)
        self._things = {name: _things(self._stage, name) for name in ("alice", "grace")}

    def headers(self, actor: str) -> dict[str, str]:
        """A token of a log-in that no call before has ended."""
        return self._stage.token(ACTORS[actor])

    def put_ids(self, case: Case, actor: str) -> None:
        """Those of the actor's things in place of what was drawn; nobody's are alice's."""
        thing = self._things[ACTORS[actor] or "alice"][_thing_of(case.path)]
        case.path_parameters = dict.fromkeys(case.path_parameters or {}, str(thing))

    def put_fields(self, case: Case, actor: str) -> None:
        """What would be accepted in place of what was drawn for a field, where something has to be known for it."""
        name = ACTORS[actor] or "alice"
        if "where" in (case.query or {}):
            case.query = {**case.query, "where": WHERE, "sort": "-a"}
        if isinstance(case.body, bytes):
            case.body = FILE
        if isinstance(case.body, dict):
            known = self._known(case.operation.label, name, case.body)
            case.body = {field: known[field]() if field in known else drawn for field, drawn in case.body.items()}

    def _known(self, operation: str, name: str, body: dict[str, Any]) -> dict[str, Callable[[], Any]]:
        purpose = PURPOSES.get(operation) or body.get("purpose")
        number = _number(name) if purpose in ("login", "reset_password") else new_number()
        token = self._link(name, LINKS[operation]) if operation in LINKS else ""
        kind = body.get("kind")
        params = PARAMS[kind](self._things[name]) if kind in PARAMS else {}
        return {
            "account": lambda: name,
            "password": lambda: NEW if operation.endswith("/register") else PASSWORD,
            "current_password": lambda: PASSWORD,
            "new_password": lambda: NEW,
            "otp": lambda: "",
            "username": lambda: f"someone-{secrets.token_hex(4)}",
            "email": lambda: f"{secrets.token_hex(4)}@example.com",
            "captcha": lambda: {"ticket": solved(self._app.test_client())},
            "phone_number": lambda: number,
            "sms_code": lambda: self._code(number, purpose or "login"),
            "token": lambda: token,
            "refresh_token": lambda: self._refresh_token(name),
            "params": lambda: params,
        }

    def _code(self, number: str, purpose: str) -> str:
        """A code that was sent there, or one that is wrong where none may be sent now."""
        client = self._app.test_client()
        body = {"phone_number": number, "purpose": purpose, "captcha": {"ticket": solved(client)}}
        client.post("/api/v1/auth/sms-code", json=body)
        with self._app.app_context():
            sent = [sms for sms in gateways().outbox.messages() if sms["to"] == number]  # type: ignore[union-attr]
        return str(sent[0]["code"]) if sent else "000000"

    def _link(self, name: str, purpose: str) -> str:
        with self._app.app_context():
            return links.make(db.session.get_one(User, self._stage.ids[name]), purpose)

    def _refresh_token(self, name: str) -> str:
        login = self._stage.login(name, "api")
        with self._app.app_context():
            claims = {"sid": str(login.id), "jti": login.refresh_jti}
            return str(create_refresh_token(str(self._stage.uuids[name]), additional_claims=claims))


def _number(name: str) -> str:
    return f"+861380013800{list(CAST).index(name)}"


def _thing_of(path: str) -> str:
    """What an address is about: `/api/v1/tasks/{uuid}/retry` is about a task that has ended."""
    ends = {"/retry": "ended", "/download": "exported"}
    starts = {"/api/v1/tasks/": "task", "/api/v1/datasets/": "dataset", "/api/v1/admin/": "user"}
    found = [thing for end, thing in ends.items() if path.endswith(end)]
    found += [thing for start, thing in starts.items() if path.startswith(start)]
    return [*found, "session"][0]


def _things(stage: Stage, name: str) -> dict[str, UUID]:
    """One of each for somebody, by what `_thing_of` calls it."""
    things = {"user": stage.uuids["erin"], "session": stage.login(name).id}
    with stage.app.app_context():
        owner = db.session.get_one(User, stage.ids[name])
        owner.pending_email = f"new.{name}@example.com"
        things["task"] = tasks.submit(owner, "health_check", {}).uuid
        things["ended"] = tasks.cancel(owner, tasks.submit(owner, "health_check", {}).uuid).uuid
        things["exported"] = tasks.submit(owner, "health_check", {}).uuid
        things["dataset"] = dataset(stage.app, owner, f"of-{name}.parquet").uuid
        task = db.session.scalars(db.select(Task).where(Task.uuid == things["exported"])).one()
        db.session.add(_export(stage.app, task, f"exports/of-{name}"))
        db.session.commit()
    return things


def _export(app: APIFlask, task: Task, key: str) -> Export:
    path = app.extensions["settings"].store_folder / key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(FILE)
    return Export(
        owner_id=task.owner_id,
        task_id=task.id,
        filename="one.csv",
        media_type="text/csv; charset=utf-8",
        rows=1,
        bytes=len(FILE),
        sha256=hashlib.sha256(FILE).hexdigest(),
        store_key=key,
        keep_until=datetime.now(UTC) + timedelta(days=1),
    )
