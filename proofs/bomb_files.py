"""Files made to make their reader swell or stand still; each is small as it is sent, or is what strangers may send.

`BOMBS` has for each what it must end with: `completed` where only what nobody opens is swollen.
"""

import io
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path

import duckdb

from portal.engine.zstd import zstd
from proofs.bench import SHORT

MB = 1024**2
SHARE = 4 if SHORT else 1  # of the size of some, in the short form
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_SHEET = b'<worksheet xmlns="%s"><sheetData>' % _MAIN.encode()
_END = b"</sheetData></worksheet>"
_ROW = b'<row r="1"><c r="A1"><v>1</v></c></row>'
_STRINGS = b'<sst xmlns="%s">' % _MAIN.encode()
_BOOK = f'<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}"><sheets><sheet name="one" sheetId="1" r:id="rId1"/></sheets>'
_TYPES = (
    '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
    '<Default Extension="xml" ContentType="application/xml"/></Types>'
)
_RELATIONS = (
    '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
    f'<Relationship Id="rId1" Type="{_OFFICE}/worksheet" Target="worksheets/sheet1.xml"/></Relationships>'
)
Pieces = Iterable[bytes]
Make = Callable[[Path], None]


def book(**parts: Pieces) -> Make:
    """A workbook with these parts; `sheet` is the only one, what is not given is as small as can be."""
    usual: dict[str, Pieces] = {"book": [_BOOK.encode(), b"</workbook>"], "sheet": [_SHEET, _ROW, _END]}
    names = {"book": "xl/workbook.xml", "sheet": "xl/worksheets/sheet1.xml"}

    def make(path: Path) -> None:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            archive.writestr("[Content_Types].xml", _TYPES)
            archive.writestr("xl/_rels/workbook.xml.rels", _RELATIONS)
            for name, pieces in (usual | parts).items():
                with archive.open(names.get(name, f"xl/{name}.xml"), "w", force_zip64=True) as part:
                    for piece in pieces:
                        part.write(piece)

    return make


