"""Strangers' addresses and strangers' files: nothing closed is reached, nothing swells. A part of `proofs.data`."""

import gzip
import io
import json
import socket
import subprocess
import sys
import tempfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from portal.engine.zstd import zstd
from proofs.bench import ROOT, SHORT, Report
from proofs.ssrf_corpus import FINE, LEADING_AWAY, REFUSED

MB = 1024**2
BOMB = (128 if SHORT else 2048) * MB
LIMIT_SECONDS, LIMIT_BYTES, GROWTH = 6, 64 * MB, 64 * MB
AT_ONCE = 7
_CHILD = """
import json, sys, time
from pathlib import Path
from portal.engine.download import Limits
from portal.engine.fetch import Web, to_parquet
from portal.engine.guard import Policy
from portal.engine.meter import Meter
from portal.engine.stop import Stop
from portal.errors import Fault
import portal.engine.convert
port, path, work = int(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
seconds, most = float(sys.argv[4]), int(sys.argv[5])
def peak():  # not ru_maxrss, which begins with what the parent held
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))
before, began = peak(), time.monotonic()
limits = Limits(max_bytes=most, max_seconds=seconds, stall_seconds=3, connect_seconds=1, ratio_after=most)
try:
    web = Web(f"http://127.0.0.1:{port}{path}", {}, work / "source")
    to_parquet(web, work, limits=limits, stop=Stop(), meter=Meter(),
               policy=Policy(allow_hosts=frozenset({("127.0.0.1", port)})))
    outcome = "ok"
except Fault as fault:
    outcome = fault.code
print(json.dumps([outcome, time.monotonic() - began, peak() - before]))
"""


def guard(report: Report) -> None:
    report.part(f"{len(REFUSED)} addresses that must not be fetched, in a network where each of them answers")
    done = subprocess.run(
        [sys.executable, "-m", "proofs.ssrf_lab"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    said = json.loads(done.stdout)
    report.check("a network of its own could be entered", said.get("refused"), None)
    found = said.get("found", {})
    hits = {name: each["hits"] for name, each in found.items() if each["hits"]}
    report.check("canaries reached", hits, {})
    report.check("open addresses fetched", sum(found[name]["outcome"] == "ok" for name in FINE), len(FINE))
    leaks = {name: found[name]["leaks"] for name in LEADING_AWAY if found[name]["leaks"]}
    report.check("request headers that followed a redirect elsewhere", leaks, {})
    bombs(report)


def bombs(report: Report) -> None:
    report.part(
        f"Bombs of {BOMB // MB} MB and servers that never end; at most {LIMIT_BYTES // MB} MB, {LIMIT_SECONDS} s"
    )
    zeros = b"0,0\n" * (MB // 4)
    expected = {
        "/bomb.gz": (_packed(zeros), {"bomb", "too_large"}),
        "/bomb.zst": (_zstd(zeros), {"bomb", "too_large"}),
        "/bomb.zip": (_zip(zeros), {"bomb", "too_large"}),
        "/endless": (None, {"too_large"}),
        "/drip": (None, {"too_slow", "too_long"}),
        "/slow-headers": (None, {"no_answer", "too_slow", "too_long"}),
        "/silent": (None, {"no_answer", "too_long"}),
    }
    with _server({path: body for path, (body, _) in expected.items() if body}) as port:
        with ThreadPoolExecutor(AT_ONCE) as pool:  # most of them wait
            found = list(pool.map(lambda path: _fetched(port, path), expected))
        for (path, (_, codes)), (outcome, seconds, grown) in zip(expected.items(), found, strict=True):
            report.say(f"{path}: {outcome} after {seconds:.1f} s, + {grown / MB:.0f} MB")
            good = (outcome in codes, seconds < LIMIT_SECONDS + 2, grown <= GROWTH)
            report.check(f"{path}: ends clearly, in time, in memory", good, (True, True, True))


def _fetched(port: int, path: str) -> tuple[str, float, int]:
    """By a process of its own: what it said, after how many seconds, and by how many bytes it grew."""
    with tempfile.TemporaryDirectory() as work:
        argv = [sys.executable, "-c", _CHILD, str(port), path, work, str(LIMIT_SECONDS), str(LIMIT_BYTES)]
        done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True)
    outcome, seconds, grown = json.loads(done.stdout)
    return outcome, seconds, grown


def _packed(zeros: bytes) -> bytes:
    out = io.BytesIO()
    with gzip.GzipFile(fileobj=out, mode="wb") as file:
        for _ in range(BOMB // MB):
            file.write(zeros)
    return out.getvalue()


def _zstd(zeros: bytes) -> bytes:
    compressor = zstd.ZstdCompressor()
    return b"".join(compressor.compress(zeros) for _ in range(BOMB // MB)) + compressor.flush()


def _zip(zeros: bytes) -> bytes:
    out = io.BytesIO()
    with (
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("a.csv", "w", force_zip64=True) as member,
    ):
        for _ in range(BOMB // MB):
            member.write(zeros)
    return out.getvalue()


@contextmanager
def _server(bodies: dict[str, bytes]) -> Iterator[int]:
    closing = threading.Event()

    def drip(sock: socket.socket, first: bytes, piece: bytes, seconds: float) -> None:
        sock.sendall(first)
        while not closing.wait(seconds):
            sock.sendall(piece)

    def silent(_: socket.socket) -> None:
        closing.wait(60)

    ok = b"HTTP/1.1 200 OK\r\n"
    ways: dict[str, Callable[[socket.socket], None]] = {
        "/endless": lambda sock: drip(sock, ok + b"\r\n", b"1,2\n" * 65536, 0),
        "/drip": lambda sock: drip(sock, ok + b"\r\n", b"1", 1),
        "/slow-headers": lambda sock: drip(sock, ok + b"X: ", b"x", 0.5),
        "/silent": silent,
    }

    def answer(sock: socket.socket) -> None:
        with sock:
            try:
                path = sock.recv(65536).split(b" ")[1].decode()
                if path in ways:
                    ways[path](sock)
                    return
                body = bodies[path]
                sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            except OSError:
                return

    listening = socket.create_server(("127.0.0.1", 0), backlog=16)

    def accept() -> None:
        while True:
            try:
                threading.Thread(target=answer, args=(listening.accept()[0],), daemon=True).start()
            except OSError:
                return

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield int(listening.getsockname()[1])
    finally:
        closing.set()
        listening.close()
