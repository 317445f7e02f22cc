"""What is said of each column, against figures that Python counts itself."""

import random
import statistics
from collections import Counter
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from portal.engine.columns import Column, readable
from portal.engine.profile import EXACT_ROWS, profile
from portal.engine.stop import Stop

Profiled = Callable[[str], dict[str, dict[str, Any]]]


@pytest.fixture
def profiled(tmp_path: Path) -> Profiled:
    """`profiled(query)`: what is found in the columns of its rows, by name."""

    def run(query: str) -> dict[str, dict[str, Any]]:
        path, work = tmp_path / "data.parquet", tmp_path / "work"
        work.mkdir()
        with duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'")
            rows = connection.sql(query)
            columns = [Column(name, readable(kind)) for name, kind in zip(rows.columns, rows.types, strict=True)]
            rows.write_parquet(str(path))
        found = profile(path, columns, work=work, threads=2, stop=Stop(), report=lambda share: None)
        assert [(each["name"], each["type"]) for each in found] == [(each.name, each.type) for each in columns]
        return {each["name"]: each for each in found}

    return run


def test_numbers(profiled: Profiled) -> None:
    chance = random.Random(3)  # figures to count
    values = [chance.randint(-50, 200) for _ in range(999)]
    found = profiled(f"SELECT unnest({values}) AS n UNION ALL FROM (VALUES (NULL), (NULL))")["n"]
    assert (found["count"], found["nulls"], found["distinct"]) == (999, 2, len(set(values)))
    assert (found["min"], found["max"]) == (min(values), max(values))
    assert found["mean"] == pytest.approx(statistics.mean(values))
    assert found["quantiles"]["p50"] == statistics.median(values)
    edges, counts = found["histogram"]["edges"], found["histogram"]["counts"]
    assert (edges[0], edges[-1], len(edges), len(counts)) == (min(values), max(values), 21, 20)
    expected = Counter(next(n for n, edge in enumerate(edges[1:]) if value <= edge) for value in values)
    assert counts == [expected[n] for n in range(20)]
    assert "top" not in found and "approximate" not in found and "sampled" not in found


def test_few_numbers_are_also_counted_one_by_one(profiled: Profiled) -> None:
    found = profiled("SELECT i % 3 AS n FROM range(10) t(i)")["n"]
    assert found["top"] == [[0, 4], [1, 3], [2, 3]]


@pytest.mark.parametrize("values", [30, 41, 1000])
def test_whole_numbers_are_spread_evenly_over_the_bins(profiled: Profiled, values: int) -> None:
    histogram = profiled(f"SELECT 5 + i AS n FROM range({values}) t(i)")["n"]["histogram"]
    assert (histogram["edges"][0], histogram["edges"][-1], sum(histogram["counts"])) == (5, 4 + values, values)
    assert len(set(histogram["counts"][:-1])) == 1 and histogram["counts"][-1] <= histogram["counts"][0]
    assert 2 <= len(histogram["counts"]) <= 20


def test_numbers_that_are_none(profiled: Profiled) -> None:
    found = profiled("SELECT unnest(['nan', 'inf', '-inf', '1.5', '2.5']::DOUBLE[]) AS n")["n"]
    assert (found["count"], found["not_finite"], found["min"], found["max"]) == (5, 3, 1.5, 2.5)
    assert sum(found["histogram"]["counts"]) == 2
    assert found["top"] == [[1.5, 1], [2.5, 1]]


def test_the_widest_span(profiled: Profiled) -> None:
    found = profiled("SELECT unnest([-1.7e308, 1.7e308]) AS n")["n"]
    assert (found["min"], found["max"], sum(found["histogram"]["counts"])) == (-1.7e308, 1.7e308, 2)


def test_texts(profiled: Profiled) -> None:
    words = ["", "中文", "b", "b", "b\0c", "x" * 300]
    found = profiled(f"SELECT unnest({[*words[:4], words[5]]}) AS t UNION ALL SELECT 'b' || chr(0) || 'c'")["t"]
    assert (found["count"], found["distinct"], found["empty"]) == (6, 5, 1)
    assert (found["shortest"], found["longest"], found["min"], found["max"]) == (0, 300, "", "中文")
    assert found["top"][0] == ["b", 2] and ["b\ufffdc", 1] in found["top"] and ["x" * 100, 1] in found["top"]


def test_long_texts_that_begin_alike(profiled: Profiled) -> None:
    found = profiled("SELECT repeat('p', 100) || i AS t FROM range(5) t(i) UNION ALL SELECT 'short' FROM range(2)")["t"]
    assert (found["distinct"], found["top"][0], len(found["top"])) == (6, ["short", 2], 6)


