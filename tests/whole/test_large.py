"""A large file in bounded memory; bombs and endless bodies end with the reason."""

import gzip
import secrets
import socket
import threading
from collections.abc import Iterator

import duckdb
import psutil
import pytest

from tests.engine.servers import Site, head
from tests.program import Program
from tests.stack import Stack

ROWS = 1_000_000
MEMORY = 300 * 1024**2


def lines() -> Iterator[bytes]:
    """A million rows of more than a hundred bytes."""
    yield b"id,amount,day,name,note\n"
    filler = "x" * 60
    for start in range(0, ROWS, 10_000):
        yield "".join(
            f"{n},{n % 1000}.25,2026-{n % 12 + 1:02}-{n % 28 + 1:02},name {n},{filler}{n}\n"
            for n in range(start, start + 10_000)
        ).encode()


def send(sock: socket.socket, pieces: Iterator[bytes], size: int | None = None) -> None:
    try:
        sock.sendall(head(**({"Content_Length": str(size)} if size else {"Connection": "close"})))
        for piece in pieces:
            sock.sendall(piece)
    except OSError:
        return  # the portal had enough


class Peak:
    """The most memory that any process of the worker held (its resident set, bytes), looked at 50 times a second."""

    def __init__(self, stack: Stack) -> None:
        self.bytes = 0
        pid = int((stack.folder / "run" / "worker.pid").read_text().split()[0])
        self._worker = psutil.Process(pid)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def _watch(self) -> None:
        while not self._ended.wait(0.02):
            for process in (self._worker, *self._worker.children(recursive=True)):
                try:
                    self.bytes = max(self.bytes, process.memory_info().rss)
                except psutil.NoSuchProcess:
                    continue

    def __enter__(self) -> "Peak":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()


def test_a_million_rows_in_bounded_memory(portal: Stack, program: Program, source: Site) -> None:
    size = sum(map(len, lines()))
    assert size >= 100 * 1000**2
    url = source.on("/million.csv", lambda sock, _: send(sock, lines(), size))
    program.sign_up(f"large-{secrets.token_hex(3)}")
    with Peak(portal) as peak:
        task = program.ended(program.fetch(url), seconds=120)
    assert task["status"] == "completed", task
    assert (task["result"]["rows"], task["result"]["bytes"]) == (ROWS, size)
    assert peak.bytes < MEMORY, f"{peak.bytes / 1024**2:.0f} MiB"
    print(f"peak {peak.bytes / 1024**2:.0f} MiB for {size / 1024**2:.0f} MiB")  # noqa: T201

    file = portal.folder / f"store/datasets/{task['uuid']}/1.parquet"
    table = duckdb.read_parquet(str(file))
    sums = table.aggregate("count(*), sum(id), sum(amount), count(DISTINCT day)").fetchall()
    assert sums == [(ROWS, ROWS * (ROWS - 1) // 2, pytest.approx(sum(range(1000)) * 1000 + 0.25 * ROWS), 84)]
    file.unlink()


def test_a_gzip_bomb_fails_with_the_reason(portal: Stack, program: Program, source: Site) -> None:
    body = gzip.compress(b"a,b\n" + b"1,2\n" * 60_000_000, 9)
    url = source.file("/bomb.csv.gz", body)
    program.sign_up(f"bomb-{secrets.token_hex(3)}")
    with Peak(portal) as peak:
        task = program.ended(program.fetch(url), seconds=60)
    assert (task["status"], task["error_code"]) == ("failed", "bomb"), task
    assert peak.bytes < MEMORY


def test_an_endless_body_fails_with_the_reason(portal: Stack, program: Program, source: Site) -> None:
    def endless() -> Iterator[bytes]:
        yield b"a,b\n"
        while not source.released.is_set():
            yield b"1,2\n" * 65536

    url = source.on("/endless.csv", lambda sock, _: send(sock, endless()))
    program.sign_up(f"endless-{secrets.token_hex(3)}")
    with Peak(portal) as peak:
        task = program.ended(program.fetch(url), seconds=60)
    assert (task["status"], task["error_code"]) == ("failed", "too_large"), task
    assert "400 MiB" in task["error_message"]
    assert peak.bytes < MEMORY
