"""Bombs: each ends as a failed task with its reason, in bounded memory and time, once. `./dev prove bombs [NAME …]`

Sent as uploads through a portal with one worker; what an attempt held is what its process did, beyond the worker.
"""

import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import xlsxwriter

from proofs.bench import SHORT, Report
from proofs.bomb_archives import ARCHIVES
from proofs.bomb_files import BOMBS, Make
from proofs.data_desk import MB, Desk, desk

MOST, LESS, SECONDS = 600 * MB, 700 * MB, 60
IN_SHORT = (
    "one row", "comments1", "lying zip", "zip64 lies a little", "empty gzips", "csv quote", "a value of a million",
    "page of 2 GB", "rows that are not there",
)  # fmt: skip
HONEST_ROWS, WIDE_ROWS = (20_000, 10) if SHORT else (1_000_000, 300)


def rows(path: Path) -> None:
    """An honest workbook, as long as sheets are."""
    _workbook(path, HONEST_ROWS, 4)


def columns(path: Path) -> None:
    """An honest workbook, as wide as sheets are."""
    _workbook(path, WIDE_ROWS, 16_384)


def _workbook(path: Path, count: int, width: int) -> None:
    book = xlsxwriter.Workbook(str(path), {"constant_memory": True})
    sheet = book.add_worksheet()
    sheet.write_row(0, 0, [f"c{n}" for n in range(width)])
    for row in range(1, count + 1):
        for column in range(0, width, 2):
            sheet.write_number(row, column, row * column)
            sheet.write_string(row, column + 1, f"text {row % 1000}")
    book.close()


HONEST: dict[str, tuple[Make, set[str]]] = {
    "honest rows": (rows, {"completed"}),
    "honest columns": (columns, {"completed"}),
}


def main() -> None:
    report = Report("Bombs")
    files = BOMBS | ARCHIVES | HONEST
    wanted = sys.argv[1:] or (list(IN_SHORT + tuple(HONEST)) if SHORT else [*files, "export"])
    with tempfile.TemporaryDirectory() as folder, desk(Path(folder), fetch_max_bytes=2048 * MB) as made:
        for name in wanted:
            if name != "export":
                _one(report, made, name, *files[name])
        if "export" in wanted:
            _exports(report, made)
        report.part("The worker that met all this takes the next file")
        source = made.folder / "next.csv"
        source.write_text("a,b\n1,2\n")
        made.dataset_of(source)
        report.check("lost workers", made.fleet.portal.count("tasks", "losses > 0"), 0)
    report.end()


def _one(report: Report, made: Desk, name: str, make: Make, ends: set[str]) -> None:
    path = made.folder / "bomb"
    make(path)
    size = path.stat().st_size
    upload = made.upload(path)
    path.unlink()
    what = f"{name} ({size / MB:.1f} MB)"
    _measured(report, made, what, ends, honest=name in HONEST, upload=upload)


def _exports(report: Report, made: Desk) -> None:
    """A dataset of long texts in as many columns as there may be, in each format."""
    report.part("1,000 columns of 900 characters go out")
    source = made.folder / "long.csv"
    cells = ", ".join(f"repeat('{n % 10} = text ', 100) || i AS c{n}" for n in range(1000))
    duckdb.connect().execute(f"COPY (SELECT {cells} FROM range(40) t(i)) TO '{source}' (FORMAT csv)")
    task = made.run("fetch", upload=made.upload(source))
    for format_ in ("csv", "json", "xlsx", "parquet"):
        ends = {"completed", "rows_too_big", "xlsx_cell_too_long"}
        _measured(
            report, made, f"export {format_}", ends, kind="export", dataset=task["result"]["dataset"], format=format_
        )


def _measured(
    report: Report, made: Desk, what: str, ends: set[str], kind: str = "fetch", honest: bool = False, **params: str
) -> None:
    (slot,) = made.worker_pids()
    own = made.resident([slot])
    began = time.monotonic()
    with made.peak() as held, _available() as least:
        task = made.ended(made.submit(kind, **params))
    seconds, grown, (before, lowest) = time.monotonic() - began, held[0] - own, least
    end = task["error_code"] or task["status"]
    report.say(f"{what}: {end}, {seconds:.0f} s, {grown / MB:.0f} MB, {(before - lowest) / MB:.0f} MB of the machine")
    found = (end in ends, task["attempt"], grown <= MOST, made.worker_pids() == [slot])
    report.check(f"{what}: ends as it must, attempts, memory, worker unharmed", found, (True, 1, True, True))
    if end not in ends:
        report.say(f"it had to end with {sorted(ends)}")
    if not honest:
        report.speed(f"{what}: {seconds:.0f} s of at most {SECONDS}", seconds <= SECONDS)
    report.speed(
        f"{what}: {(before - lowest) / MB:.0f} MB less free memory of at most {LESS // MB}", before - lowest <= LESS
    )


@contextmanager
def _available() -> Iterator[list[int]]:
    """Bytes of memory that the machine has free: before, and the least meanwhile."""
    before, over = _free(), threading.Event()
    seen = [before, before]

    def look() -> None:
        while not over.wait(0.05):
            seen[1] = min(seen[1], _free())

    looking = threading.Thread(target=look)
    looking.start()
    try:
        yield seen
    finally:
        over.set()
        looking.join()


def _free() -> int:
    lines = Path("/proc/meminfo").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))


if __name__ == "__main__":
    main()
