"""What a file is, by its content."""

from pathlib import Path

import pytest

from portal.engine.csv_dialect import unique_names
from portal.engine.reading import Reading
from portal.engine.sniff import Sniffed, sniff
from portal.errors import Fault
from tests.engine.servers import gz


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "file"


def of(path: Path, content: str | bytes, said: str | None = None) -> Sniffed:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return sniff(path, Reading(format=said))


def fault(path: Path, content: str | bytes, said: str | None = None) -> tuple[str, dict[str, object]]:
    with pytest.raises(Fault) as caught:
        of(path, content, said)
    assert not caught.value.passing
    return caught.value.code, dict(caught.value.params)


@pytest.mark.parametrize(
    ("content", "delimiter", "quote", "names", "skip"),
    [
        ("a,b\n1,2\n", ",", '"', ("a", "b"), 0),
        ("a;b\n1,5;2,5\n", ";", '"', ("a", "b"), 0),
        ("a\tb\n1,2\t3\n", "\t", '"', ("a", "b"), 0),
        ('a\tb\n5" pipe\t3\n', "\t", '"', ("a", "b"), 0),
        ('a\tb\n"quoted" not all\t3\n', "\t", "", ("a", "b"), 0),
        ("a|b\n1|2\n", "|", '"', ("a", "b"), 0),
        ("a\n1\n2\n", ",", '"', ("a",), 0),
        ("\r\n\na,b\r\n1,2\r\n", ",", '"', ("a", "b"), 2),
        ("\ufeffa,b\n1,2\n", ",", '"', ("a", "b"), 0),
        ('"a,1","b"\n"x;y;z","2"\n', ",", '"', ("a,1", "b"), 0),
        ('"a\nb",c\n1,2\n', ",", '"', ("a b", "c"), 0),
        ("a,b\r1,2\r", ",", '"', ("a", "b"), 0),
        ("a,b,c\n1,2\n3,4,5\n", ",", '"', ("a", "b", "c"), 0),
        ("名称,值\n甲,1\n", ",", '"', ("名称", "值"), 0),
        ("[x,b\n1,2\n", ",", '"', ("[x", "b"), 0),
    ],
)
def test_csv(path: Path, content: str, delimiter: str, quote: str, names: tuple[str, ...], skip: int) -> None:
    found = of(path, content)
    assert found.format == ("tsv" if delimiter == "\t" else "csv") and found.dialect
    dialect = found.dialect
    assert (dialect.delimiter, dialect.quote, dialect.header) == (delimiter, quote, True)
    assert (dialect.names, dialect.skip) == (names, skip)


@pytest.mark.parametrize(
    ("content", "header"),
    [
        ("id,name\n1,a\n", True),
        ("1,a\n2,b\n", False),
        ("name,city\na,b\n", True),
        ("2026-01-01,5\n2026-01-02,6\n", False),
        ("country,2019,2020,2021\nCN,1,2,3\n", True),
        ("a,b\n", True),
        ("1,2\n", False),
        ("id,\n1,a\n", True),
    ],
)
def test_header(path: Path, content: str, header: bool) -> None:
    dialect = of(path, content).dialect
    assert dialect and dialect.header is header


def test_names_are_unique_and_never_empty() -> None:
    assert unique_names(["a", "", "A", "a_2", "a", " ", "b\n c"]) == [
        "a",
        "column2",
        "A_2",
        "a_2_2",
        "a_3",
        "column6",
        "b c",
    ]


