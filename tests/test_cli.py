"""What operators do at the command line."""

import os
import subprocess
import sys
import threading
from typing import Any

from apiflask import APIFlask
from sqlalchemy import select, text

from portal.extensions import db
from portal.models import Event, User
from portal.services import events, passwords
from portal.services.events import Visitor

PASSWORD = "a long walk by the sea"
NAMES = ["--username", "root.admin", "--email", "Root@Example.com", "--phone-number", "138 0013 8000"]


def run(app: APIFlask, *args: str, typed: str = "") -> Any:
    return app.test_cli_runner().invoke(args=args, input=typed)


def create(app: APIFlask, *names: str, typed: str = f"{PASSWORD}\n") -> Any:
    return run(app, "users", "create-admin", *(names or NAMES), "--password-stdin", typed=typed)


def test_the_first_admin_is_a_super_admin_and_the_next_is_not(app: APIFlask) -> None:
    first = create(app)
    assert first.exit_code == 0, first.output
    assert "root.admin is super admin now." in first.output and "second factor" in first.output
    assert PASSWORD not in first.output
    second = create(app, "--username", "second", "--email", "second@example.com", "--phone-number", "13900139000")
    assert "second is admin now." in second.output
    with app.app_context():
        user = db.session.scalars(select(User).where(User.username == "root.admin")).one()
        assert (user.role, user.phone_number) == ("super_admin", "+8613800138000")
        assert (user.email, user.pending_email) == (None, "root@example.com")
        assert passwords.matches(PASSWORD, user.hashed_password)
        assert db.session.scalars(select(Event.kind).where(Event.user_id == user.id)).all() == ["account.registered"]


def test_the_password_is_asked_for_twice_and_not_shown(app: APIFlask) -> None:
    answer = run(app, "users", "create-admin", *NAMES, typed=f"{PASSWORD}\nsomething else\n{PASSWORD}\n{PASSWORD}\n")
    assert answer.exit_code == 0, answer.output
    assert "do not match" in answer.output and PASSWORD not in answer.output


def test_what_is_wrong_is_said_by_field(app: APIFlask) -> None:
    weak = create(app, typed="password\n")
    assert (weak.exit_code, "password: This password is easy to guess" in weak.output) == (1, True)
    assert create(app).exit_code == 0
    taken = create(app, "--username", "Root.Admin", "--email", "x@example.com", "--phone-number", "13900139000")
    assert (taken.exit_code, "username: This username is taken" in taken.output) == (1, True)
    with app.app_context():
        assert len(db.session.scalars(select(User)).all()) == 1


def test_verify_passes_then_names_the_row(app: APIFlask) -> None:
    with app.app_context():
        for number in range(3):
            events.record("login.failed", Visitor(), number=number)
        db.session.commit()
    whole = run(app, "history", "verify")
    assert (whole.exit_code, whole.output) == (0, "3 rows, all as they were written.\n")
    with app.app_context():
        db.session.execute(text("SET LOCAL session_replication_role = replica"))
        db.session.execute(text("UPDATE events SET address = '198.51.100.1' WHERE position = 2"))
        db.session.commit()
    broken = run(app, "history", "verify")
    assert (broken.exit_code, broken.output) == (1, "Row 2 was changed or removed. The 1 rows before it are right.\n")


def test_verify_is_not_misled_by_those_who_write_meanwhile(app: APIFlask) -> None:
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            with app.app_context():
                events.record_now("login.failed", Visitor())

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(20):
            answer = run(app, "history", "verify")
            assert answer.exit_code == 0, answer.output
    finally:
        stop.set()
        writer.join()


def test_no_process_loads_what_only_migrations_need() -> None:
    program = "import sys, portal.app; print([name for name in sys.argv[1:] if name in sys.modules])"
    needed = "alembic", "flask_migrate", "mako"
    done = subprocess.run([sys.executable, "-c", program, *needed], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_flask_has_its_migrations(app: APIFlask) -> None:
    """`make run` begins with them; Alembic is loaded by this command alone."""
    config = app.extensions["settings"]
    secret = {
        name: getattr(config, name).get_secret_value() for name in ("secret_key", "jwt_secret_key", "password_key")
    }
    plain = {"portal_mode": "local", "database_url": config.database_url, "redis_url": config.redis_url}
    env = os.environ | {name.upper(): value for name, value in {**secret, **plain}.items()}
    command = [sys.executable, "-m", "flask", "--app", "wsgi", "db", "current"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "plugin" not in done.stderr  # what Alembic is made of is nobody's question
