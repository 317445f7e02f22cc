"""CSV and NDJSON to Parquet: exact contents, exact types, exact complaints."""

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from portal.engine.convert import convert
from portal.engine.sniff import sniff
from portal.engine.stop import Stop
from portal.errors import Fault, Stopped
from tests.engine.rows import first_rows

Table = tuple[list[tuple[str, str]], list[list[Any]]]
Load = Callable[..., Table]
MANY = 40_000


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Columns and rows (the last ten) of a file with the given content."""

    def run(content: str | bytes, **options: Any) -> Table:
        source, target = tmp_path / "so'urce", tmp_path / "data.parquet"
        source.write_bytes(content if isinstance(content, bytes) else content.encode())
        done = convert(source, sniff(source), target, work=tmp_path, stop=Stop(), report=lambda share: None, **options)
        rows = first_rows(target, 10, offset=max(0, done.rows - 10))
        assert done.rows <= 10 or len(rows) == 10
        return [(column.name, column.type) for column in done.columns], rows

    return run


@pytest.fixture
def fault(load: Load) -> Callable[[str | bytes], tuple[str, dict[str, Any]]]:
    def run(content: str | bytes) -> tuple[str, dict[str, Any]]:
        with pytest.raises(Fault) as caught:
            load(content)
        assert not caught.value.passing
        told = dict(caught.value.params)
        assert told.pop("broken") == 1 and len(told.pop("text", "")) <= 120
        return caught.value.code, told

    return run


Broken = Callable[[str | bytes], tuple[str, dict[str, Any]]]


def test_csv(load: Load) -> None:
    content = (
        "id,name,amount,day,at,zoned,yes\n"
        '1,"a ""b"", c",2.5,2026-01-02,2026-01-02 10:00:00,2026-01-02T10:00:00+08:00,true\n'
        '2,"x\ny",-3,2026/1/3,2026-01-02T10:00:00.25,2026-01-02T10:00:00Z,FALSE\n'
        "3,,,,,,\n"
    )
    columns, rows = load(content)
    assert columns == [
        ("id", "integer"), ("name", "text"), ("amount", "number"), ("day", "date"), ("at", "timestamp"),
        ("zoned", "timestamp with time zone"), ("yes", "boolean"),
    ]  # fmt: skip
    assert rows == [
        [1, 'a "b", c', 2.5, "2026-01-02", "2026-01-02T10:00:00", "2026-01-02T02:00:00Z", True],
        [2, "x\ny", -3.0, "2026-01-03", "2026-01-02T10:00:00.250000", "2026-01-02T10:00:00Z", False],
        [3, None, None, None, None, None, None],
    ]


@pytest.mark.parametrize(
    "values",
    [
        ["007", "010"], ["+8613800000000", "1"], ["1_000", "2"], ["0x10", "2"], ["1e400", "1"],
        ["1" * 39, "2"], ["1234567890123456.5", "1"], ["2026-02-30", "2026-01-01"], ["01-02-2026", "02-02-2026"],
        ["2026-01-02T10:00:00.123456789", "2026-01-02T10:00:00"], ["10:00", "11:00"], ["yes", "no"], ["NA", "1"],
        ["2026-01-02", "2026-01-02 10:00:00"], ["20260102x", "1"], [" x ", "y"], ["1,5", "2,5"], ["١٢", "1"],
    ],
)  # fmt: skip
def test_text_that_only_looks_like_something_else_stays_as_it_is(load: Load, values: list[str]) -> None:
    columns, rows = load("k;v\n" + "".join(f"a;{value}\n" for value in values))
    assert columns[1] == ("v", "text")
    assert [row[1] for row in rows] == values


@pytest.mark.parametrize(
    ("values", "kind", "stored"),
    [
        (["9223372036854775807", "-9223372036854775808"], "integer", [2**63 - 1, -(2**63)]),
        (["12345678901234567890", "1"], "integer", ["12345678901234567890", "1"]),
        (["1.5e-3", "1E5", ".5", "5.", "-0.0"], "number", [0.0015, 100000.0, 0.5, 5.0, -0.0]),
        (["1.5", "NaN", "-inf"], "number", [1.5, "NaN", "-Infinity"]),
        ([" 1 ", "2"], "integer", [1, 2]),
        (['""', "2"], "integer", [None, 2]),
        (['""', "x"], "text", ["", "x"]),
        (["", ""], "text", [None, None]),
        (["true", "False"], "boolean", [True, False]),
    ],
)
def test_values(load: Load, values: list[str], kind: str, stored: list[Any]) -> None:
    columns, rows = load("k;v\n" + "".join(f"a;{value}\n" for value in values))
    assert columns[1] == ("v", kind)
    assert [row[1] for row in rows] == stored


@pytest.mark.parametrize(
    ("early", "late", "kind", "stored"),
    [
        ("1", "2.5", "number", 2.5),
        ("1", "x", "text", "x"),
        ("1", "012", "text", "012"),
        ("", "7", "integer", 7),
        ("", "x", "text", "x"),
        ("2026-01-01", "2026-02-31", "text", "2026-02-31"),
        ("true", "1", "text", "1"),
        ("0.5", "12345678901234567890", "text", "12345678901234567890"),
    ],
)
def test_a_late_value_that_does_not_fit_changes_the_type(
    load: Load, early: str, late: str, kind: str, stored: Any
) -> None:
    columns, rows = load("k,v\n" + f"a,{early}\n" * MANY + f"a,{late}\n")
    assert columns[1] == ("v", kind)
    assert rows[-1] == ["a", stored]
    assert rows[0] == ["a", {"": None, "1": 1 if kind == "number" else "1"}.get(early, early)]


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        ("a,b\n", []),
        ("a,b", []),
        ("1,2\n3,4", [[1, 2], [3, 4]]),
        ("a,b\r\n1,2\r\n", [[1, 2]]),
        ("a,b\r1,2\r", [[1, 2]]),
        ('a,b\n1,2\r\n3,"x\r\ny"\r\n', [[1, "2"], [3, "x\r\ny"]]),
        ("a,b\n1,2,\n3,4,\n", [[1, 2], [3, 4]]),
        ("\n\na,b\n\n1,2\n\n", [[1, 2]]),
        ("a\n1\n\n3\n", [[1], [None], [3]]),
        ("\ufeffa,b\n1,2\n", [[1, 2]]),
        ("select,a\"b,c'd,e]\n1,2,3,4\n", [[1, 2, 3, 4]]),
        ('a\tb\n"x" y\t2\n', [['"x" y', 2]]),
    ],
)
def test_csv_of_every_shape(load: Load, content: str, rows: list[list[Any]]) -> None:
    assert load(content)[1] == rows


@pytest.mark.parametrize(
    ("tail", "line", "params"),
    [
        ("1\n", 0, {"reason": "columns", "expected": 2, "found": 1}),
        ("1,2,3\n4,5\n", 0, {"reason": "columns", "expected": 2, "found": 3}),
        ('"x\n\ny",1\n1,2,3\n', 3, {"reason": "columns", "expected": 2, "found": 3}),
        ('1,"x"y\n', 0, {"reason": "after_quote"}),
        ('1,2\n3,"x\n4,5\n', 1, {"reason": "quote"}),
        ('1,"' + "x" * 2_100_000 + '"\n', 0, {"reason": "too_long"}),
    ],
)
@pytest.mark.parametrize("rows", [0, 1, MANY])
def test_a_broken_row_is_named(fault: Broken, tail: str, line: int, params: dict[str, Any], rows: int) -> None:
    assert fault("a,b\n" + "1,2\n" * rows + tail) == ("csv_broken_row", {"line": 2 + rows + line, **params})


def test_a_late_byte_that_is_no_utf8(fault: Broken) -> None:
    told = {"line": 300_002, "reason": "encoding"}
    assert fault(b"a,b\n" + b"1,2\n" * 300_000 + b"\xff,2\n") == ("csv_broken_row", told)
    told = {"line": 200_001, "reason": "encoding"}
    assert fault(b'{"a":1}\n' * 200_000 + b'{"a":"\xff"}\n') == ("ndjson_broken_line", told)


def test_ndjson(load: Load) -> None:
    columns, rows = load(
        '\ufeff{"id":1,"name":"a","x":1.5,"day":"2026-01-02","at":"2026-01-02T10:00:00Z","yes":true,"l":[1,2]}\n'
        '\n{"id":2,"o":{"d":"2026-1-2","e":[{"f":null}]},"mixed":"x"}\r\n{"mixed":1,"big":12345678901234567890}'
    )
    assert columns == [
        ("id", "integer"), ("name", "text"), ("x", "number"), ("day", "date"), ("at", "timestamp with time zone"),
        ("yes", "boolean"), ("l", "integer[]"), ("o", "struct"), ("mixed", "json"), ("big", "integer"),
    ]  # fmt: skip
    assert rows == [
        [1, "a", 1.5, "2026-01-02", "2026-01-02T10:00:00Z", True, [1, 2], None, None, None],
        [2, None, None, None, None, None, None, {"d": "2026-1-2", "e": [{"f": None}]}, "x", None],
        [None, None, None, None, None, None, None, None, 1, "12345678901234567890"],
    ]


@pytest.mark.parametrize(
    ("lines", "kind", "stored"),
    [
        (['{"v":1}', '{"v":1.5}'], "number", [1.0, 1.5]),
        (['{"v":1.5}', '{"v":9007199254740993}'], "text", ["1.5", "9007199254740993"]),
        (['{"v":1e20}', '{"v":1}'], "number", [1e20, 1.0]),
        (['{"v":1e400}', '{"v":1}'], "text", ["1e400", "1"]),
        (['{"v":"01-02-2026"}', '{"v":"x"}'], "text", ["01-02-2026", "x"]),
        (['{"v":"007"}', '{"v":"8"}'], "text", ["007", "8"]),
        (
            ['{"v":"A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11"}', "{}"],
            "text",
            ["A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", None],
        ),
        (['{"v":null}', '{"v":null}'], "text", [None, None]),
        (['{"v":true}', '{"v":1}'], "json", [True, 1]),
        (['{"v":{"a":1}}', '{"v":[1]}'], "json", [{"a": 1}, [1]]),
    ],
)
def test_ndjson_values(load: Load, lines: list[str], kind: str, stored: list[Any]) -> None:
    columns, rows = load("\n".join(lines))
    assert columns == [("v", kind)]
    assert [row[0] for row in rows] == stored


@pytest.mark.parametrize(
    "line", ['{"a":1,"A":2}', '{"x":{"a":1,"A":2}}', '{"":1}', "{}", '{"a":1,"a_1":2,"A":3}'],
)  # fmt: skip
def test_objects_no_table_can_hold_are_kept_whole(load: Load, line: str) -> None:
    assert load(f"{line}\n{line}\n") == ([("json", "json")], [[json.loads(line)], [json.loads(line)]])


def test_a_key_that_repeats_is_kept(load: Load) -> None:
    assert load('{"a":1,"a":2}\n')[0] == [("json", "json")]


def test_numbered_keys_are_columns(load: Load) -> None:
    assert load('{"a":1,"a_1":2}\n') == ([("a", "integer"), ("a_1", "integer")], [[1, 2]])


def test_what_comes_late_is_not_lost(load: Load) -> None:
    columns, rows = load('{"a":1,"e":null}\n' * MANY + '{"a":1.5,"e":[7],"new":{"x":"y"}}\n')
    assert columns == [("a", "number"), ("e", "integer[]"), ("new", "struct")]
    assert rows[-2:] == [[1.0, None, None], [1.5, [7], {"x": "y"}]]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"a":', "syntax"),
        ('{"a":1},', "syntax"),
        ('{"a":1} {"a":2}', "syntax"),
        ("{'a':1}", "syntax"),
        ('{"a":01}', "syntax"),
        ('{"a":"\\ud800"}', "syntax"),
        ("hello", "syntax"),
        ("7", "not_object"),
        ("[1]", "not_object"),
    ],
)
@pytest.mark.parametrize("rows", [1, MANY])
def test_a_broken_line_is_named(fault: Broken, line: str, reason: str, rows: int) -> None:
    content = '{"a":1}\n' * rows + "\n" + line + '\n{"a":1}\n'
    assert fault(content) == ("ndjson_broken_line", {"line": rows + 2, "reason": reason})


def test_a_line_too_long_for_anybody(fault: Broken, load: Load) -> None:
    assert len(load('{"a":1}\n{"a":"' + "x" * 8_000_000 + '"}\n')[1]) == 2
    assert fault('{"a":1}\n{"a":"' + "x" * 34_000_000 + '"}\n') == (
        "ndjson_broken_line",
        {"line": 2, "reason": "too_long"},
    )


def test_order_is_kept_and_progress_grows(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "data.parquet"
    with source.open("w") as file:
        file.write("n,text\n")
        file.writelines(f"{number},{'x' * 100}\n" for number in range(400_000))
    shares: list[float] = []
    convert(source, sniff(source), target, work=tmp_path, threads=2, stop=Stop(), report=shares.append)
    assert [row[0] for row in first_rows(target, 3, offset=399_990)] == [399_990, 399_991, 399_992]
    assert shares == sorted(shares) and all(0 <= share <= 1 for share in shares)
    assert {path.name for path in tmp_path.iterdir()} <= {"source", "data.parquet", "spill"}


def test_a_full_disk_is_worth_another_try(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "data.parquet"
    source.write_text("a\n" + "".join(f"{number * 7919 % 10007}\n" for number in range(300_000)))
    target.symlink_to("/dev/full")
    with pytest.raises(Fault) as caught:
        convert(source, sniff(source), target, work=tmp_path, stop=Stop(), report=lambda share: None)
    assert (caught.value.code, caught.value.passing) == ("disk_full", True)


def test_stop_breaks_off_a_conversion(tmp_path: Path) -> None:
    source, stop = tmp_path / "source", Stop()
    source.write_text("a,b,c,d\n" + "1,x,2026-01-01,2.5\n" * 2_000_000)
    running = threading.Event()
    stopped: list[float] = []

    def stop_it() -> None:
        running.wait(10)
        stopped.append(time.monotonic())
        stop.set()

    threading.Thread(target=stop_it, daemon=True).start()
    with pytest.raises(Stopped):
        convert(
            source, sniff(source), tmp_path / "data.parquet", work=tmp_path, stop=stop, report=lambda _: running.set()
        )
    assert time.monotonic() - stopped[0] < 1


def test_an_array_of_numbers_does_not_fill_the_disk(load: Load) -> None:
    with pytest.raises(Fault) as caught:
        load("[\n" + "1,\n" * 4_000_000 + "1\n]", max_bytes=10_000_000)
    assert (caught.value.code, caught.value.params) == ("too_large", {"limit": 10_000_000})
