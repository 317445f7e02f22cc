"""Exports: whole or not there, resumable, in flat memory. A part of `proofs.data`."""

import base64
import re
import time
import zipfile
from pathlib import Path
from typing import Any

import duckdb

from proofs.bench import SHORT, Report
from proofs.data_desk import MB, Desk, sha256

ROWS = 50_000 if SHORT else 5_000_000
MOST = 400 * MB
FORMATS: tuple[dict[str, str], ...] = (
    {"format": "csv"},
    {"format": "csv", "encoding": "gb18030", "packing": "gzip"},
    {"format": "tsv"},
    {"format": "json"},
    {"format": "ndjson", "packing": "zstd"},
    {"format": "xlsx"},
    {"format": "parquet"},
)


def exports(report: Report, desk: Desk) -> None:
    report.part(f"{ROWS:,} rows are exported to each format")
    source = desk.folder / "wide.parquet"
    query = f"""SELECT i AS id, '城市 ' || i % 1000 AS city, i / 7 AS share,
                DATE '2001-01-01' + (i % 9000)::INTEGER AS day, i % 2 = 0 AS yes,
                CASE WHEN i % 5 = 0 THEN NULL ELSE '=' || i END AS note FROM range({ROWS}) t(i)"""
    duckdb.connect().execute(f"COPY ({query}) TO '{source}' (FORMAT parquet)")
    dataset = desk.dataset_of(source)
    for wanted in FORMATS:
        _one(report, desk, dataset, wanted)


def _one(report: Report, desk: Desk, dataset: str, wanted: dict[str, str]) -> None:
    what = " ".join(wanted.values())
    began = time.monotonic()
    with desk.peak() as held:
        uuid = desk.submit("export", dataset=dataset, **wanted)
        early, looks = 0, 0
        while desk.ask("GET", f"/tasks/{uuid}").body["poll_after"]:
            looks += 1
            status = desk.ask("GET", f"/tasks/{uuid}/download").status
            early += status == 200 and bool(desk.ask("GET", f"/tasks/{uuid}").body["poll_after"])
            time.sleep(0.1)
        task = desk.ended(uuid)
    assert task["status"] == "completed", task
    result, peak = task["result"], held[0]
    took = time.monotonic() - began
    path = desk.folder / "out"
    headers = desk.download(uuid, path)
    report.say(f"{what}: {took:.1f} s, {result['bytes'] / MB:.0f} MB, peak {peak / MB:.0f} MB, asked {looks} times")
    report.check(f"{what}: peak under {MOST // MB} MB; answered 200 before its end", (peak < MOST, early), (True, 0))
    counted, digest = _rows_of(path, wanted), sha256(path)
    report.check(f"{what}: rows, as stated and as found", (result["rows"], counted), (ROWS, ROWS))
    repr_digest = f"sha-256=:{base64.b64encode(bytes.fromhex(digest)).decode()}:"
    said = (result["sha256"], headers["repr-digest"], headers["etag"], int(headers["content-length"]))
    report.check(
        f"{what}: hash and size, as stated and as found", said, (digest, repr_digest, f'"{digest}"', result["bytes"])
    )
    part = desk.folder / "part"
    desk.download(uuid, part, stop_after=result["bytes"] // 3)
    resumed = desk.download(uuid, part, start=part.stat().st_size)
    report.check(f"{what}: broken off and resumed: status, equal", (resumed["status"], sha256(part)), ("206", digest))
    path.unlink()
    part.unlink()


def _rows_of(path: Path, wanted: dict[str, str]) -> int:
    """How many rows are in the file, found out by other means than ours."""
    match wanted["format"]:
        case "xlsx":
            return _xlsx_rows(path)
        case "parquet":
            return _count(f"read_parquet('{path}')")
        case "json":
            return _count(f"read_json('{path}', format = 'array')")
        case "ndjson":
            return _count(f"read_json('{path}', format = 'newline_delimited', compression = '{wanted['packing']}')")
        case _:
            delimiter = "\t" if wanted["format"] == "tsv" else ","
            packed = wanted.get("packing", "none")
            # Any one-byte encoding counts the rows of GB18030: its second bytes are no quotes and no line ends.
            encoding = "latin-1" if wanted.get("encoding") == "gb18030" else "utf-8"
            options = f"delim = '{delimiter}', header = true, all_varchar = true, compression = '{packed}'"
            return _count(f"read_csv('{path}', {options}, encoding = '{encoding}')")


def _count(relation: str) -> int:
    found: Any = duckdb.connect().execute(f"SELECT count(*) FROM {relation}").fetchone()
    return int(found[0])


def _xlsx_rows(path: Path) -> int:
    """Rows of all sheets less a header each; read piece by piece."""
    rows = 0
    with zipfile.ZipFile(path) as book:
        for name in book.namelist():
            if re.fullmatch(r"xl/worksheets/sheet\d+\.xml", name):
                rows += _row_tags(book, name) - 1
    return rows


def _row_tags(book: zipfile.ZipFile, name: str) -> int:
    count, rest = 0, b""
    with book.open(name) as sheet:
        while piece := sheet.read(1 << 20):
            count += (rest + piece).count(b"<row ")
            rest = (rest + piece)[-4:]
    return count
