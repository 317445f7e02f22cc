"""Real servers for every test: PostgreSQL and Valkey started here, or those that DATABASE_URL and REDIS_URL name."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import flask_migrate
import psycopg2
import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient
from redis import Redis
from sqlalchemy.engine import make_url
from xdist.scheduler import LoadScopeScheduling

from portal.app import create_app
from portal.config import Settings
from portal.extensions import db
from portal.local.servers import throwaway
from portal.services import passwords
from tests.tables import emptied
from tests.watch import Watch, watching


class Together(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """Tests of a folder that starts the whole portal run in one process, so that it is started once at a time.

    The proofs, each with a portal of its own that mostly waits, run in two, by their names: one after the other they
    would take longer than all other tests.

    pytest-xdist's own groups are not seen with this pytest: https://github.com/pytest-dev/pytest-xdist/issues/1386
    """

    def _split_scope(self, nodeid: str) -> str:
        if nodeid.startswith("tests/proofs/"):
            return "proofs a-o" if nodeid.partition("[")[2] < "p" else "proofs p-z"
        folders = ("tests/browser/", "tests/whole/")
        return next((folder for folder in folders if nodeid.startswith(folder)), nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Together:
    return Together(config, log)


class Urls(NamedTuple):
    database: str
    redis: str


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Urls]:
    """One pair of servers for this process."""
    given = os.environ.get("DATABASE_URL"), os.environ.get("REDIS_URL")
    if given[0] and given[1]:
        yield Urls(given[0], given[1])
        return
    with throwaway(tmp_path_factory.mktemp("servers")) as started:
        yield Urls(given[0] or started.postgres.url, given[1] or started.redis.url)


@contextmanager
def own_database(servers: Urls, number: int) -> Iterator[Urls]:
    """An empty database and a Redis number of one's own, so that nobody else is met there."""
    name = f"test_{secrets.token_hex(6)}"
    url = make_url(servers.database).set(drivername="postgresql")
    admin = psycopg2.connect(url.render_as_string(hide_password=False))
    admin.autocommit = True
    with admin.cursor() as cursor:
        cursor.execute(f'CREATE DATABASE "{name}"')
    redis = urlsplit(servers.redis)._replace(path=f"/{number}").geturl()
    try:
        yield Urls(url.set(database=name).render_as_string(hide_password=False), redis)
    finally:
        with admin.cursor() as cursor:
            cursor.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
        admin.close()


@pytest.fixture(scope="session")
def urls(servers: Urls) -> Iterator[Urls]:
    """For the application of this process."""
    with own_database(servers, 1 + _worker()) as own:
        yield own


def _worker() -> int:
    """Which worker of a parallel run this process is."""
    return int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))


@pytest.fixture(scope="session")
def settings(urls: Urls, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings of local mode, with a captcha that is quick to solve."""
    return Settings(
        portal_mode="local",
        secret_key=secrets.token_urlsafe(40),
        jwt_secret_key=secrets.token_urlsafe(40),
        password_key=secrets.token_urlsafe(40),
        database_url=urls.database,
        redis_url=urls.redis,
        instance_path=tmp_path_factory.mktemp("instance"),
        captcha_cost=100,
        default_locale="en",
        public_url="http://127.0.0.1:8000",
        sms_per_address_day=10_000,
        sms_per_minute=10_000,
        sms_per_day=10_000,
        api_per_minute=100_000,
        fetch_allow_hosts=[],
    )


@pytest.fixture(scope="session")
def watch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watch]:
    """Of everything this process's tests log and write down, nothing may be secret."""
    with watching(tmp_path_factory.mktemp("watch") / "said") as watch:
        yield watch
        assert watch.found() == []


@pytest.fixture(scope="session")
def whole_app(settings: Settings, watch: Watch) -> Iterator[APIFlask]:
    """The application on a migrated database."""
    app = create_app(settings)
    app.config["TESTING"] = True
    app.config["PROPAGATE_EXCEPTIONS"] = False
    with app.app_context():
        flask_migrate.upgrade(str(Path(app.root_path).parent / "migrations"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "COST", 4)  # bcrypt's least; portals that tests start as programs hash at full cost
        yield app
    with app.app_context():
        watch.rows()
        db.engine.dispose()


@pytest.fixture
def app(whole_app: APIFlask, watch: Watch) -> Iterator[APIFlask]:
    """The application with empty tables and an empty Redis."""
    with whole_app.app_context():
        watch.rows()  # of the test before
        emptied(whole_app)
    yield whole_app
    with whole_app.app_context():
        db.session.remove()


@pytest.fixture
def client(app: APIFlask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def redis(app: APIFlask) -> Redis:
    client: Redis = app.extensions["redis"]
    return client


@pytest.fixture(autouse=True)
def _push_request_context() -> None:
    """In place of pytest-flask's: a context left open would be shared by the requests of a test, log-ins included."""
