"""In which encoding a text file is, and the same in UTF-8."""

import codecs
from collections.abc import Callable
from pathlib import Path

from portal.engine.stop import Stop
from portal.errors import Fault

UTF8 = "utf-8"
_PIECE = 1024 * 1024
_BOMS = (
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (codecs.BOM_UTF8, UTF8),
    (b"\xff\xfe", "utf-16-le"),
    (b"\xfe\xff", "utf-16-be"),
)
_COMMON = 0.9  # of its characters outside ASCII so many are in GB2312, if a text is Chinese
_FEWEST, _MANY = 2, 12  # characters outside ASCII: with fewer nothing can be told, with so many other languages can
_JUDGED = 16_384  # bytes
_OF_ONE_BYTE = ["cp1252", "cp1250", "cp1251", "cp1253", "cp1254"]
_OTHERS = ["gb18030", *_OF_ONE_BYTE, "big5", "euc_kr", "euc_jp", "shift_jis"]
_PLAIN = {9, 10, 13, *range(32, 127)}
_NULS = 0.01  # more than so many are no text


def found(head: bytes, *, whole: bool, said: str | None = None, lenient: bool = False) -> str | None:
    """The codec's name, None for what is no text. `head` is the beginning, or the `whole` file; `said` by the user.

    With `lenient` some of it may be in no encoding. Raises `Fault`: `encoding_not_supported`; `not_utf8` with the
    line, where it is nothing else that can be told.
    """
    mark = next((name for bom, name in _BOMS if head.startswith(bom)), None)
    if said and said != "utf-16":
        return said
    if mark == "utf-32":
        raise Fault("encoding_not_supported", found="UTF-32")
    two = mark if mark and mark.startswith("utf-16") else wide(head)
    if said == "utf-16":
        return two or _likelier(head)
    if mark or two:
        return mark or two
    if head.count(0) > len(head) * _NULS:
        return None
    try:
        _decoded(head, UTF8, whole=whole)
        return UTF8
    except UnicodeDecodeError as problem:
        if is_chinese(head, whole=whole):
            return "gb18030"
        if lenient:
            return UTF8
        line = head.count(b"\n", 0, problem.start) or head.count(b"\r", 0, problem.start)
        raise Fault("not_utf8", line=line + 1) from None


def text(head: bytes, encoding: str, *, whole: bool, lenient: bool = False) -> str:
    """The sample as text, without its mark. Raises `Fault('not_text_in')`."""
    try:
        return _decoded(head, encoding, whole=whole, lenient=lenient).removeprefix("\ufeff")
    except UnicodeDecodeError as problem:
        raise Fault("not_text_in", encoding=encoding, line=head.count(b"\n", 0, problem.start) + 1) from None


def to_utf8(source: Path, target: Path, encoding: str, *, stop: Stop, report: Callable[[int, int], object]) -> None:
    """Raises `Fault('not_text_in')` with the line where it does not decode."""
    decoder = codecs.getincrementaldecoder(encoding)()
    size, lines, start = source.stat().st_size, 0, True
    with source.open("rb") as file, target.open("wb") as out:
        while True:
            stop.check()
            piece = file.read(_PIECE)
            try:
                said = decoder.decode(piece, final=not piece)
            except UnicodeDecodeError as problem:
                line = lines + problem.object.count(b"\n", 0, problem.start) + 1
                raise Fault("not_text_in", encoding=encoding, line=line) from None
            out.write((said.removeprefix("\ufeff") if start else said).encode())
            lines, start = lines + said.count("\n"), start and not said
            report(file.tell(), max(1, size))
            if not piece:
                return


def late(path: Path, stop: Stop) -> str | None:
    """The encoding of a file whose beginning was ASCII and whose rest is not UTF-8."""
    decoder = codecs.getincrementaldecoder("gb18030")()
    common = foreign = 0
    sample = bytearray()
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            stop.check()
            try:
                more = _counted(decoder.decode(piece))
            except UnicodeDecodeError:
                return None
            common, foreign = common + more[0], foreign + more[1]
            if more[1] and len(sample) < _JUDGED:
                sample += b"\n".join(line for line in piece.split(b"\n") if not line.isascii())[:_JUDGED]
    return "gb18030" if _mostly_chinese(common, foreign, bytes(sample)) else None


def is_chinese(head: bytes, *, whole: bool) -> bool:
    """Whether it is GB18030 and not some other encoding that happens to decode."""
    try:
        counts = _counted(_decoded(head, "gb18030", whole=whole))
    except UnicodeDecodeError:
        return False
    return _mostly_chinese(*counts, b"\n".join(line for line in head.split(b"\n") if not line.isascii()))


def _mostly_chinese(common: int, foreign: int, sample: bytes) -> bool:
    """Of a text as GB18030: characters common in Chinese, all outside ASCII, and some lines with such."""
    if foreign < _FEWEST or common < _COMMON * foreign:
        return False
    from charset_normalizer import from_bytes  # seldom needed

    best = from_bytes(sample[:_JUDGED], cp_isolation=_OTHERS).best()
    # One letter with an accent behind the other looks like a hanzi; of few characters Korean looks like Chinese.
    return best is None or best.encoding not in (_OTHERS[1:] if foreign >= _MANY else _OF_ONE_BYTE)


def _counted(said: str) -> tuple[int, int]:
    """Characters in GB2312 or written with four bytes, which nothing else looks like; and all outside ASCII."""
    others = "".join(char for char in said if char > "\x7f")
    four = len(others) - len(others.encode("gbk", "ignore")) // 2
    return len(others.encode("gb2312", "ignore")) // 2 + four, len(others)


def _decoded(head: bytes, encoding: str, *, whole: bool, lenient: bool = False) -> str:
    return codecs.getincrementaldecoder(encoding)("replace" if lenient else "strict").decode(head, final=whole)


def _likelier(head: bytes) -> str:
    """Of the two kinds of UTF-16 the one in which more characters are ASCII, as line breaks and commas are."""
    counts = {}
    for name, high, low in (("utf-16-le", 1, 0), ("utf-16-be", 0, 1)):
        pairs = zip(head[high::2], head[low::2], strict=False)
        counts[name] = sum(not upper and lower in _PLAIN for upper, lower in pairs)
    return max(counts, key=lambda name: counts[name])


def wide(head: bytes) -> str | None:
    """UTF-16 without a mark: its ASCII characters have zero bytes, all on one side."""
    sample = head[: 4096 & ~1]
    pairs = list(zip(sample[0::2], sample[1::2], strict=False))
    for name, high, low in (("utf-16-le", 1, 0), ("utf-16-be", 0, 1)):
        plain = [pair[low] for pair in pairs if pair[high] == 0]
        others = sum(pair[low] == 0 for pair in pairs)
        if len(plain) > max(1, len(pairs) // 20) and not others and all(char in _PLAIN for char in plain):
            return name
    return None
