"""What people ask of a table, and what they might type instead."""

from pathlib import Path
from typing import Any

import duckdb
import pytest

from portal.engine import csv_dialect, database
from portal.engine.columns import Column
from portal.engine.look import look
from portal.engine.profile import profile
from portal.engine.query import OPS, Condition, Sort, conditions_from, order_sql, sort_from, where_sql
from portal.engine.stop import Stop
from portal.errors import Fault
from proofs.escapes import ESCAPES

COLUMNS = [
    Column("n", "integer"), Column("t", "text"), Column("x", "number"), Column("d", "date"), Column("at", "timestamp"),
    Column("z", "timestamp with time zone"), Column("b", "boolean"), Column("l", "integer[]"), Column("-n", "integer"),
]  # fmt: skip


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("table") / "data.parquet"
    duckdb.connect().execute(
        f"""SET TimeZone = 'UTC'; COPY (SELECT * FROM (VALUES
        (1, 'Oslo', 1.5::DOUBLE, DATE '2026-01-01', TIMESTAMP '2026-01-01 08:00:00', TIMESTAMPTZ '2026-01-01 00:00Z', true, [1], 9),
        (2, '上海 100%', -2.0, DATE '2026-02-01', NULL, NULL, false, [2, 3], 8),
        (3, NULL, 'nan', NULL, NULL, NULL, NULL, NULL, 7),
        (4, '', NULL, DATE '1899-01-01', NULL, NULL, true, [], 6)
        ) v(n, t, x, d, "at", z, b, l, "-n")) TO '{path}' (FORMAT parquet)"""
    )
    return path


