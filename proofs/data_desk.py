"""A member's desk for the proofs of data: files to fetch, a portal, tasks to wait for, and what workers hold."""

import hashlib
import http.client
import json
import os
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import duckdb

from portal.local.ports import free_port
from proofs.bench import ROOT
from proofs.fleet import Caller, Fleet, Member, fleet

MB, GB = 1024**2, 1024**3
END_SECONDS = 1800.0
LOOK_SECONDS = 0.005


class Desk:
    """One member, and what they do; `folder` holds what is served under `url(name)`."""

    def __init__(self, running: Fleet, folder: Path, port: int) -> None:
        self.fleet, self.folder, self._port = running, folder, port
        self.member: Member = running.member()
        self._caller: Caller = running.caller(self.member, seconds=300)

    def url(self, name: str, rate: float = 0) -> str:
        return f"http://127.0.0.1:{self._port}/{quote(name)}" + (f"?rate={rate:.0f}" if rate else "")

    def sent(self, name: str) -> int:
        """Bytes of a file that went out so far."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
        try:
            connection.request("GET", f"/sent/{quote(name)}")
            return int(connection.getresponse().read())
        finally:
            connection.close()

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """The answer of the API."""
        return self._caller.insist(method, f"/api/v1{path}", body)

    def submit(self, kind: str, **params: Any) -> str:
        answer = self.ask("POST", "/tasks", {"kind": kind, "params": params})
        assert answer.status == 202, answer.body
        return str(answer.body["uuid"])

    def ended(self, uuid: str, seconds: float = END_SECONDS) -> dict[str, Any]:
        """The task, once it has ended."""
        until = time.monotonic() + seconds
        while (task := self.ask("GET", f"/tasks/{uuid}").body)["poll_after"]:
            assert time.monotonic() < until, task
            time.sleep(0.1)
        return dict(task)

    def run(self, kind: str, **params: Any) -> dict[str, Any]:
        """A task that completes, with its result."""
        task = self.ended(self.submit(kind, **params))
        assert task["status"] == "completed", (task["error_code"], task["error_message"], params)
        return task

    def upload(self, path: Path) -> str:
        connection = self._connection()
        try:
            with path.open("rb") as file:
                headers = {**self._bearer, "Content-Length": str(path.stat().st_size)}
                connection.request("POST", f"/api/v1/uploads?name={quote(path.name)}", file, headers)
            answer = connection.getresponse()
            body = json.loads(answer.read())
            assert answer.status == 201, body
            return str(body["uuid"])
        finally:
            connection.close()

    def dataset_of(self, path: Path, **params: Any) -> str:
        """The dataset that a file on this machine becomes."""
        return str(self.run("fetch", upload=self.upload(path), **params)["result"]["dataset"])

    def download(self, uuid: str, path: Path, *, start: int = 0, stop_after: int | None = None) -> dict[str, str]:
        """The file of an export, from a byte on, to the end or broken off after so many; the answer's headers."""
        connection = self._connection()
        try:
            headers = self._bearer | ({"Range": f"bytes={start}-"} if start else {})
            connection.request("GET", f"/api/v1/tasks/{uuid}/download", headers=headers)
            answer = connection.getresponse()
            with path.open("r+b" if start else "wb") as file:
                file.seek(start)
                left = 1 << 60 if stop_after is None else stop_after
                while left and (piece := answer.read(min(1 << 20, left))):
                    left -= file.write(piece)
            return {"status": str(answer.status), **{name.lower(): value for name, value in answer.getheaders()}}
        finally:
            connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.fleet.portal.port, timeout=600)

    @property
    def _bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.member.token}"}

    # What the processes hold

    def worker_pids(self) -> list[int]:
        return [pid for worker in self.fleet.workers for pid in self.fleet.children_of(worker)]

    @contextmanager
    def peak(self) -> Iterator[list[int]]:
        """Meanwhile: the highest resident memory of the worker's slots and of what they start, in bytes, at [0]."""
        slots, most, over = self.worker_pids(), [0], threading.Event()
        for pid in slots:
            with suppress(OSError):
                Path(f"/proc/{pid}/clear_refs").write_text("5")

        def look() -> None:
            while not over.wait(LOOK_SECONDS):
                pids = [*slots, *(child for pid in slots for child in _children(pid))]
                most[0] = max(most[0], *(_status(pid, "VmHWM") for pid in pids))

        looking = threading.Thread(target=look)
        looking.start()
        try:
            yield most
        finally:
            over.set()
            looking.join()

    @staticmethod
    def resident(pids: list[int]) -> int:
        return sum(_status(pid, "VmRSS") for pid in pids)

    def web_pids(self) -> list[int]:
        return [pid for web in self.fleet.webs for pid in self.fleet.children_of(web)]


def _children(pid: int) -> list[int]:
    found: list[int] = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            found += map(int, path.read_text().split())
    return found


def _status(pid: int, name: str) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(name)), 0)


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def make_csv(path: Path, size: int) -> None:
    """A table of orders of about so many bytes: whole numbers, decimals, dates, moments, words, texts, gaps."""
    row = 100
    query = f"""
        SELECT i AS id, i % 50021 AS customer, round(random() * 1000, 2) AS amount,
               DATE '2015-01-01' + (i % 4000)::INTEGER AS day,
               TIMESTAMP '2020-01-01' + INTERVAL (i) SECOND AS at,
               ['north', 'south', 'east', 'west'][1 + i % 4] AS region,
               CASE WHEN i % 7 = 0 THEN NULL ELSE 'note ' || (i * 7919 % 100003) || ', seen' END AS note,
               i % 3 = 0 AS paid, lpad((i % 99991)::VARCHAR, 8, '0') AS code, hash(i) % 1000000 AS number
        FROM range({size // row}) t(i)
    """
    duckdb.connect().execute(f"COPY ({query}) TO '{path}' (FORMAT csv, HEADER)")


@contextmanager
def desk(folder: Path, **settings: Any) -> Iterator[Desk]:
    """A portal with one worker of one slot and a web, and a server of the folder's files; all gone afterwards."""
    port = free_port()
    server = subprocess.Popen([sys.executable, "-m", "proofs.files", str(folder), str(port)], cwd=ROOT)
    wide: dict[str, Any] = {
        "fetch_allow_hosts": f"127.0.0.1:{port}",
        "fetch_max_bytes": 8 * GB,
        "bytes_kept_per_user": 200 * GB,
        "bytes_fetched_per_user_day": 500 * GB,
        "task_lease_seconds": 3,
    }
    try:
        with fleet(workers=1, slots=1, **{**wide, **settings}) as running:
            yield Desk(running, folder, port)
    finally:
        server.terminate()
        server.wait()


def name(ending: str) -> str:
    """One that no file has yet."""
    return f"{secrets.token_hex(4)}{ending}"


def timed(*argv: str) -> tuple[float, float]:
    """Seconds that a command takes, by the clock and of the processors; raises when it fails."""
    before, began = os.times(), time.monotonic()
    subprocess.run(argv, check=True, capture_output=True)
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return time.monotonic() - began, cpu
