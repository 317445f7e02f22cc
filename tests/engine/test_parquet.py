"""Parquet files of every kind: what is read is what another reader reads, or said, or refused by name."""

import base64
import decimal
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from portal.engine.fetch import Fetched
from portal.engine.look import look
from portal.errors import Fault
from tests.engine.servers import Site

Fetch = Callable[..., Fetched]
Read = Callable[..., Fetched]
NANOS = 1_700_000_000_123_456_789
MOMENT = "2023-11-14T22:13:20.123456"
BIG = decimal.Decimal("12345678901234567890.12")


@pytest.fixture
def read(site: Site, fetch: Fetch, tmp_path: Path) -> Read:
    def run(table: pa.Table, **written: Any) -> Fetched:
        pq.write_table(table, tmp_path / "p.parquet", **written)
        return fetch(site.file("/p", (tmp_path / "p.parquet").read_bytes()), stall_seconds=10)

    return run


def values(found: Fetched) -> list[Any]:
    return [row[0] for row in look(found.path, found.columns).rows]


CASES: dict[str, tuple[pa.Array, str, list[Any], dict[str, list[str]]]] = {
    "text without a mark": (pa.array([b"abc", "甲".encode(), None], pa.binary()), "text", ["abc", "甲", None], {"text": ["c"]}),
    "text of one length": (pa.array([b"abc", b"xyz"], pa.binary(3)), "text", ["abc", "xyz"], {"text": ["c"]}),
    "bytes": (
        pa.array([b"abc", b"\xff"], pa.binary()), "text", [base64.b64encode(b"abc").decode(), "/w=="], {"base64": ["c"]},
    ),
    "bytes that decode by chance": (pa.array([b"\x05\0\0\0\0"], pa.binary()), "text", ["BQAAAAA="], {"base64": ["c"]}),
    "late bytes": (pa.array([b"a"] * 49 + [b"b"] * 30_000 + [b"\xff"], pa.binary()), "text", ["YQ=="] * 49 + ["Yg=="], {"base64": ["c"]}),
    "no bytes": (pa.array([None, b""], pa.binary()), "text", [None, ""], {}),
    "nested bytes": (
        pa.array([{"t": b"x", "b": [b"\xff", None]}, None], pa.struct([("t", pa.binary()), ("b", pa.list_(pa.binary()))])),
        "struct", [{"t": "x", "b": ["/w==", None]}, None], {"text": ["c"], "base64": ["c"]},
    ),
    "nanoseconds": (
        pa.array([NANOS, None], pa.timestamp("ns")), "text", ["2023-11-14 22:13:20.123456789", None], {"nanoseconds": ["c"]},
    ),
    "nanoseconds in a list": (
        pa.array([[NANOS], None], pa.list_(pa.timestamp("ns"))), "text[]", [[f"{MOMENT}789"], None], {"nanoseconds": ["c"]},
    ),
    "nanoseconds of a zone": (
        pa.array([[("k", NANOS)]], pa.map_(pa.string(), pa.timestamp("ns", "UTC"))), "json", [{"k": f"{MOMENT}789Z"}],
        {"nanoseconds": ["c"]},
    ),
    "microseconds counted in nanoseconds": (
        pa.array([{"x": NANOS - 789}], pa.struct([("x", pa.timestamp("ns"))])), "struct", [{"x": MOMENT}], {},
    ),
    "a map": (pa.array([[("k", 0.1), ("n", float("nan"))]], pa.map_(pa.string(), pa.float32())), "json", [{"k": 0.1, "n": "NaN"}], {}),
    "a map with a key twice": (
        pa.array([[("k", 1), ("k", 2)], [("a", 3)], [], None], pa.map_(pa.string(), pa.int64())), "json",
        [[{"key": "k", "value": 1}, {"key": "k", "value": 2}], [{"key": "a", "value": 3}], [], None], {"pairs": ["c"]},
    ),
    "a map in a list": (
        pa.array([[[("k", 1), ("k", 2)]], [], None], pa.list_(pa.map_(pa.string(), pa.int64()))), "json",
        [[[{"key": "k", "value": 1}, {"key": "k", "value": 2}]], [], None], {"pairs": ["c"]},
    ),
    "keys of numbers": (pa.array([[(1, "x"), (2, None)]], pa.map_(pa.int32(), pa.string())), "json", [{"1": "x", "2": None}], {}),
    "keys of structs": (
        pa.array([[({"a": 1}, "x")]], pa.map_(pa.struct([("a", pa.int32())]), pa.string())), "json",
        [[{"key": {"a": 1}, "value": "x"}]], {"pairs": ["c"]},
    ),
    "moments in maps": (
        pa.array([[("k", [("a", 1_577_844_000_000_000)])]], pa.map_(pa.string(), pa.map_(pa.string(), pa.timestamp("us", "UTC")))),
        "json", [{"k": {"a": "2020-01-01T02:00:00Z"}}], {},
    ),
    "decimals in maps": (pa.array([[("k", BIG)]], pa.map_(pa.string(), pa.decimal128(30, 2))), "json", [{"k": str(BIG)}], {}),
    "numbers in structs": (
        pa.array([{"f": 0.1, "u": 2**64 - 1, "i": 1}], pa.struct([("f", pa.float32()), ("u", pa.uint64()), ("i", pa.int8())])),
        "struct", [{"f": 0.1, "u": str(2**64 - 1), "i": 1}], {},
    ),
    "small numbers in lists": (pa.array([[1, None], [], None], pa.list_(pa.int8())), "integer[]", [[1, None], [], None], {}),
    "half a float": (pa.array([0.1, None], pa.float32()).cast(pa.float16()), "number", [0.0999755859375, None], {}),
    "uuid": (pa.array([uuid.UUID(int=5).bytes], pa.uuid()), "text", [str(uuid.UUID(int=5))], {}),
    "times": (pa.array([1_001_001], pa.time64("us")), "time", ["00:00:01.001001"], {}),
    "times in nanoseconds": (pa.array([1_001_001_001], pa.time64("ns")), "text", ["00:00:01.001001001"], {}),
    "unsigned": (pa.array([2**64 - 1, None], pa.uint64()), "integer", [str(2**64 - 1), None], {}),
    "38 digits": (pa.array([BIG], pa.decimal128(38, 2)), "decimal(38,2)", [str(BIG)], {}),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_value_of_every_type(read: Read, name: str) -> None:
    array, kind, expected, converted = CASES[name]
    found = read(pa.table({"c": array}), store_schema=False)
    assert (found.columns[0].type, values(found)[: len(expected)]) == (kind, expected)
    assert (found.rows, found.found) == (
        len(array),
        {"format": "parquet"} | ({"converted": converted} if converted else {}),
    )


@pytest.mark.parametrize(
    ("moments", "kind", "expected"),
    [
        ([NANOS, None], "text", ["2023-11-14 22:13:20.123456789", None]),
        ([NANOS - 789, None], "timestamp", [MOMENT, None]),
    ],
)
def test_moments_of_96_bits(read: Read, moments: list[int | None], kind: str, expected: list[Any]) -> None:
    found = read(pa.table({"at": pa.array(moments, pa.timestamp("ns"))}), use_deprecated_int96_timestamps=True)
    assert (found.columns[0].type, values(found)) == (kind, expected)


def test_moments_of_96_bits_beyond_what_nanoseconds_reach(read: Read) -> None:
    far = pa.array([253_402_225_200 * 10**6, -62_135_596_800 * 10**6], pa.timestamp("us"))
    found = read(pa.table({"at": far}), use_deprecated_int96_timestamps=True)
    assert (found.columns[0].type, values(found)) == ("timestamp", ["9999-12-31T03:00:00", "0001-01-01T00:00:00"])


def test_a_moment_of_96_bits_on_no_day_that_can_be_counted(site: Site, fetch: Fetch, tmp_path: Path) -> None:
    table = pa.table({"at": pa.array([NANOS], pa.timestamp("ns"))})
    pq.write_table(
        table, tmp_path / "p", use_deprecated_int96_timestamps=True, use_dictionary=False, compression="none"
    )
    day = (2_440_588 + NANOS // (86_400 * 10**9)).to_bytes(4, "little")
    body = (tmp_path / "p").read_bytes()
    assert body.count(day) == 1
    with pytest.raises(Fault) as caught:
        fetch(site.file("/p", body.replace(day, (107_640_000).to_bytes(4, "little"))), stall_seconds=10)
    assert (caught.value.code, caught.value.params) == ("parquet_not_supported", {"what": "INT96", "column": "at"})


def test_names_that_are_alike(read: Read) -> None:
    alike = pa.Table.from_arrays([pa.array([1]), pa.array(["x"]), pa.array([2.5])], names=["a", "A", "a"])
    found = read(alike)
    assert [column.name for column in found.columns] == ["a", "A_2", "a_3"]
    assert look(found.path, found.columns).rows == [[1, "x", 2.5]]


def test_many_groups_of_rows(read: Read) -> None:
    count = 10_000
    table = pa.table({"i": list(range(count)), "n": [None if n > 5000 else str(n) for n in range(count)]})
    found = read(table, row_group_size=77)
    assert pq.read_table(found.path).to_pydict() == table.to_pydict()


@pytest.mark.parametrize(
    ("table", "written", "code", "params"),
    [
        (
            pa.table({"n": [1], "d": pa.array([decimal.Decimal("1.25")], pa.decimal256(50, 2))}), {},
            "parquet_not_supported", {"what": "DECIMAL(50)", "column": "d"},
        ),
        (
            pa.table({"b": pa.array([[b"abc"]], pa.list_(pa.binary(3)))}),
            {"use_dictionary": False, "column_encoding": {"b.list.element": "BYTE_STREAM_SPLIT"}},
            "parquet_not_supported", {"what": "BYTE_STREAM_SPLIT", "column": "b"},
        ),
        (pa.table({"a": [1]}).select([]), {}, "file_empty", {}),
        (pa.table({"j": pa.array(["nope"], pa.json_())}), {}, "parquet_not_supported", {"what": "JSON that is none", "column": None}),
    ],
)  # fmt: skip
def test_what_is_not_read_is_named(
    read: Read, table: pa.Table, written: dict[str, Any], code: str, params: dict[str, Any]
) -> None:
    with pytest.raises(Fault) as caught:
        read(table, **written)
    assert (caught.value.code, caught.value.params) == (code, params)


def test_a_footer_that_tells_of_other_rows(site: Site, fetch: Fetch, tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": [1, 2, 3]}), tmp_path / "p", store_schema=False)
    body = (tmp_path / "p").read_bytes()
    # The number of all rows is the footer's third field: a 64-bit number, three as zigzag; then come groups of rows.
    at = body.rindex(b"\x16\x06\x19\x1c")
    with pytest.raises(Fault, match="parquet_corrupt"):
        fetch(site.file("/p", body[:at] + b"\x16\x08" + body[at + 2 :]), stall_seconds=10)