def test_a_sample_is_of_all_parts_of_the_data(profiled: Profiled) -> None:
    rows = 3 * EXACT_ROWS
    found = profiled(f"SELECT i AS n, i % {rows // 32} AS m FROM range({rows}) t(i)")
    for name, most in (("n", rows), ("m", rows // 32)):  # m begins anew where each share of the sample does
        assert min(found[name]["histogram"]["counts"]) > 0
        assert found[name]["quantiles"]["p50"] == pytest.approx(most * 0.5, abs=most * 0.05)


def test_large_decimals_and_lists_of_them(profiled: Profiled) -> None:
    nines = "9" * 28
    found = profiled(
        f"SELECT {nines}::DECIMAL(38,10) AS d, {'9' * 38}::DECIMAL(38,0) AS w, [1.25::DECIMAL(5,2)] AS l FROM range(3)"
    )
    assert found["d"]["mean"] == pytest.approx(1e28) and found["w"]["mean"] == pytest.approx(1e38)
    assert "mean" not in found["l"]


def test_times(profiled: Profiled) -> None:
    days = [date(1850, 1, 1) + timedelta(days=997 * n) for n in range(60)]
    texts = ", ".join(f"DATE '{day}'" for day in days)
    found = profiled(f"SELECT unnest([{texts}]) AS day, TIMESTAMPTZ '2026-01-02 10:00:00+08' AS at")
    assert (found["day"]["min"], found["day"]["max"]) == (str(days[0]), str(days[-1]))
    assert found["day"]["histogram"]["edges"][0] == str(days[0]) and sum(found["day"]["histogram"]["counts"]) == 60
    assert found["at"]["quantiles"]["p50"] == "2026-01-02T02:00:00Z"
    assert found["at"]["top"] == [["2026-01-02T02:00:00Z", 60]]
    assert found["at"]["min"] == found["at"]["max"] == "2026-01-02T02:00:00Z"


def test_what_has_no_figures(profiled: Profiled) -> None:
    found = profiled("SELECT [1, 2] AS list, NULL::INTEGER AS none, NULL::VARCHAR AS nothing FROM range(4)")
    assert found["list"] == {"name": "list", "type": found["list"]["type"], "count": 4, "nulls": 0}
    assert (found["none"]["count"], found["none"]["nulls"], found["none"]["distinct"]) == (0, 4, 0)
    assert (found["nothing"]["distinct"], found["nothing"]["empty"]) == (0, 0)
    assert "top" not in found["nothing"] and "histogram" not in found["none"]


def test_no_rows(profiled: Profiled) -> None:
    found = profiled("SELECT 1 AS n, 'a' AS t WHERE false")
    assert {(each["count"], each["nulls"], each["distinct"]) for each in found.values()} == {(0, 0, 0)}


def test_many_rows_are_estimated_and_sampled(profiled: Profiled) -> None:
    rows = 2 * EXACT_ROWS
    found = profiled(f"SELECT i AS n, 'word ' || i % 4 AS t FROM range({rows}) t(i)")
    number, text = found["n"], found["t"]
    assert (number["count"], number["min"], number["max"], number["mean"]) == (rows, 0, rows - 1, (rows - 1) / 2)
    assert number["approximate"] and rows * 0.9 <= number["distinct"] <= rows
    assert 0 < number["sampled"] < rows and sum(number["histogram"]["counts"]) == number["sampled"]
    assert number["quantiles"]["p50"] == pytest.approx(rows / 2, rel=0.05)
    assert [value for value, _ in text["top"]] == ["word 0", "word 1", "word 2", "word 3"]


def test_a_wide_table_takes_no_more_memory(profiled: Profiled) -> None:
    cells = [f"{('i', 'i * 0.5', chr(39) + 'text' + chr(39))[n % 3]} AS c{n}" for n in range(300)]
    found = profiled(f"SELECT {', '.join(cells)} FROM range(3) t(i)")
    assert [each["distinct"] for each in found.values()] == [3, 3, 1] * 100


def test_fewer_columns_at_once_where_each_takes_much_memory(profiled: Profiled) -> None:
    found = profiled(
        f"SELECT {', '.join(f'repeat(i || chr(97), 120) AS c{n}' for n in range(60))} FROM range(4096) t(i)"
    )
    assert {(each["distinct"], each["longest"]) for each in found.values()} == {(4096, 600)}


def test_values_too_large_to_hold_side_by_side(profiled: Profiled) -> None:
    found = profiled("SELECT i AS n, repeat('x', 100_000) || i AS t FROM range(2000) t(i)")
    assert (found["n"]["distinct"], found["t"]["count"], found["t"]["nulls"]) == (2000, 2000, 0)


def test_a_column_named_as_what_duckdb_numbers_rows_with(profiled: Profiled) -> None:
    rows = 2 * EXACT_ROWS
    found = profiled(f'SELECT {rows} - i AS "File_row_number", i % 2 AS odd FROM range({rows}) t(i)')
    assert found["File_row_number"]["quantiles"]["p50"] == pytest.approx(rows / 2, rel=0.05)
    assert found["odd"]["top"][0][0] in (0, 1) and found["odd"]["distinct"] == 2
