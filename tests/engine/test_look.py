"""The first rows, as JSON can carry them."""

import gc
import json
from pathlib import Path

import duckdb
import pytest

from portal.engine.columns import Column
from portal.engine.look import ANSWER_BYTES, look
from portal.engine.query import Condition, Sort
from portal.errors import Fault
from tests.engine.rows import columns_of, first_rows


@pytest.fixture
def parquet(tmp_path: Path) -> Path:
    path = tmp_path / "it's.parquet"
    query = """
        SELECT range AS n, 9007199254740993 + range AS big, 1.10::DECIMAL(10,2) AS money, date '2026-01-02' AS day,
          timestamp '2026-01-02 10:00:00.5' AS at, timestamptz '2026-01-02 10:00:00+08' AS zoned, time '10:00' AS clock,
          CASE range WHEN 0 THEN 'nan'::DOUBLE WHEN 1 THEN '-inf'::DOUBLE ELSE 0.1 END AS real,
          '\\xff\\x00'::BLOB AS bytes, {'a': [1, NULL], 'b': {'c': date '2026-01-01'}} AS nested, NULL::VARCHAR AS none,
          '{"x": [1, NaN]}'::JSON AS raw, ['1'::JSON] AS raws, '中' AS text, true AS yes
        FROM range(5)"""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.sql(query).write_parquet(str(path))
    return path


def test_each_kind_of_value(parquet: Path) -> None:
    rows = first_rows(parquet, 3)
    assert rows[0] == [
        0, 9007199254740993, "1.10", "2026-01-02", "2026-01-02T10:00:00.500000", "2026-01-02T02:00:00Z", "10:00:00",
        "NaN", "/wA=", {"a": [1, None], "b": {"c": "2026-01-01"}}, None, {"x": [1, "NaN"]}, [1], "中", True,
    ]  # fmt: skip
    assert [row[7] for row in rows] == ["NaN", "-Infinity", 0.1]
    json.dumps(rows, allow_nan=False)


def test_a_page(parquet: Path) -> None:
    assert [row[0] for row in first_rows(parquet, 2, offset=3)] == [3, 4]
    assert first_rows(parquet, 2, offset=9) == []


@pytest.mark.parametrize("where", [(), (Condition("place", "ge", 1000),)], ids=len)
def test_pages_of_rows_that_are_alike_are_neither_repeated_nor_left_out(
    where: tuple[Condition, ...], tmp_path: Path
) -> None:
    path, rows = tmp_path / "alike.parquet", 200_000
    columns = [Column("file_row_number", "integer"), Column("place", "integer")]  # as our own columns are called
    query = f"SELECT i % 3 AS file_row_number, i AS place FROM range({rows}) t(i)"
    duckdb.connect().execute(f"COPY ({query}) TO '{path}' (FORMAT parquet, ROW_GROUP_SIZE 12288)")
    fitting = [n for n in range(rows) if not where or n >= 1000]
    expected = sorted(fitting, key=lambda n: -(n % 3))
    sort = [Sort("file_row_number", descending=True)]
    for start in (0, 50, 100, 70_000, 150_000):
        found = look(path, columns, where=where, sort=sort, offset=start, limit=50).rows
        assert [row[1] for row in found] == expected[start : start + 50]


def test_no_parquet(tmp_path: Path) -> None:
    with pytest.raises(Fault, match="file_missing"):
        first_rows(tmp_path / "absent", 1)
    (tmp_path / "other").write_text("a,b\n")
    with pytest.raises(Fault, match="file_missing"):
        first_rows(tmp_path / "other", 1)


