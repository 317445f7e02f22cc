"""Parts are killed in the middle of the work: nothing is lost, nothing is done twice."""

import os
import secrets
import signal
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from portal.gateways.store import FolderStore
from tests.engine.servers import Site, head
from tests.program import LIVE, Program
from tests.stack import Stack, stack

LEASE = 4  # seconds; the default is longer
BODY = b"a,b\n" + b"1,2\n" * 100_000


class Halting:
    """A file whose first transfer halts in the middle until let go; later ones come whole."""

    def __init__(self) -> None:
        self.asked, self.halted, self.go_on = 0, threading.Event(), threading.Event()

    def answer(self, sock: socket.socket, _: str) -> None:
        self.asked += 1
        first = self.asked == 1
        try:
            sock.sendall(head(Content_Length=str(len(BODY))) + BODY[: len(BODY) // 2])
            if first:
                self.halted.set()
                self.go_on.wait(60)
            sock.sendall(BODY[len(BODY) // 2 :])
        except OSError:
            return  # the one who asked was killed


@pytest.fixture(scope="module")
def mortal(source: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A portal with servers of its own, so that they may be killed."""
    with stack(
        tmp_path_factory.mktemp("mortal"),
        DATABASE_URL="",
        REDIS_URL="",
        FETCH_ALLOW_HOSTS=f"127.0.0.1:{source.port}",
        TASK_LEASE_SECONDS=str(LEASE),
    ) as running:
        yield running


def pid(portal: Stack, name: str) -> int:
    """Of a part, as the supervisor noted it."""
    return int((portal.folder / f"run/{name}.pid").read_text().split()[0])


def kill(portal: Stack, name: str) -> None:
    os.kill(pid(portal, name), signal.SIGKILL)


def stored(portal: Stack) -> list[str]:
    return [f"store/{stored.key}" for stored in FolderStore(portal.folder / "store").listed()]


def test_a_killed_worker_loses_no_task_and_makes_no_second_dataset(mortal: Stack, source: Site) -> None:
    file = Halting()
    program = Program(mortal)
    program.sign_up(f"worker-{secrets.token_hex(3)}")
    uuid = program.fetch(source.on("/halting.csv", file.answer))
    assert file.halted.wait(20)
    program.until(uuid, lambda task: task["progress"] > 0)
    kill(mortal, "worker")
    began = time.monotonic()
    program.until(uuid, lambda task: task["attempt"] == 2, seconds=LEASE + 10)
    assert time.monotonic() - began < LEASE + 10
    task = program.ended(uuid)
    file.go_on.set()
    assert (task["status"], task["attempt"], task["result"]["rows"]) == ("completed", 2, 100_000)
    assert len(program.call("GET", "/api/v1/datasets")[1]["items"]) == 1
    assert [name for name in stored(mortal) if uuid in name] == [f"store/datasets/{uuid}/2.parquet"]
    assert not (mortal.folder / "work" / uuid).exists()


def test_a_killed_valkey_loses_no_task(mortal: Stack, source: Site) -> None:
    url = source.file("/small.csv", b"a,b\n1,2\n")
    program = Program(mortal)
    program.sign_up(f"valkey-{secrets.token_hex(3)}")
    uuids = [program.fetch(url)]
    kill(mortal, "valkey")
    uuids += [program.fetch(url) for _ in range(10)]
    ended = [program.ended(uuid, seconds=60) for uuid in uuids]
    assert {task["status"] for task in ended} == {"completed"}
    assert len(program.call("GET", "/api/v1/datasets")[1]["items"]) == len(uuids)


def test_a_restarted_postgresql_loses_no_task(mortal: Stack, source: Site) -> None:
    file = Halting()
    program = Program(mortal)
    program.sign_up(f"postgres-{secrets.token_hex(3)}")
    uuid = program.fetch(source.on("/restart.csv", file.answer))
    assert file.halted.wait(20)
    os.kill(pid(mortal, "postgres"), signal.SIGQUIT)  # immediate: it recovers from its log
    file.go_on.set()
    # Until the restart is over a call may be answered 503, and nothing else.
    deadline = time.monotonic() + 60
    while True:
        status, task = program.call("GET", f"/api/v1/tasks/{uuid}")
        assert status in (200, 503)
        if status == 200 and task["status"] not in LIVE:
            break
        assert time.monotonic() < deadline, task
        time.sleep(0.15)
    assert (task["status"], task["result"]["rows"]) == ("completed", 100_000)


def test_a_cancelled_fetch_stops_in_the_middle_of_a_blocked_read(mortal: Stack, source: Site) -> None:
    file = Halting()
    program = Program(mortal)
    program.sign_up(f"cancel-{secrets.token_hex(3)}")
    uuid = program.fetch(source.on("/cancelled.csv", file.answer))
    assert file.halted.wait(20)
    program.until(uuid, lambda task: task["status"] == "processing")
    status, task = program.call("POST", f"/api/v1/tasks/{uuid}/cancel")
    assert (status, task["status"], task["cancelling"]) == (202, "processing", True)
    began = time.monotonic()
    task = program.ended(uuid, seconds=5)
    file.go_on.set()
    assert task["status"] == "cancelled" and time.monotonic() - began < 5
    assert [name for name in stored(mortal) if uuid in name] == []
    assert not (mortal.folder / "work" / uuid).exists()
