"""Waiting for PostgreSQL: a slow answer is waited for, a server that keeps silent holds nobody."""

import threading
import time
from collections.abc import Iterator

import psycopg2
import pytest
import sqlalchemy
from apiflask import APIFlask
from psycopg2 import errors
from sqlalchemy import Engine, create_engine, exc, text
from sqlalchemy.engine import make_url

from portal import postgres
from portal.config import CONNECTION
from tests.conftest import Urls
from tests.tcp_proxy import TcpProxy, tcp_proxy

SOON = 1.5


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "SILENT_SECONDS", 0.3)
    monkeypatch.setattr(postgres, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(postgres, "ASK_SECONDS", 0.3)
    monkeypatch.setattr(postgres, "KNOWN_SECONDS", 0.3)


@pytest.fixture
def wire(urls: Urls) -> Iterator[TcpProxy]:
    with tcp_proxy(make_url(urls.database).port or 5432) as proxy:
        yield proxy


@pytest.fixture
def engine(urls: Urls, wire: TcpProxy) -> Iterator[Engine]:
    url = make_url(urls.database).set(drivername="postgresql+psycopg2", host="127.0.0.1", port=wire.port)
    engine = create_engine(url, pool_pre_ping=True, pool_timeout=5, connect_args=CONNECTION)
    yield engine
    engine.dispose()


def ask(engine: Engine, statement: str = "SELECT 1") -> float:
    """The seconds that it took, also when it failed."""
    began = time.monotonic()
    try:
        with engine.connect() as connection:
            connection.execute(text(statement))
    except exc.OperationalError:
        return time.monotonic() - began
    raise AssertionError("it was answered")


def answered(engine: Engine, statement: str = "SELECT 1") -> bool:
    with engine.connect() as connection:
        connection.execute(text(statement))
    return True


@pytest.mark.parametrize("is_connected", [True, False])
def test_a_server_that_keeps_silent_holds_nobody(engine: Engine, wire: TcpProxy, is_connected: bool) -> None:
    assert not is_connected or answered(engine)
    wire.set("hole")
    took: list[float] = []
    threads = [threading.Thread(target=lambda: took.append(ask(engine))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(took) == 8 and max(took) < SOON
    wire.set("pass")
    until = time.monotonic() + 5
    while time.monotonic() < until:
        try:
            assert answered(engine)
            return
        except exc.OperationalError:
            time.sleep(0.02)
    raise AssertionError("it did not come back by itself")


def test_while_it_is_silent_one_asks_and_all_others_are_refused_at_once(
    engine: Engine, wire: TcpProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert answered(engine)
    wire.set("hole")
    ask(engine)
    monkeypatch.setattr(postgres, "KNOWN_SECONDS", 60)
    assert [ask(engine) < 0.1 for _ in range(20)] == [True] * 20


def test_a_slow_answer_is_waited_for(engine: Engine) -> None:
    assert answered(engine, "SELECT pg_sleep(1)")  # three times as long as one is silent


def test_a_request_does_not_wait_as_long_as_a_worker(
    app: APIFlask, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "REQUEST_SECONDS", 0.4)
    with app.test_request_context():
        assert ask(engine, "SELECT pg_sleep(3)") < SOON
    assert answered(engine, "SELECT pg_sleep(0.6)")


def test_a_full_connection_is_read_on(engine: Engine) -> None:
    with engine.connect() as connection:
        found = connection.execute(text("SELECT repeat('x', 1000) FROM generate_series(1, 20000)")).all()
    assert len(found) == 20_000


def _wrapped(cause: type[Exception], kind: type[exc.DBAPIError] = exc.DBAPIError) -> exc.DBAPIError:
    return kind("SELECT 1", {}, cause())


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (_wrapped(errors.AdminShutdown), "database_unavailable"),
        (_wrapped(errors.CannotConnectNow), "database_unavailable"),
        (_wrapped(errors.QueryCanceled), "database_unavailable"),
        (_wrapped(errors.ReadOnlySqlTransaction), "database_unavailable"),
        (_wrapped(psycopg2.InterfaceError), "database_unavailable"),
        (_wrapped(psycopg2.DatabaseError), "database_unavailable"),
        (psycopg2.OperationalError(), "database_unavailable"),
        (exc.TimeoutError(), "database_unavailable"),
        (exc.PendingRollbackError(), "database_unavailable"),
        (_wrapped(errors.DiskFull), "storage_full"),
        (_wrapped(errors.UniqueViolation), None),
        (_wrapped(errors.UndefinedTable), None),
        (_wrapped(errors.InFailedSqlTransaction), None),
        (sqlalchemy.exc.ArgumentError(), None),
    ],
    ids=lambda value: type(getattr(value, "orig", value)).__name__ if isinstance(value, Exception) else "",
)
def test_an_outage_is_told_from_a_mistake(error: Exception, code: str | None) -> None:
    assert postgres.outage(error) == code
