"""Files that DuckDB does not take in one piece: cut between rows, and read as if it did."""

import json
from pathlib import Path
from typing import Any

import pytest

from portal.engine import parts
from portal.engine.convert import convert
from portal.engine.reading import Reading
from portal.engine.sniff import sniff
from portal.engine.stop import Stop
from portal.engine.typed_copy import Converted
from tests.engine.rows import first_rows, whole_rows


def read(content: bytes, folder: Path, *, memory_mb: int = 256, **said: Any) -> tuple[Converted, list[list[Any]]]:
    source, target, reading = folder / "source", folder / "data.parquet", Reading(**said)
    source.write_bytes(content)
    done = convert(
        source,
        sniff(source, reading),
        target,
        work=folder,
        reading=reading,
        memory_mb=memory_mb,
        stop=Stop(),
        report=lambda share: None,
    )
    assert {path.name for path in folder.iterdir()} <= {"source", "data.parquet", "spill"}
    return done, first_rows(target, 1000)


@pytest.mark.parametrize("size", [1, 30, 10**6])
@pytest.mark.parametrize(
    ("content", "rows"),
    [
        ('a,b\n1,"x\r\ny"\r\n2,\n3,""\r\n', [[1, "x\r\ny"], [2, None], [3, ""]]),
        ('a,b\n1,"x\r\ny"\n2,z\r', [[1, "x\r\ny"], [2, "z"]]),
        ("a\n1\r\n\r\n3\n\n", [[1], [None], [3], [None]]),
        ("\ufeffa,b\r\n\ufeffx,1\n\ufeffy,2\r\n", [["\ufeffx", 1], ["\ufeffy", 2]]),
        ('"a\nb",c\r\n1,2\r\n3,4\r\n', [[1, 2], [3, 4]]),
        ('"a\r\nb",c\n1,2\n3,4\n', [[1, 2], [3, 4]]),
        ("\na,b\r\n1,2\r\n", [[1, 2]]),
        ("\r\na,b\n1,2\n", [[1, 2]]),
        ("\nh0;h1\r\nxé ;bx \n69;6\r\n;84\n", [["xé ", "bx "], ["69", "6"], [None, "84"]]),
        ('\n\na,b\n"1""2",\r\n3,4,\n', [['1"2', None], ["3", 4]]),
    ],
)
def test_rows_that_end_in_several_ways(
    content: str, rows: list[list[Any]], size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "BYTES", size)
    done, found = read(content.encode(), tmp_path)
    assert (found, done.rows, done.skipped) == (rows, len(rows), 0)


def test_many_parts_keep_the_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "BYTES", 200)
    lines = [f"{n},word {n}" + ("\r\n" if n % 7 else "\n") for n in range(1000)]
    assert read("".join(["n,w\n", *lines]).encode(), tmp_path)[1] == [[n, f"word {n}"] for n in range(1000)]


def test_a_header_that_is_broken_takes_no_row_with_it(tmp_path: Path) -> None:
    done, found = read(b"a,\xff\n1,2\n3,4\n5\n", tmp_path, skip_broken=True, header=True)
    assert (found, done.skipped) == ([[1, 2], [3, 4]], 2)


def test_nothing_but_broken_rows(tmp_path: Path) -> None:
    done, found = read(b"a,b\n1\n2\n", tmp_path, skip_broken=True)
    assert (found, done.skipped, [column.name for column in done.columns]) == ([], 2, ["a", "b"])


@pytest.mark.parametrize("format_", ["csv", "json", "ndjson"])
def test_rows_larger_than_memory_holds_at_once(format_: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, text = 300, ("x y z, " * 11 + "\n") * 2500
    lines = (json.dumps({"n": n, "t": f"{n} {text}"}) for n in range(rows))
    content = {
        "csv": lambda: "n,t\n" + "".join(f'{n},"{n} {text}"\n' for n in range(rows)),
        "json": lambda: f"[{','.join(lines)}]",
        "ndjson": lambda: "\n".join(lines),
    }[format_]()
    read(content.encode(), tmp_path, memory_mb=100)
    assert whole_rows(tmp_path / "data.parquet") == [[n, f"{n} {text}"] for n in range(rows)]
