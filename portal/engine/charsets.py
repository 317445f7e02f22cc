"""The encodings that are read, by the names the web knows them by, and how their bytes become characters."""

import codecs
from dataclasses import dataclass

UTF8 = "utf-8"
# Each with Python's codec for it: the superset that Windows writes under that name.
CODECS = {
    "gb18030": "gb18030",
    "big5": "cp950",
    "shift_jis": "cp932",
    "euc-jp": "euc_jp",
    "iso-2022-jp": "iso2022_jp_ext",
    "euc-kr": "cp949",
    "windows-1252": "cp1252",
    "windows-1250": "cp1250",
    "windows-1251": "cp1251",
    "windows-1253": "cp1253",
    "windows-1254": "cp1254",
    "windows-1255": "cp1255",
    "windows-1256": "cp1256",
    "windows-1257": "cp1257",
    "windows-1258": "cp1258",
    "windows-874": "cp874",
    "koi8-r": "koi8_r",
    "koi8-u": "koi8_u",
    "iso-8859-2": "iso8859_2",
    "iso-8859-5": "iso8859_5",
    "iso-8859-6": "iso8859_6",
    "iso-8859-7": "iso8859_7",
    "ibm866": "cp866",
    "ibm850": "cp850",
    "ibm852": "cp852",
    "macintosh": "mac_roman",
    "x-mac-cyrillic": "mac_cyrillic",
}
MULTI_BYTE = frozenset({"gb18030", "big5", "shift_jis", "euc-jp", "euc-kr"})
# Extensions that lie where the codec has nothing: Hong Kong's characters, circled digits of Japanese Unix.
_EXTENSIONS = {"big5": "big5hkscs", "euc-jp": "euc_jis_2004"}
_LONGEST = 3  # bytes of such a character
_HANDLER = "data-station"
REPLACED = "\ufffd"
BROKEN = "\udcff"  # becomes a byte that is no UTF-8 (surrogateescape), so that its row is one that cannot be read


@dataclass(frozen=True)
class Place:
    """Where bytes cannot be decoded: `line` and `byte` of the file count from 1, `hex` is how they look."""

    line: int
    byte: int
    hex: str


class Decoder:
    """Bytes, piece by piece, as text. Bytes that stand for nothing end it with `Undecodable`, or become what is to be
    there `instead`, are counted in `replaced`, and the first of them is noted in `first`.

    One at a time in a process: Python's table of error handlers is global.
    """

    def __init__(self, encoding: str, *, instead: str = "") -> None:
        self._encoding, self._instead = encoding, instead
        self._decode = codecs.getincrementaldecoder(CODECS.get(encoding, encoding))(_HANDLER).decode
        self._lines = self._bytes = self.replaced = 0
        self._ended_cr = False
        self.first: Place | None = None

    def decode(self, piece: bytes, *, final: bool = False) -> str:
        codecs.register_error(_HANDLER, self._handle)
        self._bytes += len(piece)
        text = self._decode(piece, final)
        self._lines += _line_breaks(text) - (self._ended_cr and text.startswith("\n"))
        if text:
            self._ended_cr = text.endswith("\r")
        return text

    def _handle(self, problem: UnicodeError) -> tuple[str, int]:
        if not isinstance(problem, UnicodeDecodeError):
            raise problem
        start = problem.start
        if self._encoding == "gb18030" and problem.object[start] == 0x80:  # as Windows writes the euro sign in GBK
            return "€", start + 1
        if (extension := _EXTENSIONS.get(self._encoding)) and (more := _character(problem, extension)):
            return more
        place = self._place(problem)
        if not self._instead:
            raise Undecodable(place)
        self.first = self.first or place
        self.replaced += 1
        return self._instead, problem.end

    def _place(self, problem: UnicodeDecodeError) -> Place:
        before = problem.object[: problem.start].decode(problem.encoding, "ignore")
        lines = self._lines + _line_breaks(before) - (self._ended_cr and before.startswith("\n"))
        shown = problem.object[problem.start : problem.end][:4].hex(" ").upper()
        return Place(lines + 1, self._bytes - len(problem.object) + problem.start + 1, shown)


class Undecodable(Exception):
    """Bytes that stand for nothing in the encoding, at `place`."""

    def __init__(self, place: Place) -> None:
        self.place = place


def decoded(sample: bytes, encoding: str, *, whole: bool = True, instead: str = "") -> str:
    """All of a sample, which may end within a character unless it is `whole`. Raises `Undecodable`."""
    return Decoder(encoding, instead=instead).decode(sample, final=whole)


def _line_breaks(text: str) -> int:
    """Line ends are LF, CR LF or CR."""
    carriage_returns = text.count("\r")
    return text.count("\n") + carriage_returns - (text.count("\r\n") if carriage_returns else 0)


def _character(problem: UnicodeDecodeError, codec: str) -> tuple[str, int] | None:
    for length in range(2, _LONGEST + 1):
        taken = problem.object[problem.start : problem.start + length]
        try:
            return taken.decode(codec), problem.start + len(taken)
        except UnicodeDecodeError:
            continue
    return None