@pytest.mark.parametrize(
    "content", ['{"a":1}\n', '{"a":1}', '\ufeff\n {"a":1}\r\n{"a":2}', '{"a":1}\n{"a":\n{"a":3}\n', '{"a"\n{"a":1}\n']
)
def test_ndjson(path: Path, content: str) -> None:
    assert of(path, content).format == "ndjson"
    assert of(path, content, "ndjson").format == "ndjson"
    assert fault(path, content, "csv") == ("not_what_it_says", {"said": "csv", "found": "ndjson"})


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"PK\x03\x04\x14\x00data.csv", "zip"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "xls"),
        (b"\x28\xb5\x2f\xfd\x04", "zstd"),
        (b"BZh91AY", "bzip2"),
        (b"\xfd7zXZ\x00", "xz"),
        (b"SQLite format 3\x00", "sqlite"),
        (b'<?xml version="1.0"?><a/>', "xml"),
    ],
)
def test_formats_that_are_not_read(path: Path, content: bytes, found: str) -> None:
    assert fault(path, content) == ("format_not_supported", {"found": found})
    assert fault(path, content, "csv") == ("not_what_it_says", {"said": "csv", "found": found})


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"<!DOCTYPE html><html><body>404", "html"),
        (b"\n <HTML lang=en>", "html"),
        (b"<!-- x --><html>", "html"),
        (b"\x89PNG\r\n\x1a\n\x00", "png"),
        (b"\xff\xd8\xff\xe0", "jpeg"),
        (b"%PDF-1.7\n", "pdf"),
        (b"\x7fELF\x02", "elf"),
        (b"a,b\n1,\x00\x01\x02\n", "binary"),
        (b"\x01\x02\x03\x04\xff" * 9, "binary"),
        (gz(b"a,b\n")[2:], "binary"),
    ],
)
def test_no_data(path: Path, content: bytes, found: str) -> None:
    assert fault(path, content) == ("not_data", {"found": found})
    assert fault(path, content, "ndjson") == ("not_what_it_says", {"said": "ndjson", "found": found})


@pytest.mark.parametrize(
    ("content", "format_"),
    [
        (b"PAR1\x15\x04", "parquet"),
        (b"PK\x03\x04\x14\x00[Content_Types].xml", "xlsx"),
        (b'{\n "a": 1\n}\n', "json"),
        (b'[\n{"a": 1}\n]\n', "json"),
        (b'[{"a": 1}]', "json"),
        (b"[1,2]\n[3,4]\n", "ndjson"),
        (b"a\tb\n1\t2\n", "tsv"),
    ],
)
def test_formats(path: Path, content: bytes, format_: str) -> None:
    assert of(path, content).format == format_


@pytest.mark.parametrize(
    ("written", "encoding"),
    [
        ("utf-8", "utf-8"), ("utf-8-sig", "utf-8"), ("utf-16", "utf-16-le"), ("utf-16-le", "utf-16-le"),
        ("utf-16-be", "utf-16-be"), ("utf-32", "utf-32-le"), ("gb18030", "gb18030"),
        ("gbk", "gb18030"),
    ],
)  # fmt: skip
def test_encodings(path: Path, written: str, encoding: str) -> None:
    found = of(path, "id,name,city\n1,a,上海市\n2,数据,北京市\n".encode(written))
    assert found.written and found.written.encoding == encoding
    assert found.dialect and found.dialect.names == ("id", "name", "city")


@pytest.mark.parametrize("content", ["", "\n\n", "  \r\n", "\ufeff"])
def test_empty(path: Path, content: str) -> None:
    assert fault(path, content) == ("file_empty", {})


def test_too_many_columns(path: Path) -> None:
    header = ",".join(f"c{number}" for number in range(1001))
    assert fault(path, header + "\n") == ("too_many_columns", {"columns": 1001, "limit": 1000})


def test_csv_is_no_ndjson(path: Path) -> None:
    assert fault(path, "a,b\n1,2\n", "ndjson") == ("not_what_it_says", {"said": "ndjson", "found": "csv"})


def test_a_sample_that_ends_within_a_character(path: Path) -> None:
    assert of(path, "名," + "数" * 700_000 + "\n1,2\n").format == "csv"
    assert of(path, "a,b\n" + "1,数\n" * 300_000).format == "csv"
