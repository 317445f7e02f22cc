"""Files that are damaged, cut off, or lie about themselves: each ends with a reason of its own, never as our fault."""

import io
import json
import random
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import openpyxl
import pytest

from portal.engine.download import Limits
from portal.engine.fetch import Fetched, Local, to_parquet
from portal.engine.guard import Policy
from portal.engine.meter import Meter
from portal.engine.reading import Reading
from portal.engine.stop import Stop
from portal.engine.zstd import zstd
from portal.errors import Fault
from proofs.bomb_files import OTHERS
from tests.engine.servers import gz

CSV = "id,text,x\n" + "".join(f"{n},text {n % 5},{n / 3}\n" for n in range(200))
ROWS = [{"id": n, "list": [n, {"x": "y"}], "day": "2026-01-01"} for n in range(40)]


def read(body: bytes, folder: Path, **said: Any) -> Fetched:
    folder.mkdir(parents=True)
    (folder / "source").write_bytes(body)
    (folder / "work").mkdir()
    source = Local(folder / "source", "source", len(body), "")
    reading, limits = Reading(**said), Limits()
    return to_parquet(
        source, folder / "work", reading=reading, policy=Policy(), limits=limits, stop=Stop(), meter=Meter()
    )


def fault(body: bytes, folder: Path, **said: Any) -> tuple[str, dict[str, Any]]:
    with pytest.raises(Fault) as caught:
        read(body, folder, **said)
    return caught.value.code, dict(caught.value.params)


def parquet(folder: Path, compression: str) -> bytes:
    query = "SELECT i, 'text ' || i AS t, i / 3.0 AS d, [i, i + 1] AS l, {'a': i} AS s FROM range(200) r(i)"
    path = folder / compression
    duckdb.connect().execute(f"COPY ({query}) TO '{path}' (FORMAT parquet, COMPRESSION {compression})")
    return path.read_bytes()


def workbook() -> bytes:
    book, out = openpyxl.Workbook(), io.BytesIO()
    for n in range(40):
        book.worksheets[0].append([n, f"text {n}", n / 3])
    book.save(out)
    return out.getvalue()


def zipped(method: int) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        archive.writestr("a.csv", CSV)
    return out.getvalue()


SOUND: dict[str, Callable[[Path], bytes]] = {
    "parquet zstd": lambda folder: parquet(folder, "zstd"),
    "parquet snappy": lambda folder: parquet(folder, "snappy"),
    "xlsx": lambda _: workbook(),
    "zip": lambda _: zipped(zipfile.ZIP_DEFLATED),
    "zip bzip2": lambda _: zipped(zipfile.ZIP_BZIP2),
    "zip lzma": lambda _: zipped(zipfile.ZIP_LZMA),
    "gzip": lambda _: gz(CSV.encode()),
    "zstd": lambda _: zstd.compress(CSV.encode()),
    "csv": lambda _: CSV.encode(),
    "csv utf-16": lambda _: CSV.encode("utf-16"),
    "json": lambda _: json.dumps(ROWS).encode(),
    "ndjson": lambda _: "\n".join(map(json.dumps, ROWS)).encode(),
}


@pytest.mark.parametrize("kind", SOUND)
def test_damage_is_the_file_s(kind: str, tmp_path: Path) -> None:
    sound, dice = SOUND[kind](tmp_path), random.Random(kind)
    assert read(sound, tmp_path / "sound").rows
    faults = []
    for round_ in range(15):
        try:
            read(_damaged(sound, dice), tmp_path / str(round_))
        except Fault as problem:  # anything else would be called our own fault
            faults.append(problem)
    assert faults and not any(problem.passing for problem in faults)


def _damaged(sound: bytes, dice: random.Random) -> bytes:
    data = bytearray(sound)
    for _ in range(dice.choice([1, 1, 1, 3, 10])):
        at = dice.randrange(len(data))
        match dice.randrange(3):
            case 0:
                data[at] = dice.randrange(256)
            case 1:
                del data[at : at + dice.randrange(1, 40)]
            case _:
                data[at:at] = dice.randbytes(dice.randrange(1, 9))
    return bytes(data)


def test_a_zip_whose_directory_is_elsewhere(tmp_path: Path) -> None:
    packed = zipped(zipfile.ZIP_DEFLATED)
    at = packed.rindex(b"PK\x05\x06") + 16
    moved = int.from_bytes(packed[at : at + 4], "little") + 50
    assert fault(packed[:at] + moved.to_bytes(4, "little") + packed[at + 4 :], tmp_path / "z")[0] == "zip_corrupt"


