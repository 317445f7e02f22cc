"""A look at a large dataset, and what people may type into it. A part of `proofs.data`."""

import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlencode

import duckdb

from proofs.bench import PASSWORD, SHORT, Report
from proofs.browser import Browser
from proofs.data_desk import MB, Desk

ROWS, COLUMNS = (50_000, 50) if SHORT else (10_000_000, 50)
LOOKS, READERS = (24, 4) if SHORT else (200, 8)
SECONDS, GROWTH = 1.0, 64 * MB
# What is typed there for good: nothing chosen, or something that may be.
MEANT = {
    "quote": ("'", '"', ""),
    "delimiter": ("?", "*", ""),
    "encoding": ("",),
    "sort": ("",),
    "filter": ("", "[]"),
    "export's filter": ("",),
}
KINDS = (
    "hash(i, {n}) % 1000000", "(hash(i, {n}) % 100000) / 100.0", "'word ' || hash(i, {n}) % 5000",
    "DATE '2000-01-01' + (hash(i, {n}) % 9000)::INTEGER", "hash(i, {n}) % 2 = 0",
)  # fmt: skip


def look(report: Report, desk: Desk) -> None:
    report.part(f"The page of a dataset of {ROWS:,} rows x {COLUMNS} columns")
    source = desk.folder / "large.parquet"
    columns = ", ".join(f"{KINDS[n % 5].format(n=n)} AS c{n}" for n in range(COLUMNS))
    duckdb.connect().execute(f"COPY (SELECT {columns} FROM range({ROWS}) t(i)) TO '{source}' (FORMAT parquet)")
    began = time.monotonic()
    dataset = desk.dataset_of(source, name="large")
    source.unlink()
    report.say(f"made in {time.monotonic() - began:.0f} s")
    visit = Browser(desk.fleet.portal.port, "192.0.2.9")
    account = desk.fleet.portal.sql("SELECT username FROM users WHERE id = :id", id=desk.member.id)[0][0]
    assert visit.post("/login", account=account, password=PASSWORD) == 303
    page = f"/datasets/{dataset}"
    views = {
        "first rows": {},
        "sorted by a number, falling": {"sort": "-c0"},
        "sorted by a text": {"sort": "c2"},
        "filtered by a text": {"c1": "c2", "o1": "eq", "v1": "word 77"},
        "filtered by two, sorted": {
            "c1": "c0",
            "o1": "lt",
            "v1": "5000",
            "c2": "c4",
            "o2": "eq",
            "v2": "true",
            "sort": "c3",
        },
        "the last page": {"offset": str(ROWS - 50)},
    }
    for what, asked in views.items():
        address = page + (f"?{urlencode(asked)}" if asked else "")
        times = [_seconds(visit, address) for _ in range(4)]
        report.say(f"{what}: {', '.join(f'{one:.2f}' for one in times)} s")
        middle = statistics.median(times)
        report.check(f"{what}: median {middle:.2f} s, within {SECONDS} s", middle <= SECONDS, True)
    _memory(report, desk, visit, [page + (f"?{urlencode(asked)}" if asked else "") for asked in views.values()])


def _seconds(visit: Browser, address: str) -> float:
    began = time.monotonic()
    status, text = visit.get(address)
    assert status == 200 and "<td" in text, (status, text[:500])
    return time.monotonic() - began


def _memory(report: Report, desk: Desk, visit: Browser, addresses: list[str]) -> None:
    pids = desk.web_pids()

    def ask(n: int) -> int:
        return visit.get(addresses[n % len(addresses)])[0]

    with ThreadPoolExecutor(READERS) as readers:
        list(readers.map(ask, range(LOOKS // 4)))  # each process has its threads now
        before = desk.resident(pids)
        statuses = list(readers.map(ask, range(LOOKS)))
    grown = desk.resident(pids) - before
    told = {status: statuses.count(status) for status in sorted(set(statuses))}
    report.check(f"{LOOKS} looks by {READERS} readers at once", told, {200: LOOKS})
    report.say(f"the webs: {before / MB:.0f} MB + {grown / MB:.0f} MB")
    report.check(f"the webs' memory grew by at most {GROWTH // MB} MB", grown <= GROWTH, True)


def escapes(report: Report, desk: Desk) -> None:
    from proofs.escapes import ESCAPES

    report.part(f"{len(ESCAPES)} escapes, at each place where something typed reaches DuckDB")
    source = desk.folder / "small.csv"
    source.write_text("city,count\nOslo,1\nRome,2\n")
    dataset = desk.dataset_of(source)
    upload = desk.upload(source)
    secret = desk.folder / "secret.csv"
    secret.write_text("a,b\n1,2\n")
    made_before = {path.name for path in desk.folder.iterdir()}
    odd: list[str] = []
    for text in ESCAPES:
        for what, (status, body) in _attempts(desk, dataset, upload, text.replace("{secret}", str(secret))).items():
            if text in MEANT.get(what, ()):
                continue
            refused = status in (400, 404, 414, 422) and body.get("detail")
            empty = status == 200 and body["items"] == []
            if not (refused or empty or (status == 202 and _fails(desk, str(body["uuid"])))):
                odd.append(f"{what} {text[:60]!r}: {status} {str(body)[:120]}")
    report.check("neither refused with a clear error nor without any effect", odd, [])
    report.check("files that appeared", {path.name for path in desk.folder.iterdir()} - made_before, set())
    rows = desk.ask("GET", f"/datasets/{dataset}/rows").body["items"]
    report.check("the data is as it was", rows, [["Oslo", 1], ["Rome", 2]])


def _attempts(desk: Desk, dataset: str, upload: str, text: str) -> dict[str, tuple[int, dict[str, object]]]:
    import json

    rows = f"/datasets/{dataset}/rows?"
    condition = {"column": "city", "op": "eq", "value": text}

    def query(**asked: str) -> str:
        return urlencode(asked, errors="surrogatepass")

    asked = {
        "value": rows + query(where=json.dumps([condition])),
        "column": rows + query(where=json.dumps([{**condition, "column": text, "value": "x"}])),
        "operator": rows + query(where=json.dumps([{**condition, "op": text}])),
        "number": rows + query(where=json.dumps([{**condition, "column": "count"}])),
        "filter": rows + query(where=text),
        "sort": rows + query(sort=text),
    }
    sent = {
        "export's column": ("export", {"dataset": dataset, "format": "csv", "columns": [text]}),
        "export's format": ("export", {"dataset": dataset, "format": text}),
        "export's filter": ("export", {"dataset": dataset, "format": "csv", "where": text}),
        "delimiter": ("fetch", {"upload": upload, "delimiter": text}),
        "encoding": ("fetch", {"upload": upload, "encoding": text}),
        "quote": ("fetch", {"upload": upload, "quote": text}),
    }
    told = {what: desk.ask("GET", path) for what, path in asked.items()}
    told |= {
        what: desk.ask("POST", "/tasks", {"kind": kind, "params": params}) for what, (kind, params) in sent.items()
    }
    return {what: (answer.status, answer.body) for what, answer in told.items()}


def _fails(desk: Desk, uuid: str) -> bool:
    """Whether a task that was accepted ends with a clear error."""
    task = desk.ended(uuid)
    return task["status"] == "failed" and task["error_code"] not in (None, "internal")
