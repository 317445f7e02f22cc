"""The whole cast at once, with log-ins that took no password and one of each thing that somebody owns.

alice owns; bob is another member; dana is switched off; frank is an admin, grace the super admin, erin is changed.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any
from uuid import UUID

import duckdb
from apiflask import APIFlask
from flask.testing import FlaskClient
from flask_jwt_extended import create_access_token
from itsdangerous import URLSafeTimedSerializer
from sqlalchemy import func, text

from portal.extensions import db
from portal.models import Dataset, LoginSession, Task, User
from portal.services import passwords, tasks
from tests.cast import PASSWORD, bearer
from tests.routes_table import USUAL, Way

CAST: dict[str, dict[str, Any]] = {
    "alice": {},
    "bob": {},
    "dana": {"is_active": False},
    "erin": {},
    "frank": {"role": "admin", "totp_secret": "x", "totp_since": func.now()},
    "grace": {"role": "super_admin", "totp_secret": "x", "totp_since": func.now()},
}
NOBODYS = UUID("00000000-0000-4000-8000-000000000000")
RAW_CSRF = "0123456789abcdef0123456789abcdef01234567"
SINCE_CHANGED = """
SELECT md5(string_agg((to_jsonb(t) - 'last_used_at')::text, ',' ORDER BY (to_jsonb(t) - 'last_used_at')::text))
FROM "{}" t
"""


@cache
def _hashed(key: str) -> str:
    return passwords.hashed(PASSWORD)


@dataclass
class Stage:
    """Ids of the people by name, and of alice's things by what an address calls them."""

    app: APIFlask
    ids: dict[str, int] = field(default_factory=dict)
    uuids: dict[str, UUID] = field(default_factory=dict)
    things: dict[str, UUID] = field(default_factory=dict)

    def login(self, name: str, kind: str = "browser", way: Way = USUAL, **values: Any) -> LoginSession:
        """A log-in, two minutes old so that it is still fresh, or six hours; admins gave their second factor."""
        began = datetime.now(UTC) - (timedelta(minutes=2) if way.fresh else timedelta(hours=6))
        with self.app.app_context():
            login = LoginSession(
                user_id=self.ids[name],
                kind=kind,
                fresh_at=began,
                expires_at=began + timedelta(days=7),
                refresh_jti="00000000-0000-4000-8000-00000000000a" if kind == "api" else None,
                two_factor_at=began if way.factor and CAST[name].get("totp_since") is not None else None,
                **values,
            )
            db.session.add(login)
            db.session.commit()
            return login

    def browser(self, name: str | None, way: Way = USUAL) -> FlaskClient:
        """Somebody's browser, or a stranger's; `csrf_token` is good in it."""
        client = self.app.test_client()
        with client.session_transaction() as session:
            session.update({"csrf_token": RAW_CSRF, "locale": "en"})
            if name:
                session.update({"_user_id": str(self.login(name, way=way).id), "_fresh": True, "username": name})
        return client

    def token(self, name: str | None, way: Way = USUAL) -> dict[str, str]:
        """The header of somebody's program; none for a stranger's."""
        if name is None:
            return {}
        login = self.login(name, "api", way)
        with self.app.app_context():
            token = create_access_token(str(self.uuids[name]), additional_claims={"sid": str(login.id)})
        return bearer(token)

    def csrf_token(self, raw: str = RAW_CSRF) -> str:
        return str(URLSafeTimedSerializer(self.app.config["SECRET_KEY"], salt="wtf-csrf-token").dumps(raw))

    def checksum(self) -> dict[str, str | None]:
        """One of each table, but for when log-ins were used last."""
        with self.app.app_context():
            return {name: db.session.scalar(text(SINCE_CHANGED.format(name))) for name in db.metadata.tables}


def set_up(app: APIFlask) -> Stage:
    stage = Stage(app)
    with app.app_context():
        for number, (name, values) in enumerate(CAST.items()):
            user = User(
                username=name,
                email=f"{name}@example.com",
                email_verified_at=func.now(),
                phone_number=f"+861380013800{number}",
                hashed_password=_hashed(app.config["SECRET_KEY"]),
                locale="en",
                **values,
            )
            db.session.add(user)
            db.session.flush()
            stage.ids[name], stage.uuids[name] = user.id, user.uuid
        alice = db.session.get_one(User, stage.ids["alice"])
        stage.things["task"] = tasks.submit(alice, "health_check", {}).uuid
        stage.things["ended"] = tasks.cancel(alice, tasks.submit(alice, "health_check", {}).uuid).uuid
        stage.things["dataset"] = dataset(app, alice, "one.parquet").uuid
        db.session.commit()
    stage.things["session"] = stage.login("alice").id
    stage.things["user"] = stage.uuids["erin"]
    return stage


def dataset(app: APIFlask, owner: User, store_key: str) -> Dataset:
    """Of one row and one column, `a`, whose file is in the store."""
    folder = app.extensions["settings"].store_folder
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / store_key).exists():
        duckdb.sql(f"COPY (SELECT 1 AS a) TO '{folder / store_key}'")
    task = tasks.submit(owner, "health_check", {})
    made = Dataset(
        owner_id=owner.id,
        task_id=db.session.query(Task.id).filter_by(uuid=task.uuid).scalar(),
        name="one",
        source_url="http://example.com/one.csv",
        source_bytes=3,
        source_sha256="0" * 64,
        store_key=store_key,
        stored_bytes=3,
        stored_sha256="0" * 64,
        rows=1,
        columns=[{"name": "a", "type": "integer"}],
        keep_until=datetime.now(UTC) + timedelta(days=1),
    )
    db.session.add(made)
    db.session.flush()
    return made