@pytest.mark.parametrize("row", ["99999999999", "1048577"])
def test_a_sheet_longer_than_sheets_are(row: str, tmp_path: Path) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(workbook())) as book, zipfile.ZipFile(out, "w") as other:
        for name in book.namelist():
            content = book.read(name)
            if name.endswith("sheet1.xml"):
                content = content.replace(b'<row r="40"', b'<row r="%s"' % row.encode())
            other.writestr(name, content)
    assert fault(out.getvalue(), tmp_path / "x")[0] == "xlsx_corrupt"


LARGE = b'{"a": 1},' * 1_000_000


@pytest.mark.parametrize(
    ("body", "said", "code", "params"),
    [
        (b'[{"a":1},', {}, "json_broken", {"line": 1}),
        (b'[{"a":1},\n{"a":2}', {}, "json_broken", {"line": 2}),
        (b"[" + LARGE, {}, "json_broken", {"reason": "cut"}),
        (b"[" + LARGE + b'{"a":1}]]', {}, "json_broken", {"reason": "value", "value": 1_000_003}),
        (b'[{"a":1},{"a":2}] trailing', {}, "json_broken", {"line": 1}),
        (b'[{"a":1}] xyz', {"format": "json"}, "json_broken", {"line": 1}),
        (b"[1, 2, 3", {"format": "json"}, "json_broken", {"line": 1}),
        (b"[1,2]\n[3,4]\n", {"format": "json"}, "json_broken", {"line": 2}),
        (b"[1]\n[3]\n", {}, "ndjson_broken_line", {"broken": 2, "line": 1, "reason": "not_object", "text": "[1]"}),
        (b'a,b\n"a"b,2\n', {}, "csv_broken_row", {"broken": 1, "line": 2, "reason": "after_quote", "text": '"a"b,2'}),
        (b'a,b\n1,"x\n5,"y"\n', {}, "csv_broken_row", {"broken": 1, "line": 2, "reason": "quote", "text": '1,"x'}),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(
    body: bytes, said: dict[str, Any], code: str, params: dict[str, Any], tmp_path: Path
) -> None:
    assert fault(body, tmp_path / "f", **said) == (code, params)


@pytest.mark.parametrize("order", ["utf-16-le", "utf-16-be"])
def test_utf_16_with_hardly_any_ascii(order: str, tmp_path: Path) -> None:
    text = "上海市人民" * 30 + "\n"
    found = read((text * 5).encode(order), tmp_path / "u", encoding="utf-16", header=False)
    assert (found.rows, found.found["encoding"]) == (5, order)


@pytest.mark.parametrize(
    ("body", "line"),
    [
        (b"a,b\n1," + b"x" * 9_000_000 + b"\n1,2\n", 2),  # of which DuckDB says nothing, and gives no rows
        (b"a,b\n1,2\n1," + b"x" * 2_500_000, 3),
        (b"x" * 3_000_000, 1),
        (b"x" * 3_000_000 + b"\n1\n2\n", 1),
    ],
)
def test_a_line_without_end_is_never_left_out_in_silence(body: bytes, line: int, tmp_path: Path) -> None:
    code, said = fault(body, tmp_path / "f")
    assert (code, said["line"], said["reason"]) == ("csv_broken_row", line, "too_long")


@pytest.mark.parametrize("name", ["page of 2 GB", "page of 900 MB", "rows that are not there", "a value of a million"])
def test_a_parquet_that_lies_of_its_size(name: str, tmp_path: Path) -> None:
    make, ends = OTHERS[name]
    make(tmp_path / "lying")
    assert fault((tmp_path / "lying").read_bytes(), tmp_path / "f")[0] in ends


def test_texts_that_are_large_together_are_counted_however_they_are_packed(tmp_path: Path) -> None:
    query = "SELECT t, encode(t) AS b FROM (SELECT repeat('ä', 5000) AS t), range(100)"  # 2,000,000 bytes
    path, limits = tmp_path / "packed", Limits(max_bytes=2_000_000)
    duckdb.connect().execute(f"COPY ({query}) TO '{path}' (FORMAT parquet)")
    source, work = Local(path, "packed", path.stat().st_size, ""), tmp_path / "work"
    work.mkdir()
    assert to_parquet(source, work, policy=Policy(), limits=limits, stop=Stop(), meter=Meter()).rows == 100
    less = Limits(max_bytes=1_999_999)
    with pytest.raises(Fault, match="too_large"):
        to_parquet(source, work, policy=Policy(), limits=less, stop=Stop(), meter=Meter())
