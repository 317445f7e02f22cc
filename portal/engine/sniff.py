"""What a file is, by its content: the name and the server's Content-Type are not believed."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from portal.engine import csv_dialect, encoding, zip_member
from portal.engine.csv_dialect import Dialect
from portal.engine.encoding import Written
from portal.engine.reading import Reading
from portal.errors import Fault

SAMPLE = 1024 * 1024
ROW_BYTES = 1000  # of a format whose rows cannot be counted from outside

_OURS = {b"PAR1": "parquet", b"PARE": "parquet"}
# Data formats a person may rightly hope for, and things that are no table at all.
_DATA = {
    b"PK\x03\x04": "zip",
    b"PK\x05\x06": "zip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\xfd7zXZ\x00": "xz",
    **{b"BZh%d1AY" % level: "bzip2" for level in range(1, 10)},
    b"7z\xbc\xaf\x27\x1c": "7z",
    b"Rar!": "rar",
    b"\xd0\xcf\x11\xe0": "xls",
    b"SQLite format 3\x00": "sqlite",
    b"ARROW1": "arrow",
    b"ORC": "orc",
    b"Obj\x01": "avro",
    b"\x89HDF": "hdf5",
}
_COMPOUND = {"EncryptedPackage": "encrypted", "Workbook": "xls", "WordDocument": "doc", "PowerPoint Document": "ppt"}
_OFFICE = ("xlsx", "xlsb", "ods", "numbers", "encrypted", "json", "xml")
_OTHER = {
    b"\x89PNG": "png",
    b"\xff\xd8\xff": "jpeg",
    b"GIF8": "gif",
    b"%PDF": "pdf",
    b"RIFF": "riff",
    b"\x7fELF": "elf",
    b"MZ\x90": "exe",
}
PROSE_TOLD = 120  # characters of a text that is no table
_HANZI_SENTENCE = re.compile("[\u4e00-\u9fff]{7}|[，。！？；]")
_WORDS = {"parquet", "rar", "arrow", "orc", "gif", "riff"}  # a text, too, may begin with their signatures
_HTML = re.compile(r"<(?:!doctype html|(?:html|head|body|script|style|meta|title|div|table|br|p|h1)\b)", re.IGNORECASE)
_ROOT = re.compile(r"<([\w:.-]+)[^<>]*>")
_TEXT_CONTROLS = set(b"\0\t\n\r\f\x1b")


@dataclass(frozen=True)
class Sniffed:
    """`dialect` is there for csv and tsv alone, `written` for text; `row_bytes` is a row's mean length."""

    format: str
    dialect: Dialect | None
    row_bytes: int
    written: Written | None = None


