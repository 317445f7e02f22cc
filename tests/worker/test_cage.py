"""Work in a process of its own: what comes out of it, and what becomes of it when it grows, hangs or dies."""

import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import psutil
import pytest

from portal.engine.stop import Stop
from portal.errors import Blocked, Fault, Stopped
from portal.worker.cage import MB, PATIENCE, Bounds, Cage, Inside

WAIT = 20  # seconds that nothing here takes
BOUNDS = Bounds(memory_mb=128, seconds=WAIT)


def dies(number: int) -> Callable[[Inside], None]:
    return lambda _: os.kill(os.getpid(), number)


def grows(step: int) -> Callable[[Inside], int]:
    """Without end, in steps of so many bytes that are really written."""

    def work(_: Inside) -> int:
        held = []
        while True:
            held.append(b"x" * step)

    return work


def hangs(inside: Inside) -> None:
    inside.measured(0)
    time.sleep(WAIT)


def spins(inside: Inside) -> None:
    inside.measured(0)
    until = time.process_time() + WAIT
    while time.process_time() < until:
        continue


def fails(problem: BaseException) -> Callable[[Inside], None]:
    def work(_: Inside) -> None:
        raise problem

    return work


def fault(work: Callable[[Inside], Any], bounds: Bounds = BOUNDS) -> tuple[str, bool]:
    cage = Cage(bounds, Stop())
    with pytest.raises(Fault) as caught:
        cage.run(work)
    with pytest.raises(ChildProcessError):  # nothing of it is left
        os.waitpid(cage._pid, 0)
    assert cage.peak_bytes < (bounds.memory_mb + 64) * MB
    return caught.value.code, caught.value.passing


def test_what_it_makes_comes_out() -> None:
    cage = Cage(BOUNDS, Stop())
    assert cage.run(lambda _: (os.getpid(), Path("x"))) == (cage._pid, Path("x"))
    assert cage._pid != os.getpid()


@pytest.mark.parametrize(
    ("work", "code"),
    [
        (grows(MB), "too_much_memory"),
        (grows(8 * MB), "too_much_memory"),
        (lambda _: bytearray(16 * 1024 * MB), "too_much_memory"),  # refused at once
        (fails(MemoryError()), "too_much_memory"),
        (dies(signal.SIGKILL), "too_much_memory"),  # as the kernel does where memory is short
        (dies(signal.SIGSEGV), "reader_crashed"),
        (dies(signal.SIGABRT), "reader_crashed"),
        (lambda _: os._exit(7), "reader_crashed"),
        (fails(Fault("gzip_corrupt")), "gzip_corrupt"),
    ],
)
def test_however_it_ends_it_is_a_fault_that_does_not_pass(work: Callable[[Inside], Any], code: str) -> None:
    assert fault(work) == (code, False)


def test_who_dies_beside_its_limit_died_of_it() -> None:
    def work(_: Inside) -> None:
        held = b"x" * (110 * MB)
        time.sleep(0.2)
        os.abort() if held else None

    assert fault(work) == ("too_much_memory", False)


