"""Out in each format and in again: equal values, and types where the format has them."""

import csv
import random
from pathlib import Path
from typing import Any

import duckdb
import pytest

from portal.engine.download import Limits
from portal.engine.export import Wanted, export
from portal.engine.fetch import Fetched, Local, to_parquet
from portal.engine.guard import Policy
from portal.engine.look import look
from portal.engine.meter import Meter
from portal.engine.stop import Stop
from proofs.data_cells import NASTY, TYPED, WAYS, plain
from tests.engine.rows import whole_rows

LOST = {  # columns whose type a format does not have
    "json": {"amount"},
    "ndjson": {"amount"},
    "xlsx": {"amount", "big", "list"},
    "parquet": set[str](),
}


def fetched(path: Path, folder: Path) -> Fetched:
    folder.mkdir()
    source = Local(path, path.name, path.stat().st_size, "")
    return to_parquet(source, folder, policy=Policy(), limits=Limits(), stop=Stop(), meter=Meter())


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Fetched:
    folder = tmp_path_factory.mktemp("first")
    duckdb.connect().execute(f"SET TimeZone = 'UTC'; COPY ({NASTY}) TO '{folder / 'source'}' (FORMAT parquet)")
    return fetched(folder / "source", folder / "work")


@pytest.mark.parametrize("way", WAYS, ids=lambda way: " ".join(way.values()))
def test_a_table_of_nasty_values(first: Fetched, tmp_path: Path, way: dict[str, Any]) -> None:
    made = export(
        first.path, first.columns, Wanted(**way), tmp_path, threads=2, max_bytes=10**9, stop=Stop(), meter=Meter()
    )
    again = fetched(made.path, tmp_path / "again")
    rows, others = look(first.path, first.columns).rows, look(again.path, again.columns).rows
    assert [[plain(value) for value in row] for row in others] == [[plain(value) for value in row] for row in rows]
    assert made.rows == again.rows == len(rows)
    if way["format"] in TYPED:
        types = {column.name: column.type for column in again.columns}
        changed = {column.name for column in first.columns if types[column.name] != column.type}
        assert changed == LOST[way["format"]]


def test_rows_of_200_kb(tmp_path: Path) -> None:
    rows, text = 1600, "".join(random.Random(5).choices("abcdefgh ,", k=200_000))
    with (tmp_path / "large.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "html"])
        writer.writerows((n, text[n:] + text[:n]) for n in range(rows))
    made = fetched(tmp_path / "large.csv", tmp_path / "work")
    assert made.rows == rows
    assert whole_rows(made.path)[1426] == [1426, text[1426:] + text[:1426]]
    folder = tmp_path / "out"
    folder.mkdir()
    wanted = Wanted("ndjson", packing="zstd")
    done = export(made.path, made.columns, wanted, folder, threads=2, max_bytes=10**9, stop=Stop(), meter=Meter())
    assert done.rows == rows
