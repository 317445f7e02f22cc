"""One file out of a zip archive. Names are labels only: nothing is ever written under one."""

import errno
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from lzma import LZMAError
from typing import IO

from portal.errors import Fault

MEMBERS_MAX, NAMES_SHOWN, NAME_CHARS = 1000, 20, 100
DIRECTORY_MAX = 4 * 1024**2  # bytes of the list of members, which is read whole
_PIECE = 256 * 1024
_END, _END64 = b"PK\x05\x06", b"PK\x06\x06"
_TAIL = 66 * 1024  # the end record stands behind at most a comment of 64 KiB
_ENCRYPTED, _UTF8 = 0x1, 0x800
_TYPES_BYTES = 1024**2
# What tells a document by what a member of it says, or by its being there.
_DOCUMENTS = {
    "mimetype": {
        b"opendocument.spreadsheet": "ods",
        b"opendocument.text": "odt",
        b"opendocument.presentation": "odp",
        b"epub": "epub",
    },
    "[content_types].xml": {
        b"spreadsheetml.sheet.main+xml": "xlsx",
        b"spreadsheetml.template.main+xml": "xlsx",
        b"ms-excel.sheet.macroenabled.main+xml": "xlsx",
        b"ms-excel.template.macroenabled.main+xml": "xlsx",
        b"ms-excel.addin.macroenabled.main+xml": "xlsx",
        b"ms-excel.sheet.binary.macroenabled.main": "xlsb",
        b"wordprocessingml": "docx",
        b"presentationml": "pptx",
    },
}
_MEMBERS = {
    "xl/workbook.xml": "xlsx",
    "xl/workbook.bin": "xlsb",
    "word/document.xml": "docx",
    "ppt/presentation.xml": "pptx",
    "index/document.iwa": "numbers",
}
_DAMAGE: tuple[type[Exception], ...] = (
    zipfile.BadZipFile,
    zlib.error,
    LZMAError,
    EOFError,
    OSError,
    struct.error,
    ValueError,
    RuntimeError,
)


def document(file: IO[bytes]) -> str | None:
    """xlsx, xlsb, ods, docx … where the archive is a document of an office program; None where it holds files.

    Raises `Fault('zip_corrupt')`, `Fault('zip_too_many')`.
    """
    with _opened(file) as archive:
        members = {name.replace("\\", "/").lstrip("/").lower(): info for name, info in archive.NameToInfo.items()}
        for member, words in _DOCUMENTS.items():
            if member in members:
                with suppress(*_DAMAGE), archive.open(members[member]) as content:
                    text = content.read(_TYPES_BYTES).lower()
                    if name := next((name for word, name in words.items() if word in text), None):
                        return name
        return next((name for member, name in _MEMBERS.items() if member in members), None)


def extract(file: IO[bytes], wanted: str | None, write: Callable[[bytes, int], object]) -> str:
    """Hand the content of a member to `write`, with the bytes read for it so far; answers the member's name.

    The only file in it is taken by itself. Raises `Fault`: `zip_choose` and `zip_no_member` with the names there are,
    `zip_empty`, `zip_encrypted`, `zip_corrupt`, `zip_too_many`.
    """
    with _opened(file) as archive:
        info = _chosen(_files(archive), wanted)
        if info.flag_bits & _ENCRYPTED:
            raise Fault("zip_encrypted")
        with archive.open(info) as member:
            while piece := member.read(_PIECE):
                write(piece, max(1, file.tell() - info.header_offset))
        return shown(_name(info))


def shown(name: str) -> str:
    """A name as people may see it: printable, not too long."""
    return "".join(char if char.isprintable() else "�" for char in name)[:NAME_CHARS]


@contextmanager
def damage_as(code: str, *more: type[Exception]) -> Iterator[None]:
    """What reading a damaged archive raises, and `more`, becomes `Fault(code)`; not what the disk raises."""
    try:
        yield
    except _DAMAGE + more as problem:
        if isinstance(problem, OSError) and problem.errno not in (None, errno.EINVAL):  # a place before the beginning
            raise
        raise Fault(code) from problem


@contextmanager
def _opened(file: IO[bytes]) -> Iterator[zipfile.ZipFile]:
    if _directory_bytes(file) > DIRECTORY_MAX:
        raise Fault("zip_too_many", limit=MEMBERS_MAX)
    with damage_as("zip_corrupt"), zipfile.ZipFile(file) as archive:
        yield archive


def _directory_bytes(file: IO[bytes]) -> int:
    """How long the list of members says it is, where it says several things the most; the library would read it whole,
    however long."""
    size = file.seek(0, 2)
    file.seek(max(0, size - _TAIL))
    tail = file.read()
    if (at := tail.rfind(_END)) < 0 or len(tail) < at + 22:
        raise Fault("zip_corrupt")
    (length,) = struct.unpack_from("<L", tail, at + 12)
    lengths = [length] if length != 0xFFFFFFFF else []
    for found in re.finditer(_END64, tail):  # the library believes it, whatever the other one says
        if len(tail) >= found.start() + 48:
            lengths += struct.unpack_from("<Q", tail, found.start() + 40)
    return max(lengths, default=0xFFFFFFFF)


def _files(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    if len(archive.infolist()) > MEMBERS_MAX:
        raise Fault("zip_too_many", limit=MEMBERS_MAX)
    return [info for info in archive.infolist() if not info.is_dir() and not _is_clutter(info)]


def _is_clutter(info: zipfile.ZipInfo) -> bool:
    """What systems put beside the data: resource forks, hidden files, links."""
    name = info.filename.replace("\\", "/")
    is_link = (info.external_attr >> 28) == 0xA
    return is_link or name.startswith("__MACOSX/") or name.rpartition("/")[2].startswith(".")


def _chosen(files: list[zipfile.ZipInfo], wanted: str | None) -> zipfile.ZipInfo:
    names = [shown(_name(info)) for info in files[:NAMES_SHOWN]]
    if wanted:
        found = next((info for info in files if wanted in (info.filename, _name(info), shown(_name(info)))), None)
        if found is None:
            raise Fault("zip_no_member", member=shown(wanted), names=names)
        return found
    if not files:
        raise Fault("zip_empty")
    if len(files) > 1:
        raise Fault("zip_choose", names=names, count=len(files))
    return files[0]


def _name(info: zipfile.ZipInfo) -> str:
    """Chinese Windows writes names in GBK and does not say so; the library reads those as code page 437."""
    if info.flag_bits & _UTF8 or info.filename.isascii():
        return info.filename
    try:
        return info.filename.encode("cp437").decode("gb18030")
    except UnicodeError:
        return info.filename
