"""From an address to a dataset, and each bad input with its own reason."""

import hashlib
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from portal.engine.columns import Column
from portal.engine.fetch import Fetched
from portal.engine.meter import Meter, Reading
from portal.engine.stop import Stop
from portal.errors import Fault, Stopped
from tests.engine.rows import first_rows
from tests.engine.servers import Site, gz, head

Fetch = Callable[..., Fetched]
CSV = b"id,name\n1,a\n2,b\n"
NDJSON = b'{"id":1,"name":"a"}\n{"id":2,"name":"b"}\n'
COLUMNS = [Column("id", "integer"), Column("name", "text")]


@pytest.mark.parametrize("plain", [CSV, NDJSON])
@pytest.mark.parametrize("packed", [bytes, gz, lambda body: gz(gz(body))])
def test_a_file_becomes_a_dataset(
    site: Site, fetch: Fetch, tmp_path: Path, plain: bytes, packed: Callable[[bytes], bytes]
) -> None:
    body = packed(plain)
    url = site.file("/d/my%20data.csv.gz", body, Content_Type="text/html", Content_Encoding="gzip")
    done = fetch(url)
    assert (done.rows, done.columns) == (2, COLUMNS)
    assert (done.source_bytes, done.source_sha256) == (len(body), hashlib.sha256(body).hexdigest())
    stored = done.path.read_bytes()
    assert (done.stored_bytes, done.stored_sha256) == (len(stored), hashlib.sha256(stored).hexdigest())
    assert done.suggested_name == "my data"
    assert first_rows(done.path, 5) == [[1, "a"], [2, "b"]]
    assert [path for path in (tmp_path / "work").iterdir() if path.is_file()] == [done.path]


def test_a_dataset_without_rows(site: Site, fetch: Fetch) -> None:
    done = fetch(site.file("/", b"id,name\n"))
    assert (done.rows, done.suggested_name) == (0, f"127.0.0.1:{site.port}")
    assert first_rows(done.path, 5) == []


class Noted(Meter):
    """A meter that notes what it says after each move."""

    def __init__(self) -> None:
        self.readings: list[Reading] = []
        super().__init__()

    def step(self, code: str, span: tuple[int, int]) -> None:
        super().step(code, span)
        self.readings.append(self.read())

    def moved(self, done: float, total: float | None = None, **params: Any) -> None:
        super().moved(done, total, **params)
        self.readings.append(self.read())


@pytest.mark.parametrize("plain", [CSV, NDJSON])
def test_progress_rises_and_says_what_is_done(site: Site, fetch: Fetch, plain: bytes) -> None:
    body, meter = gz(plain * 100), Noted()
    fetch(site.file("/x", body), meter=meter)
    percents = [reading.percent for reading in meter.readings]
    assert percents == sorted(percents) and percents[0] == 0 and percents[-1] == 99
    codes = list(dict.fromkeys(reading.code for reading in meter.readings))
    assert codes == ["", "connecting", "stalled", "downloading", "unpacking", "converting", "profiling", "storing"]
    downloading = [reading.params for reading in meter.readings if reading.code == "downloading"]
    assert downloading[-1].pop("rate") > 0
    assert downloading[-1] == {"bytes": len(body), "total": len(body), "left": 1}
    unpacking = [reading.params for reading in meter.readings if reading.code == "unpacking"]
    assert unpacking[-1] == {"bytes": len(plain) * 100, "left": 1}


@pytest.mark.parametrize(
    ("body", "code", "params"),
    [
        (b"", "file_empty", {}),
        (gz(b""), "file_empty", {}),
        (b"<!doctype html><title>Rates</title>", "not_data", {"found": "html"}),
        (b"\x89PNG\r\n\x1a\n\0\0", "not_data", {"found": "png"}),
        (b"\0\1\2\3" * 99, "not_data", {"found": "binary"}),
        (gz(b"\0\1\2\3" * 99), "not_data", {"found": "binary"}),
        (b"PK\x03\x04\x14\0xl/workbook.xml", "zip_corrupt", {}),
        (b"PAR1\x15", "parquet_corrupt", {}),
        ("id,name\n1,好\n2,".encode() + b"\xff\n", "not_utf8", {"line": 3, "byte": 17, "hex": "FF"}),
        (gz(CSV)[:-4], "gzip_corrupt", {}),
        (gz(CSV)[:15] + b"\0\0" + gz(CSV)[17:], "gzip_corrupt", {}),
        (gz(b"1,2\n" * 1_000_000), "bomb", {"ratio": 200}),
        (
            CSV + b"3\n",
            "csv_broken_row",
            {"line": 4, "reason": "columns", "expected": 2, "found": 1, "broken": 1, "text": "3"},
        ),
        (CSV + b'3,"c\n', "csv_broken_row", {"line": 4, "reason": "quote", "broken": 1, "text": '3,"c'}),
        (NDJSON + b'{"id":', "ndjson_broken_line", {"line": 3, "reason": "syntax", "broken": 1, "text": '{"id":'}),
    ],
)
def test_bad_files(site: Site, fetch: Fetch, body: bytes, code: str, params: dict[str, Any]) -> None:
    with pytest.raises(Fault) as caught:
        fetch(site.file("/data.csv", body, Content_Type="text/csv"))
    assert (caught.value.code, caught.value.passing, caught.value.params) == (code, False, params)


def test_what_the_user_says_must_be_true(site: Site, fetch: Fetch) -> None:
    with pytest.raises(Fault) as caught:
        fetch(site.file("/x", CSV), format="ndjson")
    assert (caught.value.code, caught.value.params) == ("not_what_it_says", {"said": "ndjson", "found": "csv"})
    assert fetch(site.file("/x", CSV), format="csv").rows == 2


def test_a_full_disk_is_worth_another_try(site: Site, fetch: Fetch, tmp_path: Path) -> None:
    (tmp_path / "source").symlink_to("/dev/full")
    with pytest.raises(Fault) as caught:
        fetch(site.file("/x", CSV * 100_000))
    assert (caught.value.code, caught.value.passing) == ("disk_full", True)


def test_stop_during_the_download(site: Site, fetch: Fetch, stop: Stop) -> None:
    reading = threading.Event()

    def handler(sock: Any, _: str) -> None:
        sock.sendall(head(Content_Length="999") + CSV)
        reading.set()
        site.released.wait(10)

    def stop_it() -> None:
        reading.wait(5)
        stop.set()

    threading.Thread(target=stop_it, daemon=True).start()
    began = time.monotonic()
    with pytest.raises(Stopped):
        fetch(site.on("/x", handler))
    assert time.monotonic() - began < 2
