"""What a file is, by its content: the name and the server's Content-Type are not believed."""

import json
from dataclasses import dataclass
from pathlib import Path

from portal.engine import csv_dialect
from portal.engine.csv_dialect import Dialect
from portal.errors import Fault

SAMPLE = 1024 * 1024
FORMATS = ("csv", "ndjson")

# Data formats a person may rightly hope for, and things that are no table at all.
_DATA = {
    b"PAR1": "parquet",
    b"PK\x03\x04": "zip",
    b"PK\x05\x06": "zip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\xfd7zXZ\x00": "xz",
    b"BZh": "bzip2",
    b"7z\xbc\xaf\x27\x1c": "7z",
    b"Rar!": "rar",
    b"\xd0\xcf\x11\xe0": "xls",
    b"SQLite format 3\x00": "sqlite",
    b"ARROW1": "arrow",
    b"ORC": "orc",
    b"Obj\x01": "avro",
    b"\x89HDF": "hdf5",
}
_OTHER = {
    b"\x89PNG": "png",
    b"\xff\xd8\xff": "jpeg",
    b"GIF8": "gif",
    b"%PDF": "pdf",
    b"RIFF": "riff",
    b"\x7fELF": "elf",
    b"MZ\x90": "exe",
}
_BOMS = {
    b"\xff\xfe\x00\x00": "UTF-32",
    b"\x00\x00\xfe\xff": "UTF-32",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
}
_TEXT_CONTROLS = set(b"\t\n\r\f\x1b")


@dataclass(frozen=True)
class Sniffed:
    """`dialect` is there for csv alone. `row_bytes` is the mean length of a row in the sample."""

    format: str
    dialect: Dialect | None
    row_bytes: int


def sniff(path: Path, said: str | None = None) -> Sniffed:
    """Tell csv from ndjson; `said` ("csv" or "ndjson") is what the user called it.

    Raises `Fault`: `file_empty`, `format_not_supported`, `not_data`, `not_what_it_says`, `encoding_not_supported`,
    `not_utf8`, `too_many_columns`.
    """
    with path.open("rb") as file:
        head = file.read(SAMPLE)
    if not head:
        raise Fault("file_empty")
    if found := _signature(head):
        raise _unwelcome(found, said)
    text = _text(head, whole=path.stat().st_size <= SAMPLE, said=said)
    if not text.strip():
        raise Fault("file_empty")
    if found := _markup(text):
        raise _unwelcome(found, said)
    row_bytes = max(1, len(head) // max(1, text.count("\n"), text.count("\r")))
    format_ = _json_kind(text, said) or "csv"
    if format_ not in FORMATS:
        raise _unwelcome(format_, said)
    if said and said != format_:
        raise Fault("not_what_it_says", said=said, found=format_)
    return Sniffed(format_, csv_dialect.guess(text) if format_ == "csv" else None, row_bytes)


def _signature(head: bytes) -> str | None:
    for magic, name in (_DATA | _OTHER).items():
        if head.startswith(magic) and (name != "orc" or b"\0" in head):
            office = name == "zip" and (b"xl/" in head[:8192] or b"[Content_Types].xml" in head[:8192])
            return "xlsx" if office else name
    return None


def _unwelcome(found: str, said: str | None) -> Fault:
    if said:
        return Fault("not_what_it_says", said=said, found=found)
    supported_by_others = found in _DATA.values() or found in ("xlsx", "json", "xml")
    return Fault("format_not_supported" if supported_by_others else "not_data", found=found)


def _text(head: bytes, *, whole: bool, said: str | None) -> str:
    """The sample as text, cut at the end of a line unless it is the whole file."""
    for bom, encoding in _BOMS.items():
        if head.startswith(bom):
            raise Fault("encoding_not_supported", found=encoding)
    if b"\0" in head:
        share = head[:4096].count(0) / len(head[:4096])
        if 0.3 < share < 0.7 and not any(byte < 9 for byte in head[:4096].replace(b"\0", b"")):
            raise Fault("encoding_not_supported", found="UTF-16")
        raise _unwelcome("binary", said)
    if not whole:
        end = max(head.rfind(b"\n"), head.rfind(b"\r")) + 1
        head = head[:end] if end else head[: len(head) - 4]
    try:
        return head.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        if not whole and problem.start >= len(head) - 4 and problem.reason == "unexpected end of data":
            return head[: problem.start].decode("utf-8-sig")
        controls = sum(byte < 32 and byte not in _TEXT_CONTROLS for byte in head[:4096])
        if controls > len(head[:4096]) / 100:
            raise _unwelcome("binary", said) from None
        line = head.count(b"\n", 0, problem.start) or head.count(b"\r", 0, problem.start)
        raise Fault("not_utf8", line=line + 1) from None


def _markup(text: str) -> str | None:
    start = text.lstrip()[:1024].lower()
    if start.startswith("<!doctype html") or "<html" in start:
        return "html"
    return "xml" if start.startswith("<?xml") else None


def _json_kind(text: str, said: str | None) -> str | None:
    """ "ndjson", "json" (one document, or lines that are not objects) or None."""
    start = text.lstrip()
    if start[0] not in "{[":
        return None
    lines = [line for line in start[: 256 * 1024].split("\n") if line.strip()][:50]
    if start[0] == "[":  # or a csv whose first cell happens to start with a bracket
        return "json" if lines[0].rstrip().endswith(("[", "]", ",", "{", "}")) else None
    return "ndjson" if said == "ndjson" or any(_is_object(line) for line in lines) else "json"


def _is_object(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False