@dataclass(frozen=True)
class many:  # noqa: N801  # read as a function
    """The same element again and again, between what begins and ends it; as often as it is asked for."""

    element: bytes
    count: int
    before: bytes = b""
    behind: bytes = b""

    def __iter__(self) -> Iterator[bytes]:
        at_once = max(1, MB // len(self.element))
        yield self.before
        yield from repeat(self.element * at_once, self.count // at_once)
        yield self.element * (self.count % at_once) + self.behind


@dataclass(frozen=True)
class counted:  # noqa: N801  # as above
    """An element with a number in it, for each number; between what begins and ends it."""

    element: bytes
    count: int
    before: bytes = b""
    behind: bytes = b""

    def __iter__(self) -> Iterator[bytes]:
        yield self.before
        for start in range(0, self.count, 10_000):
            yield b"".join([self.element % n for n in range(start, min(self.count, start + 10_000))])
        yield self.behind


def swollen(tag: bytes) -> Pieces:
    """A part of 300 MB that no table needs."""
    return many(b"<%s/>" % tag, 300 * MB // SHARE // (len(tag) + 3), b"<x>", b"</x>")


def written(*pieces: Pieces) -> Make:
    def make(path: Path) -> None:
        with path.open("wb") as file:
            for some in pieces:
                file.writelines(some)

    return make


def gzipped(pieces: Callable[[], Pieces]) -> Make:
    def make(path: Path) -> None:
        packer = zlib.compressobj(9, zlib.DEFLATED, 31)
        with path.open("wb") as file:
            file.writelines(packer.compress(piece) for piece in pieces())
            file.write(packer.flush())

    return make


def parquet(query: str, options: str = "") -> Make:
    def make(path: Path) -> None:
        duckdb.connect().execute(f"COPY ({query}) TO '{path}' (FORMAT parquet{options})")

    return make


def lying(claimed: int) -> Make:
    """A page that says of itself that it unpacks to so many bytes."""

    def make(path: Path) -> None:
        parquet("SELECT i FROM range(100) t(i)", ", COMPRESSION zstd")(path)
        data = path.read_bytes()
        at = 4 + 3  # behind the magic, and the page's kind; then stands its size
        end = at + 1
        while data[end - 1] & 0x80:
            end += 1
        path.write_bytes(data[:at] + _zigzag(claimed) + data[end:])

    return make


def counting(claimed: int) -> Make:
    """A footer that says there are so many rows."""

    def make(path: Path) -> None:
        parquet("SELECT 1 AS a FROM range(1000)")(path)
        data = path.read_bytes()
        told, length = _zigzag(1000), int.from_bytes(data[-8:-4], "little")
        footer = data[-8 - length : -8].replace(told, _zigzag(claimed))
        path.write_bytes(data[: -8 - length] + footer + struct.pack("<L", len(footer)) + b"PAR1")

    return make


def _zigzag(number: int) -> bytes:
    number, out = number << 1, bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def nested_zips(path: Path) -> None:
    content = b"a,b\n" + b"1,2\n" * 100
    for _ in range(6):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("inner", content)
        content = out.getvalue()
    path.write_bytes(content)


def many_entries(path: Path) -> None:
    """Of a directory that is not there, but is told to be of a million files."""
    with zipfile.ZipFile(path, "w") as archive:
        for n in range(1_000_000 // SHARE // 10):
            archive.writestr(f"{n:06}", "")


def lying_zip(path: Path) -> None:
    """More than a gigabyte behind a header that says ten bytes."""
    out = io.BytesIO()
    with (
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("a.csv", "w", force_zip64=True) as file,
    ):
        for _ in range(1024 // SHARE):
            file.write(b"1" * MB)
    data = bytearray(out.getvalue())
    at = data.rindex(b"PK\x01\x02")
    data[at + 24 : at + 28] = struct.pack("<L", 10)
    path.write_bytes(data)


def zstd_window(path: Path) -> None:
    options: dict[int, int] = {
        zstd.CompressionParameter.window_log: 31,
        zstd.CompressionParameter.enable_long_distance_matching: 1,
    }
    packer = zstd.ZstdCompressor(options=options)
    path.write_bytes(b"".join(packer.compress(b"1,2\n" * (MB // 4)) for _ in range(64)) + packer.flush())


WORKBOOKS: dict[str, tuple[Make, set[str]]] = {
    "styles": (book(styles=many(b"<xf/>", 8_000_000, b'<s xmlns="%s"><cellXfs>' % _MAIN.encode(), b"</cellXfs></s>")), {"xlsx_swollen"}),
    "names": (book(book=many(b'<definedName name="a">A1</definedName>', 4_000_000, _BOOK.encode() + b"<definedNames>", b"</definedNames></workbook>")), {"xlsx_swollen"}),
    "one row": (book(sheet=many(b"<c><v>1</v></c>", 3_000_000, _SHEET + b"<row>", b"</row>" + _END)), {"xlsx_swollen"}),
    "runs": (book(sharedStrings=many(b"<r><t>a</t></r>", 6_000_000, _STRINGS + b"<si>", b"</si></sst>")), {"xlsx_swollen"}),
    "one text": (book(sharedStrings=many(b"a", 300 * MB // SHARE, _STRINGS + b"<si><t>", b"</t></si></sst>")), {"xlsx_swollen"}),
    "a billion <t/>": (book(sharedStrings=many(b"<t/>", 1_000_000_000 // SHARE // 2, _STRINGS + b"<si>", b"</si></sst>")), {"xlsx_swollen"}),
    "texts without end": (book(sharedStrings=many(b"<si/>", 400_000_000 // SHARE, _STRINGS, b"</sst>")), {"xlsx_swollen"}),
    "an attribute": (book(sheet=many(b"a", 100 * MB, _SHEET + b'<row x="', b'"/>' + _END)), {"xlsx_swollen"}),
    "attributes": (book(sheet=counted(b'a%d="" ', 3_000_000 // SHARE, _SHEET + b"<row ", b"/>" + _END)), {"xlsx_swollen"}),
    "a comment": (book(sheet=many(b"<a", 100 * MB // 2, _SHEET + b"<!--", b"-->" + _END)), {"xlsx_swollen"}),
    "depth": (book(sheet=many(b"<a>", 10_000_000, _SHEET)), {"xlsx_swollen"}),
    "entities": (book(sheet=[b'<!DOCTYPE x [<!ENTITY a "%s">]>' % (b"a" * 10_000), _SHEET, b"<row><c t='str'><v>", *repeat(b"&a;", 100_000), b"</v></c></row>", _END]), {"xlsx_corrupt"}),
    "the last column": (book(sheet=many(b'<row><c r="XFD1"><v>1</v></c></row>', 1_048_000 // SHARE, _SHEET, _END)), {"xlsx_swollen", "took_too_long"}),
    "cells of nothing": (book(sheet=many(b"<row>" + b"<c/>" * 500 + b"</row>", 1_000_000 // SHARE, _SHEET, _END)), {"xlsx_swollen"}),
    "behind the data": (book(sheet=many(b'<mergeCell ref="A1:B1"/>', 8_000_000 // SHARE, _SHEET + _ROW + b"</sheetData><mergeCells>", b"</mergeCells></worksheet>")), {"completed"}),
    **{part: (book(**{part.replace(" ", ""): swollen(b"x")}), {"completed"}) for part in ("theme/theme1", "drawings/drawing1", "comments1", "calcChain", "externalLinks/externalLink1")},
}  # fmt: skip

OTHERS: dict[str, tuple[Make, set[str]]] = {
    "nested zips": (nested_zips, {"format_not_supported"}),
    "zip of many": (many_entries, {"zip_too_many"}),
    "lying zip": (lying_zip, {"zip_corrupt", "bomb"}),
    "gzip": (gzipped(lambda: repeat(b"1,2\n" * (MB // 4), 2000)), {"bomb"}),
    "zstd window": (zstd_window, {"zstd_corrupt"}),
    "json text": (written([b'["'], many(b"a", 400 * MB // SHARE), [b'"]']), {"rows_too_big", "json_broken", "csv_broken_row"}),
    "json number": (written([b"[1"], many(b"1", 100_000_000 // SHARE), [b"]"]), {"rows_too_big", "json_broken", "csv_broken_row"}),
    "json keys": (written([b'[{"k":1'], counted(b',"k%d":1', 10_000_000 // SHARE), [b"}]"]), {"rows_too_big", "json_broken"}),
    "json depth": (written(many(b"[", 1_000_000), [b"1"], many(b"]", 1_000_000)), {"json_broken", "ndjson_broken_line"}),
    "json lines of depth": (written([b'{"a":1}\n{"a":'], many(b"[", 1_000_000), many(b"]", 1_000_000), [b"}\n"]), {"ndjson_broken_line"}),
    "csv line": (written([b"a,b\n1,"], many(b"x", 400 * MB // SHARE), [b"\n"]), {"csv_broken_row"}),
    "csv header": (written(many(b"x", 400 * MB // SHARE)), {"csv_broken_row"}),
    "csv columns": (written(counted(b"c%d,", 10_000_000 // SHARE), [b"\n1,2\n"]), {"too_many_columns", "csv_broken_row"}),
    "csv quote": (written([b'a,b\n1,"x\n'], many(b"1,22222\n", 6 * MB // 8)), {"csv_broken_row"}),
    "csv quotes": (written([b"a,b\n"], many(b'1,"2\n', 6 * MB // 5)), {"csv_broken_row"}),
    "csv lines in a quote": (written([b'a,b\n1,"x\n'], many(b"\n", 6 * MB)), {"csv_broken_row"}),
    "csv nul": (written([b"a,b\n"], many(b"\0", 20 * MB)), {"not_data"}),
    "utf-16 halves": (written([b"\xff\xfea\0\n\0"], many(b"\xd8\xd8", 10 * MB)), {"not_text_in"}),
    "a value of a million": (parquet("SELECT t FROM (SELECT repeat('x', 1000000) AS t), range(5000)"), {"too_large"}),
    "rows of nothing": (parquet("SELECT NULL::INTEGER AS n FROM range(300_000_000)" if not SHORT else "SELECT 1 AS n FROM range(1000)"), {"took_too_long", "completed"}),
    "columns and groups": (parquet(f"SELECT {', '.join(f'i AS c{n}' for n in range(1000))} FROM range(20_000) t(i)", ", ROW_GROUP_SIZE 2048"), {"completed"}),
    "page of 2 GB": (lying(2_000_000_000), {"parquet_corrupt", "rows_too_big"}),
    "page of 900 MB": (lying(900_000_000), {"parquet_corrupt", "rows_too_big"}),
    "rows that are not there": (counting(2**40), {"parquet_corrupt", "too_large"}),
}  # fmt: skip

BOMBS = WORKBOOKS | OTHERS