@pytest.mark.parametrize(
    ("column", "op", "value", "expected"),
    [
        ("n", "eq", 2, [2]), ("n", "eq", "2", [2]), ("n", "gt", 1.5, [2, 3, 4]), ("n", "in", [1, "3"], [1, 3]),
        ("n", "lt", "1e1", [1, 2, 3, 4]), ("n", "le", 10**40 // 10**10, [1, 2, 3, 4]), ("t", "eq", "Oslo", [1]),
        ("t", "ne", "Oslo", [2, 3, 4]), ("t", "contains", "OSL", [1]), ("t", "contains", "0%", [2]), ("t", "contains", "_", []),
        ("t", "starts_with", "上", [2]), ("t", "is_null", None, [3]), ("t", "eq", "", [4]), ("x", "ge", "-2", [1, 2]),
        ("d", "lt", "2026-01-15", [1, 4]), ("at", "eq", "2026-01-01T08:00", [1]), ("z", "eq", "2026-01-01T08:00:00+08:00", [1]),
        ("b", "eq", True, [1, 4]), ("b", "eq", "FALSE", [2]), ("l", "contains", "3", [2]), ("l", "not_null", None, [1, 2, 4]),
        ("d", "contains", "1899", [4]), ("x", "eq", "NaN", [3]), ("x", "lt", "Infinity", [1, 2]), ("x", "is_null", None, [4]),
    ],
)  # fmt: skip
def test_conditions(table: Path, column: str, op: str, value: Any, expected: list[int]) -> None:
    found = look(table, COLUMNS, where=[Condition(column, op, value)])
    assert ([row[0] for row in found.rows], found.matching) == (expected, len(expected))


BIG = 2**53
EXACT = [Column("n", "integer"), Column("i", "integer"), Column("w", "integer"), Column("d", "decimal(30,4)"),
         Column("s", "struct"), Column("at", "timestamp"), Column("z", "timestamp with time zone"), Column("x", "number")]  # fmt: skip


@pytest.fixture(scope="module")
def exact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("exact") / "data.parquet"
    duckdb.connect().execute(
        f"""SET TimeZone = 'UTC'; COPY (SELECT * FROM (VALUES
        (1, {BIG}, 12345678901234567890::DECIMAL(38,0), 12345678901234567890.5::DECIMAL(30,4), {{'a': 1, 'b': 'x'}},
         TIMESTAMP '2026-01-01 10:00:00', TIMESTAMPTZ '2026-01-01 10:00:00Z', 'nan'::DOUBLE),
        (2, {BIG} + 1, 12345678901234567891, -0.0001, NULL, NULL, NULL, 'inf'), (3, NULL, NULL, NULL, NULL, NULL, NULL, 5)
        ) v(n, i, w, d, s, "at", z, x)) TO '{path}' (FORMAT parquet)"""
    )
    return path


@pytest.mark.parametrize(
    ("column", "op", "value", "expected"),
    [
        ("i", "in", [str(BIG + 1), "0.5"], [2]), ("i", "gt", f"{BIG}.5", [2]), ("i", "ge", f"{BIG}.5", [2]),
        ("i", "lt", f"{BIG}.5", [1]), ("i", "le", f"{BIG}.5", [1]), ("i", "eq", "0.5", []), ("i", "ne", "0.5", [1, 2, 3]),
        ("i", "in", ["0.5"], []), ("i", "lt", "1e300", [1, 2]), ("i", "gt", "1e300", []), ("i", "gt", "-1e300", [1, 2]),
        ("w", "in", ["12345678901234567891", "1.5"], [2]), ("w", "eq", 12345678901234567890, [1]),
        ("d", "gt", "12345678901234567890.49999999999999999999", [1]), ("d", "lt", "1e29", [1, 2]), ("d", "ge", "1e29", []),
        ("d", "eq", "12345678901234567890.50000000000000000000", [1]), ("d", "le", "-0.00005", [2]), ("d", "ge", "-0.00005", [1]),
        ("d", "eq", "0.00001", []), ("s", "contains", '"a":1', [1]), ("at", "starts_with", "2026-01-01T10", [1]),
        ("at", "contains", "01 10:00", [1]), ("z", "contains", "10:00:00Z", [1]), ("x", "gt", 4, [2, 3]), ("x", "lt", 6, [3]),
    ],
)  # fmt: skip
def test_exact_numbers_are_compared_exactly(exact: Path, column: str, op: str, value: Any, expected: list[int]) -> None:
    found = look(exact, EXACT, where=[Condition(column, op, value)])
    assert [row[0] for row in found.rows] == expected


@pytest.mark.parametrize(
    ("column", "op", "value", "reason"),
    [
        ("n", "eq", "x", "integer"), ("n", "eq", True, "integer"), ("n", "eq", None, "integer"), ("n", "eq", "1_0", "integer"),
        ("x", "lt", "endless", "number"), ("n", "eq", "nan", "integer"), ("d", "eq", "2026-02-30", "date"), ("b", "eq", "yes", "boolean"), ("l", "eq", [1], "nested"),
        ("n", "in", [], "list"), ("n", "in", "1", "list"), ("n", "in", [1] * 101, "list"), ("t", "eq", "x" * 1001, "text"),
        ("t", "eq", "\x00", "text"), ("t", "eq", {"a": 1}, "text"), ("t", "contains", None, "text"), ("t", "like", "x", "op"),
        ("at", "eq", "soon", "timestamp"),
    ],
)  # fmt: skip
def test_conditions_that_make_no_sense(column: str, op: str, value: Any, reason: str) -> None:
    with pytest.raises(Fault) as caught:
        where_sql([Condition(column, op, value)], COLUMNS)
    assert (caught.value.code, caught.value.params) == ("condition_invalid", {"column": column, "reason": reason})


def test_order(table: Path) -> None:
    def order(*sort: str) -> list[int]:
        return [row[0] for row in look(table, COLUMNS, sort=sort_from(sort, COLUMNS)).rows]

    assert order("t") == [4, 1, 2, 3] and order("-n") == [4, 3, 2, 1]  # there is a column of that name
    assert order("--n") == [1, 2, 3, 4] and order("-b", "d") == [4, 1, 2, 3]
    with pytest.raises(Fault, match="sort_invalid"):
        order_sql([Sort("l")], COLUMNS)
    with pytest.raises(Fault, match="sort_invalid"):
        order_sql([Sort("n")] * 4, COLUMNS)


@pytest.mark.parametrize(
    "value", [{}, "x", [1], [{"column": "n"}], [{"column": 1, "op": "eq"}], [{"column": "n", "op": "or 1"}]]
)
def test_only_conditions_are_conditions(value: Any) -> None:
    with pytest.raises(Fault, match="condition_invalid"):
        conditions_from(value)


def test_too_many_conditions() -> None:
    with pytest.raises(Fault, match="conditions_too_many"):
        where_sql([Condition("n", "eq", 1)] * 21, COLUMNS)


def test_pages_and_columns(table: Path) -> None:
    found = look(table, COLUMNS, names=("t", "n"), offset=1, limit=2)
    assert (found.rows, found.matching) == ([[2, "上海 100%"], [3, None]], None)


def test_a_look_that_takes_too_long(tmp_path: Path) -> None:
    path = tmp_path / "large.parquet"
    duckdb.connect().execute(f"COPY (SELECT 'x' || i AS t FROM range(3000000) r(i)) TO '{path}' (FORMAT parquet)")
    where = [Condition("t", "contains", f"{n}9") for n in range(20)]
    with pytest.raises(Fault, match="look_too_slow"):
        look(path, [Column("t", "text")], where=where, seconds=0.01)


def test_at_least_forty_escapes() -> None:
    assert len(set(ESCAPES)) >= 40


@pytest.mark.parametrize("text", ESCAPES, ids=range(len(ESCAPES)))
def test_nothing_typed_gets_out(table: Path, text: str) -> None:
    for attempt in (
        lambda: look(table, COLUMNS, where=[Condition(text, "eq", 1)]),
        lambda: look(table, COLUMNS, where=[Condition("n", text, 1)]),
        lambda: look(table, COLUMNS, where=[Condition("n", "eq", text)]),
        lambda: look(table, COLUMNS, sort=[Sort(text)]),
        lambda: csv_dialect.guess("a,b\n1,2\n", delimiter=text if text not in "?*" else "ab"),
    ):
        with pytest.raises(Fault):
            attempt()
    for op in set(OPS) - {"is_null", "not_null", "in", "ne", "ge", "gt", "le", "lt"}:
        try:
            found = look(table, COLUMNS, where=[Condition("t", op, text)])
        except Fault:
            continue
        assert all(text.lower() in (row[1] or "").lower() for row in found.rows)


HOSTILE = (
    "SELECT * FROM read_csv('/etc/passwd')", "SELECT * FROM read_text('/etc/passwd')", "FROM read_blob('/etc/*')",
    "FROM glob('/etc/*')", "COPY (SELECT 1) TO '{outside}'", "ATTACH '{outside}' AS x", "EXPORT DATABASE '{outside}'",
    "INSTALL httpfs", "LOAD httpfs", "LOAD '{outside}'", "FROM read_parquet('http://127.0.0.1:1/x.parquet')",
    "FROM read_csv('s3://bucket/x')", "SET memory_limit = '100GB'", "SET threads = 64", "SET enable_external_access = true",
    "SET allowed_paths = ['/etc/passwd']", "RESET lock_configuration", "PRAGMA memory_limit = '1TB'",
    "CREATE SECRET (TYPE s3, KEY_ID 'x', SECRET 'y')", "SET temp_directory = '/'", "IMPORT DATABASE '/etc'",
    "SELECT getenv('HOME')", "FROM '/etc/passwd'", "FROM sniff_csv('/etc/passwd')",
)  # fmt: skip


@pytest.mark.parametrize("statement", HOSTILE)
def test_a_connection_refuses_it_even_as_sql(table: Path, tmp_path: Path, statement: str) -> None:
    outside = tmp_path / "outside"
    (tmp_path / "work").mkdir()
    with (
        database.opened(memory_mb=64, threads=1, files=[table], folder=tmp_path / "work") as connection,
        pytest.raises(duckdb.Error),
    ):
        connection.execute(statement.format(outside=outside)).fetchall()
    assert not outside.exists()


def test_a_profile(table: Path, tmp_path: Path) -> None:
    found = profile(table, COLUMNS, work=tmp_path, threads=1, stop=Stop(), report=lambda _: None)
    by_name = {each["name"]: each for each in found}
    n = by_name["n"]
    assert (n["count"], n["nulls"], n["distinct"], n["min"], n["max"], n["mean"]) == (4, 0, 4, 1, 4, 2.5)
    assert n["quantiles"]["p50"] == 2.5 and n["histogram"] == {"edges": [1, 1, 2, 3, 4], "counts": [1, 1, 1, 1]}
    assert by_name["x"]["not_finite"] == 1 and by_name["x"]["max"] == 1.5
    assert (by_name["t"]["empty"], by_name["t"]["nulls"], by_name["t"]["longest"]) == (1, 1, 7)
    assert by_name["b"]["top"] == [[True, 2], [False, 1]]
    assert (by_name["d"]["min"], by_name["d"]["max"]) == ("1899-01-01", "2026-02-01")
    assert by_name["l"] == {"name": "l", "type": "integer[]", "nulls": 1, "count": 3}
