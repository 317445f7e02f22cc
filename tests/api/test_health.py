"""What `/health/ready` says to those who operate the portal, and to strangers: no more than they need."""

import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from apiflask import APIFlask
from sqlalchemy.engine import make_url

from portal.app import create_app
from portal.config import Settings
from portal.extensions import db
from portal.services import health, processes
from tests.tcp_proxy import TcpProxy, tcp_proxy

EVERYTHING = {"status", "problems", "postgresql", "redis", "store", "queue", "workers", "dispatchers"}


@pytest.fixture(autouse=True)
def fresh(app: APIFlask) -> None:
    app.extensions.pop("health", None)


@pytest.fixture
def staffed(app: APIFlask) -> Iterator[APIFlask]:
    """A worker with two slots and a dispatcher are alive."""
    with app.app_context():
        processes.seen("worker@here", "worker", 2)
        processes.seen("dispatcher@here", "dispatcher")
        db.session.commit()
    yield app
    with app.app_context():
        processes.gone("worker@here")
        processes.gone("dispatcher@here")
        db.session.commit()


@pytest.fixture
def wires(settings: Settings) -> Iterator[tuple[TcpProxy, TcpProxy]]:
    """To PostgreSQL and to Redis."""
    with (
        tcp_proxy(make_url(settings.database_url).port or 0) as postgres,
        tcp_proxy(urlsplit(settings.redis_url).port or 0) as redis,
    ):
        yield postgres, redis


@pytest.fixture
def wired(staffed: APIFlask, settings: Settings, wires: tuple[TcpProxy, TcpProxy]) -> APIFlask:
    """A portal that reaches its servers through them."""
    database = make_url(settings.database_url).set(host="127.0.0.1", port=wires[0].port)
    redis = urlsplit(settings.redis_url)
    redis = redis._replace(netloc=f"{redis.netloc.rpartition(':')[0]}:{wires[1].port}")
    urls = {"database_url": database.render_as_string(hide_password=False), "redis_url": redis.geturl()}
    return create_app(Settings.model_validate(settings.model_dump() | urls))


def ready(app: APIFlask) -> tuple[int, dict[str, Any]]:
    app.extensions.pop("health", None)
    answer = app.test_client().get("/health/ready")
    return answer.status_code, answer.get_json()


def test_all_is_well(staffed: APIFlask) -> None:
    status, said = ready(staffed)
    assert (status, said["status"], said["problems"]) == (200, "ready", [])
    assert said["workers"] == {"alive": 1, "slots": 2} and said["dispatchers"] == {"alive": 1}
    assert said["queue"] == {"waiting": 0, "running": 0, "oldest_seconds": 0}
    assert said["store"]["writable"] is True and said["store"]["free_bytes"] > 0
    assert said.keys() == EVERYTHING


def test_nobody_works(app: APIFlask) -> None:
    status, said = ready(app)
    assert (status, said["status"], said["problems"]) == (200, "degraded", ["workers_none", "dispatchers_none"])


def test_a_full_redis_is_told_from_a_dead_one(staffed: APIFlask, wired: APIFlask, wires: Any) -> None:
    redis = staffed.extensions["redis"]
    redis.config_set("maxmemory", 1)
    try:
        assert ready(staffed)[1]["problems"] == ["redis_full"]
    finally:
        redis.config_set("maxmemory", 0)
    wires[1].set("refuse")
    status, said = ready(wired)
    assert (status, said["status"], said["problems"]) == (200, "degraded", ["redis_down"])


def test_a_store_that_takes_nothing_in(staffed: APIFlask, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(staffed.extensions["gateways"].store, "_folder", tmp_path / "file")
    assert ready(staffed)[1]["problems"] == ["store_not_writable"]


def test_a_store_with_little_room(staffed: APIFlask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "LOW_BYTES", 2**62)
    assert ready(staffed)[1]["problems"] == ["store_low"]


def test_it_answers_within_a_second_when_all_is_frozen(wired: APIFlask, wires: Any) -> None:
    assert ready(wired)[1]["problems"] == []
    for wire in wires:
        wire.set("hole")
    began = time.monotonic()
    status, said = ready(wired)
    assert time.monotonic() - began < 1.2
    assert (status, said["status"], said["problems"]) == (503, "unavailable", ["postgresql_down", "redis_down"])


def test_a_slow_look_is_not_yet_an_outage(wired: APIFlask, wires: Any) -> None:
    client = wired.test_client()
    assert client.get("/health/ready").status_code == 200
    for part in wired.extensions["health"]:
        part._found_at -= health.FRESH_SECONDS
    wires[0].set("hole")
    assert client.get("/health/ready").get_json()["postgresql"] == "ok"


def test_many_who_ask_cost_one_look(staffed: APIFlask, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[str] = []

    def alive(kind: str) -> list[Any]:
        looks.append(kind)
        return []

    monkeypatch.setattr(processes, "alive", alive)
    client = staffed.test_client()
    for _ in range(20):
        client.get("/health/ready")
    assert looks == ["worker", "dispatcher"]


def test_strangers_learn_no_address(wired: APIFlask, wires: Any, settings: Settings) -> None:
    for wire in wires:
        wire.set("refuse")
    said = wired.test_client().get("/health/ready").text
    secrets = ["127.0.0.1", str(wires[0].port), str(wires[1].port), str(settings.store_folder), "Error"]
    assert [secret for secret in secrets if secret in said] == []