def sniff(path: Path, reading: Reading = Reading()) -> Sniffed:  # noqa: B008  # it cannot change
    """Tell what a file is. `reading` is what the user says of it: the format must fit, the rest is taken as said.

    Raises `Fault`: `file_empty`, `format_not_supported`, `not_data`, `not_what_it_says`, `not_utf8`, `not_text_in`,
    `too_many_columns`, `delimiter_invalid`.
    """
    said = reading.format
    with path.open("rb") as file:
        head = file.read(SAMPLE)
    if not head:
        raise Fault("file_empty")
    if found := _signature(head, path):
        if found not in ("parquet", "xlsx"):
            raise _unwelcome(found, said)
        return _fitting(Sniffed(found, None, ROW_BYTES), said)
    text, written = _text(head, whole=path.stat().st_size <= SAMPLE, reading=reading)
    if not text.strip():
        raise Fault("file_empty")
    if found := _markup(text):
        raise _unwelcome(found, said)
    rows = max(1, text.count("\n"), text.count("\r"))
    found = _json_kind(text, said)
    if found is None:
        separated = _separated(text, reading, rows, written)
        if path.stat().st_size <= SAMPLE and _is_prose(text, separated.dialect, reading):
            raise Fault("not_data", found="text", text=text.strip()[:PROSE_TOLD])
        return _fitting(separated, said)
    return _fitting(Sniffed(found, None, max(1, len(text) // rows), written), said)


def _separated(text: str, reading: Reading, rows: int, written: Written) -> Sniffed:
    delimiter = reading.delimiter or ("\t" if reading.format == "tsv" else None)
    dialect = csv_dialect.guess(text, reading, delimiter=delimiter)
    return Sniffed("tsv" if dialect.delimiter == "\t" else "csv", dialect, max(1, len(text) // rows), written)


def _is_prose(text: str, dialect: Dialect | None, reading: Reading) -> bool:
    """Whether all there is is a sentence: an error that a server sent instead of data, more often than not."""
    said = (reading.format, reading.delimiter, reading.header, reading.header_row, reading.skip_rows)
    lines = [line for line in re.split(r"[\r\n]+", text) if line.strip()]
    if dialect is None or not dialect.header or len(lines) != 1 or any(each is not None for each in said):
        return False
    line = lines[0].strip()
    is_sentence = line.endswith(tuple(".!?。！？…")) or bool(_HANZI_SENTENCE.search(line))
    if len(dialect.names) == 1:
        return is_sentence or len(line.split()) > 1
    cells = line.split(dialect.delimiter)
    spaced = all(cell.startswith(" ") for cell in cells[1:]) and any(len(cell.split()) > 2 for cell in cells)
    return dialect.delimiter in ",;" and (is_sentence or spaced)


def _fitting(found: Sniffed, said: str | None) -> Sniffed:
    if said and said != found.format and not {said, found.format} <= {"csv", "tsv"}:
        raise Fault("not_what_it_says", said=said, found=found.format)
    return found


def _signature(head: bytes, path: Path) -> str | None:
    for magic, name in (_OURS | _DATA | _OTHER).items():
        if head.startswith(magic) and not (name in _WORDS and _is_text(head[:4096])):
            closer = {"zip": _archive, "xls": _compound}.get(name)
            return closer(head, path) if closer else name
    return None


def _archive(head: bytes, path: Path) -> str:
    """What is in a zip archive; of one that is damaged what its beginning looks like."""
    try:
        with path.open("rb") as file:
            return zip_member.document(file) or "zip"
    except Fault:
        return "xlsx" if b"xl/" in head[:8192] or b"[Content_Types].xml" in head[:8192] else "zip"


def _compound(head: bytes, path: Path) -> str:
    """Old workbooks, texts and mails lie in the same kind of file; so does a new workbook that needs a password."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - SAMPLE))
        names = head + file.read(SAMPLE)
    return next((name for word, name in _COMPOUND.items() if word.encode("utf-16-le") in names), "xls")


def _is_text(head: bytes) -> bool:
    return not any(byte < 32 and byte not in b"\t\n\r\f" for byte in head)


def _unwelcome(found: str, said: str | None) -> Fault:
    if said:
        return Fault("not_what_it_says", said=said, found=found)
    supported_by_others = found in _DATA.values() or found in _OFFICE
    return Fault("format_not_supported" if supported_by_others else "not_data", found=found)


def _text(head: bytes, *, whole: bool, reading: Reading) -> tuple[str, Written]:
    """The sample as text, cut at the end of a line unless it is the whole file; and how it is written."""
    written = encoding.found(head, reading, whole=whole) if _may_be_text(head, reading) else None
    if written is None:
        raise _unwelcome("binary", reading.format)
    text = encoding.text(head, written.encoding, whole=whole, forgiving=reading.forgives)
    if not whole:
        end = max(text.rfind("\n"), text.rfind("\r")) + 1
        text = text[:end] if end else text[:-4]
    return text, written


def _may_be_text(head: bytes, reading: Reading) -> bool:
    controls = sum(byte < 32 and byte not in _TEXT_CONTROLS for byte in head[:4096])
    if controls <= len(head[:4096]) / 100:
        return True
    wide = reading.encoding == "utf-16" or head[:2] in (b"\xff\xfe", b"\xfe\xff") or encoding.wide(head)
    return bool(wide) or head.startswith(b"\0\0\xfe\xff")


def _markup(text: str) -> str | None:
    start = text.lstrip()
    if not start.startswith("<"):  # tags may stand in a cell
        return None
    if _HTML.search(start[:1024]):
        return "html"
    root = _ROOT.match(start)
    return "xml" if start.startswith("<?xml") or (root and start.rstrip().endswith(f"</{root[1]}>")) else None


def _json_kind(text: str, said: str | None) -> str | None:
    """ "ndjson", "json" (one document, or lines that are not objects) or None."""
    start = text.lstrip()
    if start[0] not in "{[":
        return None
    lines = [line for line in start[: 256 * 1024].split("\n") if line.strip()][:50]
    if start[0] == "[":
        if said != "json" and len(lines) > 1 and all(_is(list, line) for line in lines[:2]):
            return "ndjson"
        # Or it is a csv whose first cell happens to start with a bracket.
        json_like = start[1:].lstrip().startswith("{") or lines[0].rstrip().endswith(("[", "]", ",", "{", "}"))
        return "json" if said == "json" or json_like else None
    if said in ("json", "ndjson"):
        return said
    # A document may stand on one line, or hold lines that are objects; but only few are, and the first one is none.
    if len(lines) == 1 and _holds_rows(lines[0]):
        return "json"
    objects = [_is(dict, line) for line in lines]
    return "ndjson" if objects[0] or 2 * sum(objects) >= len(lines) else "json"


def _is(kind: type, line: str) -> bool:
    return isinstance(_read(line), kind)


def _holds_rows(line: str) -> bool:
    found = _read(line)
    return isinstance(found, dict) and any(
        isinstance(each, list) and each and isinstance(each[0], dict) for each in found.values()
    )


def _read(line: str) -> Any:
    """None for what is no JSON, too."""
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None
