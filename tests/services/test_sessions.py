"""Old log-ins leave the table."""

from datetime import UTC, datetime, timedelta

from apiflask import APIFlask
from sqlalchemy import select

from portal.extensions import db
from portal.models import LoginSession, User
from portal.services import sessions
from portal.services.events import Visitor
from tests.cast import person


def test_log_ins_that_ended_long_ago_are_deleted(app: APIFlask) -> None:
    alice = person(app, "alice")
    long_ago = datetime.now(UTC) - timedelta(days=31)
    with app.app_context():
        user = db.session.get_one(User, alice.id)
        live, ended, over = (sessions.start(user, kind="browser", visitor=Visitor()) for _ in range(3))
        ended.ended_at, over.expires_at = long_ago, long_ago
        db.session.commit()
        assert sessions.forget_old() == 2
        db.session.commit()
        assert db.session.scalars(select(LoginSession.id)).all() == [live.id]
