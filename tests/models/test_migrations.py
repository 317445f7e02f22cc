"""Migrations go up, down to nothing, up again, and agree with the models."""

import secrets
from pathlib import Path

import flask_migrate
import psycopg2
from apiflask import APIFlask
from sqlalchemy import inspect
from sqlalchemy.engine import make_url

from portal.app import create_app
from portal.config import Settings
from portal.extensions import db
from tests.conftest import Urls


def test_up_down_up_and_check(settings: Settings, servers: Urls) -> None:
    name = f"migrations_{secrets.token_hex(3)}"
    url = make_url(servers.database)
    admin = psycopg2.connect(url.set(drivername="postgresql").render_as_string(hide_password=False))
    admin.autocommit = True
    with admin.cursor() as cursor:
        cursor.execute(f'CREATE DATABASE "{name}"')
    try:
        there = url.set(database=name).render_as_string(hide_password=False)
        _up_down_up(
            create_app(
                settings.model_copy(update={"database_url": there.replace("postgresql:", "postgresql+psycopg2:")})
            )
        )
    finally:
        with admin.cursor() as cursor:
            cursor.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
        admin.close()


def _up_down_up(app: APIFlask) -> None:
    folder = str(Path(app.root_path).parent / "migrations")
    with app.app_context():
        flask_migrate.upgrade(folder)
        tables = set(inspect(db.engine).get_table_names())
        assert {"users", "sessions", "tasks", "datasets"} <= tables
        flask_migrate.downgrade(folder, revision="base")
        assert inspect(db.engine).get_table_names() == ["alembic_version"]
        functions = db.session.execute(db.text("SELECT proname FROM pg_proc WHERE proname LIKE 'tasks_%'")).all()
        db.session.rollback()
        assert functions == []
        flask_migrate.upgrade(folder)
        assert set(inspect(db.engine).get_table_names()) == tables
        flask_migrate.check(folder)
        db.engine.dispose()
