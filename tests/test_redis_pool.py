"""A Redis that is dead or hangs: whoever meets it first waits half a second, the others not at all."""

import threading
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from redis import Redis
from redis.exceptions import RedisError

from portal import redis_pool
from tests.conftest import Urls
from tests.tcp_proxy import TcpProxy, tcp_proxy


@pytest.fixture
def wire(urls: Urls) -> Iterator[TcpProxy]:
    with tcp_proxy(urlsplit(urls.redis).port or 6379) as proxy:
        yield proxy


@pytest.fixture
def client(urls: Urls, wire: TcpProxy) -> Redis:
    url = urlsplit(urls.redis)
    through = url._replace(netloc=f"{url.netloc.rpartition(':')[0]}:{wire.port}")
    return Redis(connection_pool=redis_pool.pool(through.geturl(), size=4))


def refused(client: Redis) -> float:
    """The seconds until it was."""
    began = time.monotonic()
    with pytest.raises(RedisError):
        client.ping()
    return time.monotonic() - began


@pytest.mark.parametrize("mode", ["hole", "refuse"])
def test_after_a_failure_it_is_left_alone_for_a_while(client: Redis, wire: TcpProxy, mode: str) -> None:
    assert client.ping()
    wire.set(mode)  # type: ignore[arg-type]
    assert refused(client) < 1.2
    assert max(refused(client) for _ in range(50)) < 0.1


def test_then_one_tries_and_the_others_wait_for_what_it_finds(
    client: Redis, wire: TcpProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_pool, "AWAY_SECONDS", 0.1)
    wire.set("hole")
    refused(client)
    time.sleep(0.2)  # until it is no longer taken to be away
    took: list[float] = []
    threads = [threading.Thread(target=lambda: took.append(refused(client))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(seconds > 0.4 for seconds in took) == 1


def test_it_is_used_again_when_it_is_back(client: Redis, wire: TcpProxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_pool, "AWAY_SECONDS", 0.2)
    assert client.ping()
    wire.set("refuse")
    refused(client)
    wire.set("pass")
    until = time.monotonic() + 5
    while True:
        try:
            assert client.ping()
            break
        except RedisError:
            assert time.monotonic() < until
            time.sleep(0.02)
    with client.pipeline() as pipe:
        pipe.ping()
        assert pipe.execute() == [True]


def test_a_fresh_start_of_redis_is_no_outage(client: Redis, wire: TcpProxy) -> None:
    assert client.ping()
    wire.set("refuse")
    wire.set("pass")
    assert client.ping()  # the pooled connection was stale


def test_no_free_connection_is_an_error_that_callers_expect(client: Redis) -> None:
    held = [client.connection_pool.get_connection() for _ in range(4)]
    assert 0.4 < refused(client) < 1.2
    client.connection_pool.release(held[0])
    assert client.ping()  # it was busy, not away


def test_the_pool_is_sized_by_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []
    for cores in (1, 4, 64):
        monkeypatch.setattr("os.sched_getaffinity", lambda _, cores=cores: set(range(cores)))
        sizes.append(redis_pool.size(local=False))
    assert (redis_pool.size(local=True), sizes) == (10, [20, 32, 100])
