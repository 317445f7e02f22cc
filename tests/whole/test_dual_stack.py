"""A portal on `::`: visitors by IPv4 are who they are by IPv4, and by IPv6 who they are by IPv6."""

import socket
from pathlib import Path

import pytest

from tests.program import Program
from tests.stack import stack


def _has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


@pytest.mark.skipif(not _has_ipv6(), reason="this machine has no IPv6")
def test_ipv4_visitors_of_an_ipv6_socket_keep_their_address(tmp_path: Path) -> None:
    with stack(tmp_path, HOST="::") as running:
        program = Program(running)
        program.sign_up("alice")
        other = Program(running)
        other.base = other.base.replace("127.0.0.1", "[::1]")
        login = {"account": "alice", "password": "walking along the sea"}
        status, answer = other.call("POST", "/api/v1/auth/login", login)
        assert status == 200, answer
        sessions = program.call("GET", "/api/v1/users/me/sessions")[1]["items"]
    assert {session["address"] for session in sessions} == {"127.0.0.1", "::1"}
