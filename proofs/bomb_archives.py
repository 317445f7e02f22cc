"""Archives and footers that lie, or whose parts come by the million; `ARCHIVES` is as `BOMBS` is."""

import gzip
import io
import struct
import zipfile
from pathlib import Path

from portal.engine.zstd import zstd
from proofs.bench import SHORT
from proofs.bomb_files import MB, SHARE, Make, book, many, written

_TABLE = b"a,b\n1,2\n"
_MAIN = b"http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_SHEET = b'<worksheet xmlns="%s"><sheetData>' % _MAIN
_END = b"</sheetData></worksheet>"
_ENTRY = struct.pack("<4sHHHHHHLLLHHHHHLL", b"PK\x01\x02", *(20, 20, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0)) + b"a"


def directory(count: int, *, told: int | None = None) -> Make:
    """A zip with so many entries in its zip64 record; its old record says so, too, or is said to have `told` bytes."""

    def make(path: Path) -> None:
        with path.open("wb") as file:
            file.write(b"PK\x03\x04" + bytes(26))
            begin = file.tell()
            for _ in range(count // 1000):
                file.write(_ENTRY * 1000)
            end = file.tell()
            record = 44, 45, 45, 0, 0, count, count, end - begin, begin
            file.write(struct.pack("<4sQHHLLQQQQ", b"PK\x06\x06", *record))
            file.write(struct.pack("<4sLQL", b"PK\x06\x07", 0, end, 1))
            old = (0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF) if told is None else (1, 1, told, begin)
            file.write(struct.pack("<4sHHHHLLH", b"PK\x05\x06", 0, 0, *old, 0))

    return make


def overlapping(path: Path) -> None:
    """Hundreds of names for one content."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.csv", b"1,2\n" * 10_000_000)
    data = out.getvalue()
    begin, end = data.rindex(b"PK\x01\x02"), data.rindex(b"PK\x05\x06")
    entries = data[begin:end] * 900
    path.write_bytes(
        data[:begin] + entries + struct.pack("<4sHHHHLLH", b"PK\x05\x06", 0, 0, 900, 900, len(entries), begin, 0)
    )


def lzma_dictionary(path: Path) -> None:
    """It asks for a dictionary of 4 GB."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("x", _TABLE * 100_000)
    data = bytearray(out.getvalue())
    data[36:40] = struct.pack("<L", 0xF0000000)  # behind the header, the name, the version, and a byte of properties
    path.write_bytes(data)


def footer(content: bytes, *, length: int | None = None, ahead: int = 0) -> Make:
    """A Parquet file of nothing but a footer, which says it has so many bytes."""

    def make(path: Path) -> None:
        with path.open("wb") as file:
            file.write(b"PAR1")
            file.truncate(100 + ahead)
            file.seek(0, 2)
            file.write(content + struct.pack("<L", len(content) if length is None else length) + b"PAR1")

    return make


def padded(make: Make) -> Make:
    """A workbook with ten megabytes of noise, so that it is no small file any more."""

    def more(path: Path) -> None:
        make(path)
        with zipfile.ZipFile(path, "a") as archive, open("/dev/urandom", "rb") as noise:
            archive.writestr("xl/media/noise", noise.read(10 * MB))

    return more


_EMPTY_GZIP, _EMPTY_ZSTD = gzip.compress(b""), zstd.compress(b"")
_SKIPPED = b"\x50\x2a\x4d\x18" + bytes(4)
_MANY = 1_100_000 if SHORT else 10_000_000
_TEXTS = many(b"<si/>", 400_000_000 // SHARE, b'<sst xmlns="%s">' % _MAIN, b"</sst>")
_NOTHING = many(b"<row>" + b"<c/>" * 500 + b"</row>", 1_000_000 // SHARE, _SHEET, _END)

_LONG = [b'<sst xmlns="%s"><si><t>' % _MAIN, b"a" * 32_000, b"</t></si></sst>"]
_EVERYWHERE = many(b'<row><c t="s"><v>0</v></c></row>', 1_000_000, _SHEET, _END)
ARCHIVES: dict[str, tuple[Make, set[str]]] = {
    "zip of a million": (directory(1_000_000), {"zip_too_many"}),
    "zip64 lies": (directory(3_000_000, told=47), {"zip_too_many"}),
    "zip64 lies a little": (directory(80_000, told=47), {"zip_too_many"}),
    "overlapping": (overlapping, {"zip_choose"}),
    "lzma dictionary": (lzma_dictionary, {"zip_corrupt", "too_much_memory"}),
    "empty gzips": (written(many(_EMPTY_GZIP, _MANY)), {"too_many_members"}),
    "empty frames": (written(many(_EMPTY_ZSTD, _MANY)), {"too_many_members"}),
    "skipped frames": (written([zstd.compress(_TABLE)], many(_SKIPPED, _MANY)), {"too_many_members"}),
    "gzip with a long name": (written([b"\x1f\x8b\x08\x08" + bytes(6)], many(b"a", 200 * MB)), {"gzip_corrupt"}),
    "gzip and zeros": (written([gzip.compress(_TABLE)], many(bytes(1), 500 * MB)), {"completed"}),
    "footer of depth": (footer(b"\x1c" * 20_000_000), {"parquet_corrupt"}),
    "footer of lists": (footer(b"\x15\x02" + b"\x19" * 20_000_000), {"parquet_corrupt"}),
    "footer of a list that lies": (footer(b"\x15\x02\x19\xfc\xff\xff\xff\xff\x0f" + bytes(1000)), {"parquet_corrupt"}),
    "footer of 400 MB": (footer(b"", length=399 * MB, ahead=400 * MB), {"parquet_corrupt", "too_much_memory"}),
    "padded cells of nothing": (padded(book(sheet=_NOTHING)), {"xlsx_swollen"}),
    "one text everywhere": (book(sheet=_EVERYWHERE, sharedStrings=_LONG), {"too_large", "xlsx_swollen", "bomb"}),
    "padded texts": (padded(book(sharedStrings=_TEXTS)), {"xlsx_swollen"}),
}  # fmt: skip
