"""The servers by themselves, as other tests use them."""

import socket
import time
from pathlib import Path

import psycopg2
import pytest
import redis

from portal.local import servers
from portal.local.refusals import Refused


def test_throwaway_servers_are_quick_private_and_go(tmp_path: Path) -> None:
    started = time.monotonic()
    with servers.throwaway(tmp_path) as running:
        assert time.monotonic() - started < 10
        address = running.postgres.url.replace("+psycopg2", "")
        with psycopg2.connect(address) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT current_database(), lower('ÄÉ'), current_setting('fsync')")
            assert cursor.fetchone() == ("portal", "äé", "off")
        connection.close()
        assert redis.Redis.from_url(running.redis.url).config_get("maxmemory-policy") == {
            "maxmemory-policy": "noeviction"
        }
        with socket.create_connection(("127.0.0.1", running.redis.port)) as connection:
            connection.sendall(b"PING\r\n")
            assert connection.recv(64).startswith(b"-NOAUTH")
        with pytest.raises(psycopg2.OperationalError, match="password"):
            psycopg2.connect(address.replace("portal:", "portal:x"))
    with pytest.raises(psycopg2.OperationalError):
        psycopg2.connect(address)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", running.redis.port))


def test_a_server_that_does_not_start_says_why(tmp_path: Path) -> None:
    with servers.Valkey(tmp_path, throwaway=True) as first:
        second = servers.Valkey(tmp_path, throwaway=True)
        second.port = first.port
        with pytest.raises(Refused, match=r"valkey ended with exit code 1\.\n(.*\n)*.*Address already in use"):
            second.start()
