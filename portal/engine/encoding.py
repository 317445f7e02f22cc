"""In which encoding a text file is, and the same in UTF-8."""

import codecs
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from portal.engine.charsets import BROKEN, REPLACED, UTF8, Decoder, Place, Undecodable, decoded
from portal.engine.encoding_guess import Evidence, Guess, guess, is_rather_chinese, makes_sense
from portal.engine.reading import Reading
from portal.engine.stop import Stop
from portal.errors import Fault

_PIECE = 1024 * 1024
_MARKS = (
    (b"\xff\xfe\x00\x00", "utf-32-le"),
    (b"\x00\x00\xfe\xff", "utf-32-be"),
    (codecs.BOM_UTF8, UTF8),
    (b"\xff\xfe", "utf-16-le"),
    (b"\xfe\xff", "utf-16-be"),
)
_ESCAPES = (b"\x1b$B", b"\x1b$@", b"\x1b(J", b"\x1b(I")
_NULS = 0.01  # more than so many are no text
_JUDGED = 4096  # bytes


@dataclass(frozen=True)
class Written:
    """`guess` is there where nothing in the file tells for sure."""

    encoding: str = UTF8
    guess: Guess | None = None


@dataclass(frozen=True)
class Replaced:
    """How many sequences of bytes could not be decoded, and where the first one was; None without any."""

    count: int = 0
    first: Place | None = None


def found(head: bytes, reading: Reading, *, whole: bool) -> Written | None:
    """How the text is written, None for what is no text. `head` is the beginning, or the `whole` file.

    Raises `Fault('not_utf8')` with the place of what cannot be read, where it is nothing else that can be told.
    """
    said = reading.encoding
    if said and said != "utf-16":
        return Written(said)
    marked = next((name for mark, name in _MARKS if head.startswith(mark)), None)
    if said and not (marked and marked.startswith("utf-16")):
        return Written(wide(head) or _likelier(head))
    if marked and marked != UTF8:
        return Written(marked)
    if two := wide(head):
        return Written(two)
    if head.count(0) > len(head) * _NULS:
        return None
    cells = Evidence(head if whole else head[: head.rfind(b"\n") + 1] or head).cells
    try:
        decoded(head, UTF8, whole=whole)
    except Undecodable as problem:
        likely = None if marked else guess(cells, reading.language)
        if likely is None and not reading.forgives:
            raise not_utf8(problem.place) from None
        return Written(likely.encoding, likely) if likely else Written()
    if any(escape in head for escape in _ESCAPES) and head.isascii() and _reads(head, "iso-2022-jp"):
        return Written("iso-2022-jp")
    if cells and not marked and is_rather_chinese(cells):
        return Written("gb18030", guess(cells, "zh"))
    return Written()


def not_utf8(place: Place) -> Fault:
    return Fault("not_utf8", line=place.line, byte=place.byte, hex=place.hex)


def text(head: bytes, encoding: str, *, whole: bool, forgiving: bool = False) -> str:
    """The sample as text, without its mark. Raises `Fault('not_text_in')`."""
    try:
        return decoded(head, encoding, whole=whole, instead=REPLACED if forgiving else "").removeprefix("\ufeff")
    except Undecodable as problem:
        raise _not_text_in(encoding, problem.place) from None


def _not_text_in(encoding: str, place: Place) -> Fault:
    return Fault("not_text_in", encoding=encoding, line=place.line, byte=place.byte, hex=place.hex)


def to_utf8(
    source: Path, target: Path, encoding: str, reading: Reading, *, stop: Stop, report: Callable[[int, int], object]
) -> Replaced:
    """What cannot be decoded is replaced, or made a part of a broken row, as `reading` says.

    Raises `Fault('not_text_in')` with the place otherwise.
    """
    replaces = reading.replace_undecodable
    decoder = Decoder(encoding, instead=REPLACED if replaces else BROKEN * reading.skip_broken)
    size, start = source.stat().st_size, True
    with source.open("rb") as file, target.open("wb") as out:
        while True:
            stop.check()
            piece = file.read(_PIECE)
            try:
                said = decoder.decode(piece, final=not piece)
            except Undecodable as problem:
                raise _not_text_in(encoding, problem.place) from None
            out.write((said.removeprefix("\ufeff") if start else said).encode("utf-8", "surrogateescape"))
            start = start and not said
            report(file.tell(), max(1, size))
            if not piece:
                return Replaced(decoder.replaced, decoder.first) if replaces else Replaced()


def late(path: Path, reading: Reading, stop: Stop) -> Guess | None:
    """The encoding of a file whose beginning was ASCII and whose rest is not UTF-8."""
    evidence = Evidence()
    with path.open("rb") as file:
        while not evidence.is_enough and (piece := file.read(_PIECE)):
            stop.check()
            evidence.add(piece + file.readline(_PIECE))
    return guess(evidence.cells, reading.language) if evidence.cells else None


def may_be_at_fault(fault: Fault) -> bool:
    """DuckDB's reader of JSON documents says of bytes that are no UTF-8 only that they are no JSON."""
    return fault.params.get("reason") == "encoding" or fault.code == "json_broken"


def first_undecodable(path: Path, stop: Stop) -> Place | None:
    """Where a file is not UTF-8."""
    decoder = Decoder(UTF8)
    with path.open("rb") as file:
        try:
            while piece := file.read(_PIECE):
                stop.check()
                decoder.decode(piece)
            decoder.decode(b"", final=True)
        except Undecodable as problem:
            return problem.place
    return None


def _reads(head: bytes, encoding: str) -> bool:
    try:
        return bool(decoded(head, encoding, whole=False))
    except Undecodable:
        return False


def _likelier(head: bytes) -> str:
    """Of the two kinds of UTF-16 the one in which more characters are ASCII, as line breaks and commas are."""
    plain = set(b"\t\n\r") | set(range(32, 127))
    counts = {}
    for name, high, low in (("utf-16-le", 1, 0), ("utf-16-be", 0, 1)):
        pairs = zip(head[high::2], head[low::2], strict=False)
        counts[name] = sum(not upper and lower in plain for upper, lower in pairs)
    return max(counts, key=lambda name: counts[name])


def wide(head: bytes) -> str | None:
    """UTF-16 without a mark: ASCII has zero bytes, and what comes out is a text."""
    sample = head[: _JUDGED & ~1]
    if b"\0" not in sample:
        return None
    name = _likelier(sample)
    try:
        return name if makes_sense(decoded(sample, name, whole=False)) else None
    except Undecodable:
        return None
