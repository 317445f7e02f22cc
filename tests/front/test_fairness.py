"""Complete requests of one network, however many, hold no other network up; too many of one are refused and told."""

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path

import pytest
from apiflask import APIFlask

from portal.front import terms
from portal.front.pool import Pool
from portal.front.waiting import Step, Waiting
from tests.front.conftest import Answer, Front, started, until_closed

FLOOD, OTHER = "127.0.0.2", "127.0.0.3"
HANG = b"GET /hang HTTP/1.1\r\nHost: localhost\r\n\r\n"
LASTING = b"GET /api/hang HTTP/1.1\r\nHost: localhost\r\n\r\n"
ASK = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


class Told:
    """Steps that say when it is their turn, and how they were refused."""

    def __init__(self, unfinished: Callable[[str], int] = lambda _: 0) -> None:
        self.waiting = Waiting(unfinished)
        self.refused: list[tuple[str, int]] = []

    def put(self, *networks: str) -> None:
        for name in networks:
            self.waiting.put(Step(lambda: None, name, partial(self._let_go, name)))

    def _let_go(self, name: str, status: int) -> None:
        self.refused.append((name, status))

    def taken(self, count: int) -> list[str]:
        """Whose turn it is, so many times, each finished at once."""
        names = []
        for _ in range(count):
            step = self.waiting.take()
            self.waiting.finished(step)
            names.append(step.network)
        return names


def test_who_has_least_at_work_is_next() -> None:
    told = Told()
    told.put("a", "a", "b")
    at_work = [told.waiting.take() for _ in range(2)]
    assert [step.network for step in at_work] == ["b", "a"]  # who has least waiting, too
    told.waiting.finished(at_work[0])
    told.put("b")
    assert told.waiting.take().network == "b"


def test_one_flood_passes_for_one_visitor() -> None:
    told = Told()
    told.put(*["flood"] * 100, *[f"visitor{n}" for n in range(9)])
    first = told.taken(12)
    assert {f"visitor{n}" for n in range(9)} <= set(first)
    assert Counter(first)["flood"] == 3  # each fourth is who waits longest: nobody waits for ever


def test_who_holds_many_unfinished_requests_comes_after_who_holds_none() -> None:
    told = Told(lambda name: 5 if name.startswith("stranger") else 0)
    told.put(*[f"stranger{n}" for n in range(40)], "visitor")
    assert "visitor" in told.taken(2)


def test_nobody_waits_for_ever() -> None:
    told = Told(lambda name: 50 if name == "office" else 0)
    told.put("office")
    names = []
    for n in range(8):
        told.put(f"visitor{n}")
        names += told.taken(1)
    assert "office" in names


def test_one_network_leaves_threads_to_others() -> None:
    told = Told()
    told.put(*["flood"] * (terms.THREADS_OF_ONE + 3))
    at_work = [told.waiting.take() for _ in range(terms.THREADS_OF_ONE)]
    coming: list[Step] = []
    thread = threading.Thread(target=lambda: coming.append(told.waiting.take()), daemon=True)
    thread.start()
    told.put("visitor")
    thread.join(10)
    assert [step.network for step in coming] == ["visitor"]
    later = threading.Thread(target=lambda: coming.append(told.waiting.take()), daemon=True)
    later.start()
    told.waiting.finished(at_work[0])
    later.join(10)
    assert [step.network for step in coming] == ["visitor", "flood"]


def test_all_who_hold_many_unfinished_requests_share_a_few_threads() -> None:
    told = Told(lambda name: terms.FEW + 1 if name.startswith("stranger") else terms.FEW)
    told.put(*[f"stranger{n}" for n in range(terms.THREADS)], *[f"visitor{n}" for n in range(terms.THREADS)])
    at_work = [told.waiting.take() for _ in range(terms.THREADS)]
    strangers = [step for step in at_work if step.network.startswith("stranger")]
    assert 0 < len(strangers) <= terms.THREADS_OF_MANY
    for step in at_work:
        told.waiting.finished(step)
    assert len(told.taken(terms.THREADS)) == terms.THREADS


def test_too_many_of_one_network_are_refused() -> None:
    told = Told()
    told.put(*["flood"] * (terms.WAITING_OF_ONE + 2), "visitor")
    assert told.refused == [("flood", 429)] * 2


def test_where_all_is_full_who_has_most_goes() -> None:
    told = Told()
    told.put(*["a"] * terms.WAITING_OF_ONE, *["b"] * (terms.WAITING - terms.WAITING_OF_ONE))
    told.put("visitor")
    assert told.refused in ([("a", 503)], [("b", 503)])
    told.refused.clear()
    alone = Told()
    alone.put(*[f"visitor{n}" for n in range(terms.WAITING)], "last")
    assert alone.refused == [("last", 503)]


def test_what_ends_something_is_never_refused() -> None:
    told = Told()
    told.put(*["a"] * terms.WAITING_OF_ONE, *["b"] * (terms.WAITING - terms.WAITING_OF_ONE))
    closed = threading.Event()
    told.waiting.put(Step(closed.set, "a"))
    Pool(told.waiting)
    assert closed.wait(10)
    assert told.refused == []


@pytest.fixture
def hanging(whole_app: APIFlask, tmp_path: Path) -> Iterator[Front]:
    with started(whole_app.extensions["settings"], tmp_path, "--app", "tests.front.hanging:app") as running:
        yield running


def test_a_network_whose_requests_all_hang_takes_nobody_else_s_thread(hanging: Front) -> None:
    (before,) = hanging.webs()
    with ExitStack() as stack:
        for _ in range(3 * terms.THREADS):
            stack.enter_context(closing(hanging.connect(FLOOD))).sendall(HANG)
        for _ in range(30):
            sock = stack.enter_context(closing(hanging.connect(OTHER, seconds=10)))
            sock.sendall(ASK)
            assert int(Answer(until_closed(sock)).body) == before
    assert hanging.webs() == [before]


@pytest.mark.parametrize("asked", [HANG, LASTING], ids=["page", "API"])
def test_who_asks_too_much_at_once_is_told_to_wait(hanging: Front, asked: bytes) -> None:
    most = terms.THREADS_OF_ONE + terms.WAITING_OF_ONE
    with ExitStack() as stack:
        for _ in range(most):
            stack.enter_context(closing(hanging.connect(FLOOD))).sendall(asked)
        sock = stack.enter_context(closing(hanging.connect(FLOOD, seconds=10)))
        sock.sendall(asked.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        answer = Answer(until_closed(sock))
        assert (answer.status, answer.headers["retry-after"]) == (429, "5")
        if asked is LASTING:
            assert json.loads(answer.body)["code"] == "too_many_waiting"
        assert "wait for an answer" in answer.body.decode()
        assert "请过几秒再试" in answer.body.decode()
        other = stack.enter_context(closing(hanging.connect(OTHER, seconds=10)))
        other.sendall(ASK)
        assert Answer(until_closed(other)).status == 200