@pytest.mark.parametrize("rows", [3, 3000])
def test_the_widest_table(rows: int, tmp_path: Path) -> None:
    path, columns = tmp_path / "wide.parquet", [Column(f"c{n}", "text") for n in range(1000)]
    cells = ", ".join(f"i || 'x{n}' AS c{n}" for n in range(1000))
    options = "FORMAT parquet, ROW_GROUP_SIZE 2048"
    duckdb.connect().execute(f"COPY (SELECT {cells} FROM range({rows}) t(i)) TO '{path}' ({options})")
    found = look(
        path, columns, where=[Condition("c7", "starts_with", "2")], sort=[Sort("c3", descending=True)], limit=2
    )
    assert found.matching == sum(str(n).startswith("2") for n in range(rows))
    falling = sorted((f"{n}x3", f"{n}x999") for n in range(rows) if str(n).startswith("2"))[::-1]
    assert [row[999] for row in found.rows] == [last for _, last in falling[:2]]
    assert [len(row) for row in look(path, columns, limit=2).rows] == [1000, 1000]


LARGE = {
    "a text of a million characters": "repeat('x', 1000000)",
    "of three bytes each": "repeat('中', 300000)",
    "that JSON escapes": "repeat(chr(1), 300000)",
    "bytes": "repeat('x', 1000000)::BLOB",
    "JSON": "('[\"' || repeat('x', 1000000) || '\"]')::JSON",
    "a struct": "{'a': repeat('x', 1000000), 'b': [1]}",
    "a list of texts": "[repeat('x', 100000), repeat('y', 100000)]",
    "a long list": "range(5000)",
    "a map": "map {'k': repeat('x', 100000)}",
}


@pytest.mark.parametrize("as_texts", [False, True], ids=["values", "texts"])
@pytest.mark.parametrize("value", LARGE.values(), ids=LARGE)
def test_what_is_large_is_cut_and_said(value: str, as_texts: bool, tmp_path: Path) -> None:
    path = tmp_path / "large.parquet"
    duckdb.connect().execute(f"COPY (SELECT i, {value} AS large FROM range(500) t(i)) TO '{path}' (FORMAT parquet)")
    before = _memory_mb()
    found = look(path, columns_of(path), limit=50, as_texts=as_texts, seconds=60)
    assert found.rows and [row[0] for row in found.rows] == list(range(len(found.rows)))
    assert (found.cut, found.short) == (["large"], len(found.rows) < 50)
    assert len(json.dumps(found.rows, ensure_ascii=False).encode()) <= ANSWER_BYTES
    assert _memory_mb() - before < 100


def test_rows_of_many_columns_are_counted_off_where_they_grow_too_many(tmp_path: Path) -> None:
    path = tmp_path / "wide.parquet"
    cells = ", ".join(f"i * {n} AS c{n}" for n in range(1000))
    duckdb.connect().execute(f"COPY (SELECT {cells} FROM range(1000) t(i)) TO '{path}' (FORMAT parquet)")
    found = look(path, columns_of(path), limit=1000, seconds=60)
    assert found.short and not found.cut and 100 < len(found.rows) < 1000
    rest = look(path, columns_of(path), limit=1, offset=len(found.rows), seconds=60)
    assert (rest.rows[0][1], rest.short) == (len(found.rows), False)


def test_what_is_whole_is_not_taken_for_cut(tmp_path: Path) -> None:
    path = tmp_path / "whole.parquet"
    values = "'abcdef' AS long, '…' AS dots, '\"…\"'::JSON AS raw, {'a': '…'} AS nested, 'abcde' AS most"
    duckdb.connect().execute(f"COPY (SELECT {values}) TO '{path}' (FORMAT parquet)")
    found = look(path, columns_of(path), cell_chars=5)
    assert found.cut == ["long", "nested"] and found.rows == [["abcde…", "…", "…", '{"a":…', "abcde"]]
    assert look(path, columns_of(path), cell_chars=9).cut == []


def _memory_mb() -> float:
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1024**2


def test_lists_of_many_numbers_are_seen(tmp_path: Path) -> None:
    path = tmp_path / "lists.parquet"
    duckdb.connect().execute(f"COPY (SELECT i, range(1000) AS l FROM range(3000) t(i)) TO '{path}' (FORMAT parquet)")
    for sort in ((), (Sort("i", descending=True),)):
        found = look(path, columns_of(path), sort=sort, seconds=60)
        assert (found.rows[7][1], found.cut, len(found.rows)) == (list(range(1000)), [], 50)
