"""Places for what is scarce: a share for each owner, short queues, nobody waits long."""

import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from portal.errors import PortalError, TooMany, Unavailable
from portal.limits import Share
from portal.shares import Alone, Places


def places(**changes: float) -> Places:
    share: dict[str, float] = {"places": 2, "own": 1, "queue": 4, "own_queue": 2, "seconds": 5, **changes}
    return Places("look_busy", Share(**share), retry_after=5)  # type: ignore[arg-type]  # whole numbers but for seconds


def waiting(kind: Places) -> int:
    return len(kind._waiting)


def started(pool: ThreadPoolExecutor, kind: Places, owner: str) -> Future[Callable[[], None]]:
    """A request that has to wait, once it does."""
    before = waiting(kind)
    asked = pool.submit(kind.take, owner)
    while waiting(kind) == before and not asked.done():
        threading.Event().wait(0.001)
    return asked


def test_one_owner_never_has_more_than_their_share_however_many_they_send() -> None:
    kind, at_work, most, lock = places(), 0, 0, threading.Lock()

    def look() -> str:
        nonlocal at_work, most
        try:
            with kind.place("mallory"):
                with lock:
                    at_work += 1
                    most = max(most, at_work)
                threading.Event().wait(0.01)
                with lock:
                    at_work -= 1
        except PortalError as refusal:
            return f"{refusal.status} {refusal.code} {refusal.params}"
        return "done"

    with ThreadPoolExecutor(40) as pool:
        said = set(pool.map(lambda _: look(), range(200)))
    assert (most, said) == (1, {"done", "429 look_busy {'reason': 'own'}"})
    kind.take("somebody")()


def test_who_is_refused_is_refused_at_once_or_in_time() -> None:
    kind = places(seconds=0.05)
    kind.take("alice")
    with pytest.raises(TooMany) as own:
        kind.take("alice")
    kind.take("bob")
    with pytest.raises(Unavailable) as full:
        kind.take("charlie")
    assert (own.value.retry_after, full.value.retry_after, waiting(kind)) == (5, 5, 0)


def test_in_the_queue_goes_first_who_has_least_at_work() -> None:
    kind = places(own=2)
    release = [kind.take("alice"), kind.take("alice")]
    with ThreadPoolExecutor() as pool:
        again = started(pool, kind, "alice")
        other = started(pool, kind, "bob")
        release[0]()
        other.result(5)()
        again.result(5)()
        release[1]()


def test_a_full_queue_lets_go_the_last_of_whoever_has_most_in_it() -> None:
    kind = places(places=1, queue=2)
    release = kind.take("mallory")
    with ThreadPoolExecutor() as pool:
        first, last = started(pool, kind, "mallory"), started(pool, kind, "mallory")
        other = pool.submit(kind.take, "alice")
        with pytest.raises(PortalError, match="look_busy"):
            last.result(5)
        release()
        release()  # twice is once
        first.result(5)()
        other.result(5)()
    assert not kind._at_work and not kind._waiting


HOLDS = """
import sys
from pathlib import Path
from portal.shares import Alone
with Alone("look_busy", seconds=5, retry_after=5).on_machine(Path(sys.argv[1]), 7):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_one_owner_works_alone_on_the_machine_whatever_process_asks(tmp_path: Path) -> None:
    path, alone = tmp_path / "looks", Alone("look_busy", seconds=0.05, retry_after=5)
    argv = [sys.executable, "-c", HOLDS, str(path)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout and other.stdin and other.stdout.readline() == b"held\n"
        with alone.on_machine(path, 8):
            pass
        with pytest.raises(TooMany), alone.on_machine(path, 7):
            pass
        other.kill()  # what a dead process held is free
        other.wait()
        with alone.on_machine(path, 7), pytest.raises(ZeroDivisionError), alone.on_machine(path, 9):
            raise ZeroDivisionError
