"""Migrations go up, down to nothing, up again, and agree with the models."""

from pathlib import Path

import flask_migrate
from apiflask import APIFlask
from sqlalchemy import inspect

from portal.app import create_app
from portal.config import Settings
from portal.extensions import db
from tests.conftest import Urls, own_database


def test_up_down_up_and_check(settings: Settings, servers: Urls) -> None:
    with own_database(servers, 0) as own:
        there = Settings.model_validate(settings.model_dump() | {"database_url": own.database})
        _up_down_up(create_app(there))


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
