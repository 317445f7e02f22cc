"""Fetching: as fast as its parts, in flat memory, and never twice what has come already. A part of `proofs.data`."""

import statistics
import sys
import time
from pathlib import Path

import psutil

from proofs.bench import SHORT, Report
from proofs.data_desk import MB, Desk, make_csv, sha256, timed

SIZES = (30 * MB, 60 * MB) if SHORT else (200 * MB, 1000 * MB, 4000 * MB)
RUNS = (1, 1) if SHORT else (3, 3, 1)
MOST, FLAT = 400 * MB, 1.2
# Of the time of curl and DuckDB together, at the sizes of the full form: below, what does not grow with the file
# (a task's start, its steps, the profile) is most of it.
AIM, AIMED_FROM = 1.3, 150 * MB
KILLED = (20 * MB, 20 * MB) if SHORT else (1000 * MB, 120 * MB)  # bytes, and bytes a second
SHARES = (0.3, 0.6, 0.9)
ONE_LINE = "import duckdb, sys; duckdb.sql(f\"COPY (FROM '{sys.argv[1]}') TO '{sys.argv[2]}'\")"


def speed(report: Report, desk: Desk) -> None:
    report.part("A CSV becomes a dataset with its profile; beside it curl -o, and DuckDB's own CSV to Parquet")
    peaks = []
    for size, runs in zip(SIZES, RUNS, strict=True):
        source = desk.folder / f"{size // MB}.csv"
        make_csv(source, size)
        peaks.append(_beside(report, desk, source, runs))
        source.unlink()
    report.check(f"peak memory of the worker under {MOST // MB} MB at every size", max(peaks) < MOST, True)
    report.check(f"at the largest at most {FLAT} x that at the smallest", peaks[-1] <= FLAT * peaks[0], True)


def _beside(report: Report, desk: Desk, source: Path, runs: int) -> int:
    """In turn, so that a busy machine is busy for all three; the worker's peak."""
    ours, curls, ducks = [], [], []
    scratch = desk.folder / "scratch"
    peak = 0
    for _ in range(runs):
        curls.append(timed("curl", "-s", "-o", str(scratch), desk.url(source.name))[0])
        ducks.append(timed(sys.executable, "-c", ONE_LINE, str(source), str(scratch))[0])
        with desk.peak() as held:
            uuid = desk.run("fetch", url=desk.url(source.name))["uuid"]
        peak = max(peak, *held)
        ours.append(float(desk.fleet.portal.sql(_SECONDS, uuid=uuid)[0][0]))
        scratch.unlink()
    fetch, curl, duck = map(statistics.median, (ours, curls, ducks))
    size, times = source.stat().st_size, fetch / (curl + duck)
    report.say(
        f"{size / MB:.0f} MB: {fetch:.1f} s; curl {curl:.1f} s, DuckDB {duck:.1f} s; {fetch / curl:.1f} x curl, "
        f"{fetch / duck:.2f} x DuckDB, {times:.2f} x their sum; peak {peak / MB:.0f} MB"
    )
    if size >= AIMED_FROM:
        report.speed(f"{size / MB:.0f} MB: {times:.2f} x their sum, at most {AIM}", times <= AIM)
    return peak


_SECONDS = "SELECT extract(epoch FROM finished_at - started_at) FROM tasks WHERE uuid = :uuid"


def killed(report: Report, desk: Desk) -> None:
    size, rate = KILLED
    report.part(
        f"A worker is killed (-9) at {', '.join(f'{share:.0%}' for share in SHARES)} of a fetch of {size // MB} MB"
    )
    source = desk.folder / "killed.csv"
    make_csv(source, size)
    whole, size = sha256(source), source.stat().st_size
    undisturbed = desk.run("fetch", url=desk.url(source.name))["result"]
    for share in SHARES:
        before = desk.sent(source.name)
        uuid = desk.submit("fetch", url=desk.url(source.name, rate))
        while desk.sent(source.name) - before < share * size:
            time.sleep(0.01)
        for pid in desk.worker_pids():
            psutil.Process(pid).kill()
        task = desk.ended(uuid)
        came = (desk.sent(source.name) - before) / size
        report.check(f"killed at {share:.0%}: status, attempts", (task["status"], task["attempt"]), ("completed", 2))
        same = {name: task["result"][name] == undisturbed[name] for name in ("sha256", "rows", "bytes", "columns")}
        report.check(
            "hash, rows, bytes and columns as undisturbed",
            (task["result"]["sha256"], *same.values()),
            (whole, *[True] * 4),
        )
        report.check(f"bytes fetched ({came:.3f} x size) at most 1.1 x", came <= 1.1, True)
    source.unlink()