def test_a_fault_keeps_what_is_known_of_it() -> None:
    with pytest.raises(Fault) as caught:
        Cage(BOUNDS, Stop()).run(fails(Fault("disk_full", passing=True, limit=7)))
    assert (caught.value.passing, caught.value.params) == (True, {"limit": 7})
    with pytest.raises(Blocked) as blocked:
        Cage(BOUNDS, Stop()).run(fails(Blocked("url_not_allowed", "peer", "inside.example", "10.0.0.1")))
    assert (blocked.value.code, blocked.value.ip, blocked.value.passing) == ("url_not_allowed", "10.0.0.1", False)
    with pytest.raises(FileNotFoundError):
        Cage(BOUNDS, Stop()).run(lambda _: Path("/nowhere/x").read_bytes())
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        Cage(BOUNDS, Stop()).run(lambda _: 1 // 0)


def test_time_is_counted_once_the_file_is_here() -> None:
    began = time.monotonic()
    assert fault(hangs, Bounds(128, 0.2)) == ("took_too_long", False)
    assert time.monotonic() - began >= 0.2 * PATIENCE
    assert fault(spins, Bounds(128, 0.2)) == ("took_too_long", False)
    assert fault(lambda _: time.sleep(WAIT), Bounds(128, 0.2, wait=0.3)) == ("took_too_long", False)
    assert fault(lambda _: os.kill(os.getpid(), signal.SIGSTOP), Bounds(128, 0.2, wait=0.3)) == ("took_too_long", False)

    def longer(inside: Inside) -> str:
        time.sleep(1.0)  # no size yet: no time
        inside.measured(2**40)
        time.sleep(1.0)
        return "done"

    assert Cage(Bounds(128, 0.2), Stop()).run(longer) == "done"


@pytest.mark.parametrize("deaf", [False, True])
def test_it_stops_when_it_is_told_and_is_stopped_when_it_does_not_listen(deaf: bool) -> None:
    stop = Stop()

    def work(inside: Inside) -> None:
        if deaf:
            time.sleep(WAIT)
        told = threading.Event()
        with inside.stop.interrupting(told.set):
            told.wait(WAIT)
        inside.stop.check()

    threading.Timer(0.1, stop.set).start()
    began = time.monotonic()
    with pytest.raises(Stopped):
        Cage(BOUNDS, stop).run(work)
    assert time.monotonic() - began < (3 if deaf else 1.5)


def test_it_asks_before_bytes_come_and_says_how_far_it_is() -> None:
    asked: list[int] = []

    def allow(count: int) -> None:
        asked.append(count)
        if count > 5:
            raise Fault("quota_fetched", limit=5)

    def work(inside: Inside) -> None:
        inside.meter.step("downloading", (1, 45))
        inside.meter.moved(50, 100)
        inside.ask(5)
        inside.ask(6)

    cage = Cage(BOUNDS, Stop(), allow)
    with pytest.raises(Fault, match="quota_fetched"):
        cage.run(work)
    assert asked == [5, 6] and (cage.read().percent, cage.read().code) == (23, "downloading")


def test_it_does_not_outlive_its_worker(tmp_path: Path) -> None:
    told = tmp_path / "pid"

    def work(_: Inside) -> None:
        told.write_text(str(os.getpid()))
        time.sleep(WAIT)

    if not (worker := os.fork()):
        Cage(BOUNDS, Stop()).run(work)
        os._exit(0)
    while not told.exists() or not told.read_text():
        time.sleep(0.01)
    os.kill(worker, signal.SIGKILL)
    os.waitpid(worker, 0)
    until = time.monotonic() + WAIT
    while _runs(int(told.read_text())):
        assert time.monotonic() < until
        time.sleep(0.01)


def _runs(pid: int) -> bool:
    try:
        return ") Z" not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


def test_a_signal_to_the_whole_group_does_not_end_it_whenever_it_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    fork, before = os.fork, signal.signal(signal.SIGTERM, lambda *_: None)

    def signalled() -> int:
        if not (pid := fork()):
            os.kill(os.getpid(), signal.SIGTERM)  # before it has done anything
        return pid

    monkeypatch.setattr(os, "fork", signalled)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        assert Cage(BOUNDS, Stop()).run(lambda _: os.kill(os.getpid(), signal.SIGTERM)) is None
        assert signal.SIGTERM not in signal.pthread_sigmask(signal.SIG_BLOCK, [])
    finally:
        signal.signal(signal.SIGTERM, before)


def test_nothing_is_left_of_many_that_were_killed() -> None:
    children = psutil.Process().children()  # servers of other tests
    files, threads = len(os.listdir("/proc/self/fd")), threading.active_count()
    for number in range(40):
        deadly = number % 2

        def work(_: Inside, deadly: int = deadly) -> None:
            os.kill(os.getpid(), signal.SIGKILL) if deadly else None

        with pytest.raises(Fault) if deadly else nullcontext():
            Cage(BOUNDS, Stop()).run(work)
    assert psutil.Process().children() == children
    assert (len(os.listdir("/proc/self/fd")), threading.active_count()) == (files, threads)
