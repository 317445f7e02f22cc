"""A web process that dies, is stopped or hangs is replaced within 15 s; one that only works hard is not."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from apiflask import APIFlask

from portal.front import terms
from tests.front.conftest import Front, started, until

HANG = b"GET /hang HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture
def hanging(whole_app: APIFlask, tmp_path: Path) -> Iterator[Front]:
    with started(whole_app.extensions["settings"], tmp_path, "--app", "tests.front.hanging:app") as running:
        yield running


def answers(front: Front) -> int:
    """The pid of the process that answers; 0 for none."""
    try:
        return int(front.get("/").body or b"0")
    except OSError:
        return 0


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP, signal.SIGSEGV])
def test_killed_or_stopped(hanging: Front, number: signal.Signals) -> None:
    (before,) = hanging.webs()
    began = time.monotonic()
    os.kill(before, number)
    until(lambda: hanging.webs() not in ([], [before]) and answers(hanging) in hanging.webs())
    assert time.monotonic() - began <= 15
    assert not Path(f"/proc/{before}").exists()


def test_all_threads_hang(hanging: Front) -> None:
    (before,) = hanging.webs()
    with ExitStack() as stack:
        began = time.monotonic()
        networks = terms.THREADS // terms.THREADS_OF_ONE + 1  # none may have more threads than one network has
        for n in range(terms.THREADS - 1):
            stack.enter_context(closing(hanging.connect(f"127.0.0.{2 + n % networks}"))).sendall(HANG)
        for _ in range(3):  # the loop answers, and the last thread
            assert hanging.get("/health/live").status == 200
            assert answers(hanging) == before
        stack.enter_context(closing(hanging.connect("127.0.0.3"))).sendall(HANG)
        assert hanging.get("/health/live").status == 200  # it may be work
        until(lambda: hanging.webs() not in ([], [before]) and answers(hanging) in hanging.webs())
        assert time.monotonic() - began <= 15 + 3
    assert not Path(f"/proc/{before}").exists()


def test_a_web_ends_with_its_parent(hanging: Front) -> None:
    (web,) = hanging.webs()
    hanging.process.kill()
    until(lambda: not Path(f"/proc/{web}").exists() or "Z" in Path(f"/proc/{web}/stat").read_text())


def test_a_header_with_a_line_break_is_not_sent(hanging: Front) -> None:
    answer = hanging.get("/split")
    assert (answer.status, "x-b" in answer.headers) == (500, False)
    assert answer.headers["date"].endswith(" GMT")
