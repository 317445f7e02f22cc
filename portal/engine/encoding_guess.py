"""In which encoding a text is that says nothing of it and is no UTF-8.

Each encoding we know reads it, and what comes out is judged: by what no text holds (controls, symbols within words,
two scripts in one word), by how common its Chinese, Japanese and Korean characters are, and, of alphabets, by the
language models of chardet. The reader's language and how usual an encoding is decide what is left.
"""

import codecs
import math
import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache

from portal.engine.charsets import CODECS, MULTI_BYTE, REPLACED, UTF8, Undecodable, decoded
from portal.engine.common_characters import JAPANESE, KOREAN, SIMPLIFIED, TRADITIONAL

JUDGED = 6000  # bytes of cells that are not ASCII
_BETWEEN = re.compile(rb'[\r\n,;\t"]+')  # none of them is a part of a character in any of these encodings
_GUESSED = tuple(name for name in CODECS if name != "iso-2022-jp")

# How usual each is in files of today; all others count as the last.
_USUAL = {"gb18030": 1.5, "windows-1252": 1.5, "big5": 1, "shift_jis": 1, "euc-kr": 1, "windows-1251": 1}
_USUAL |= dict.fromkeys(("windows-1250", "windows-1253", "windows-1254", "windows-1255", "windows-1256"), 0.8)
_USUAL |= {"windows-874": 0.8, "koi8-r": 0.7, "iso-8859-2": 0.6, "koi8-u": 0.5, "euc-jp": 0.5, "ibm866": 0.5}
_SELDOM = 0.35
_OF_READER = {"zh": {"gb18030": 2.0, "big5": 1.0}, "en": {"windows-1252": 0.5}}
_FADES = 8  # characters, with which that counts half
_MODEL = 0.1  # what a language model says of a text in its language, about; the others have none
_LEAST = 0.003
_WEIGHT = 5.0  # of the cost of a character, against the logarithm of what a model says
_NONSENSE = 0.9  # cost of a character; such a text is in none of these encodings
_SENSE, _FEW = 0.2, 40  # and this of one that is; bytes

_PUNCTUATION = frozenset("“”‘’–—…€£°№§«»·、。，：；！？％＃￥（）【】《》「」『』・～／．＋－％＝　\xa0„´ªº®©™ー々〇")
_COMMON = {
    "gb18030": SIMPLIFIED | TRADITIONAL | JAPANESE,
    "big5": TRADITIONAL | SIMPLIFIED,
    "shift_jis": JAPANESE,
    "euc-jp": JAPANESE,
    "euc-kr": TRADITIONAL,
}
_ANY_COMMON = SIMPLIFIED | TRADITIONAL | JAPANESE | KOREAN
# The characters that are taught first have codes of their own ranges: codec, first and last lead byte.
_TAUGHT = {
    "gb18030": ("gb2312", 0xB0, 0xD7),
    "big5": ("big5", 0xA4, 0xC6),
    "shift_jis": ("shift_jis", 0x88, 0x97),
    "euc-jp": ("euc_jp", 0xB0, 0xCF),
    "euc-kr": ("euc_kr", 0xA1, 0xFE),
}
_EASTERN = frozenset(("han", "rare han", "kana", "half kana", "hangul", "jamo", "wide"))
_RANGES = (  # of letters: up to which code, which script
    (0x0250, "latin"),
    (0x0370, "mark"),
    (0x0400, "greek"),
    (0x0530, "cyrillic"),
    (0x0590, ""),
    (0x0600, "hebrew"),
    (0x0780, "arabic"),
    (0x0E00, ""),
    (0x0E80, "thai"),
    (0x1100, ""),
    (0x1200, "jamo"),
    (0x1E00, ""),
    (0x1F00, "latin"),
    (0x2000, "greek"),
    (0x3040, ""),
    (0x3100, "kana"),
    (0x3131, ""),
    (0x3190, "jamo"),
    (0x3400, ""),
    (0x4E00, "rare han"),
    (0xA000, "han"),
    (0xAC00, ""),
    (0xD7A4, "hangul"),
    (0xFB50, ""),
    (0xFF00, "arabic"),
    (0xFF5B, "wide"),
    (0xFF66, ""),
    (0xFFA0, "half kana"),
    (0x20000, ""),
    (0x40000, "rare han"),
)


@dataclass(frozen=True)
class Guess:
    """The likeliest encoding, and all that decode what was looked at, likeliest first."""

    encoding: str
    fitting: tuple[str, ...]


class Evidence:
    """The distinct cells of a text that are not ASCII, as many as are judged."""

    def __init__(self, piece: bytes = b"") -> None:
        self._cells: dict[bytes, None] = {}
        self._size = 0
        self.add(piece)

    def add(self, piece: bytes) -> None:
        for line in () if piece.isascii() else piece.split(b"\n"):
            for cell in () if line.isascii() else _BETWEEN.split(line):
                if not cell.isascii() and cell not in self._cells and not self.is_enough:
                    self._cells[cell[:JUDGED]] = None
                    self._size += len(cell)

    @property
    def is_enough(self) -> bool:
        return self._size >= JUDGED

    @property
    def cells(self) -> list[bytes]:
        return list(self._cells)


def guess(cells: Sequence[bytes], language: str) -> Guess | None:
    """None for what makes no sense in any, and for UTF-8 with some bytes damaged. `language` is the reader's."""
    said = _models(cells)
    scores, costs, readings, fitting = {}, {}, {}, set()
    for encoding in _GUESSED:
        texts = readings[encoding] = [_read(cell, encoding) for cell in cells]
        if None not in texts:
            fitting.add(encoding)
        cost, length = _cost(texts, encoding)
        model = _MODEL if encoding in MULTI_BYTE else said.get(codecs.lookup(CODECS[encoding]).name, 0)
        usual = 0.3 * math.log(_USUAL.get(encoding, _SELDOM)) / (1 + length)
        reader = _OF_READER.get(language, {}).get(encoding, 0) / (1 + length / _FADES)
        scores[encoding] = math.log(model + _LEAST) + usual + reader - _WEIGHT * cost
        costs[encoding] = cost
    best = max(scores, key=scores.__getitem__)
    alike = [encoding for encoding in _GUESSED if readings[encoding] == readings[best]]
    best = max(alike, key=lambda encoding: _USUAL.get(encoding, _SELDOM))  # KOI8-R and -U differ in few letters
    damaged, _ = _cost([decoded(cell, UTF8, instead=REPLACED) for cell in cells], UTF8)
    if costs[best] > _NONSENSE or scores[best] < math.log(_MODEL) - _WEIGHT * damaged or _says_nothing(cells):
        return None
    return Guess(best, tuple(sorted(fitting, key=lambda name: (name != best, -scores[name]))))


def is_rather_chinese(cells: Sequence[bytes]) -> bool:
    """Whether what happens to be UTF-8 is more likely GB18030: a few characters that make no sense, as UTF-8."""
    if sum(map(len, cells)) > _FEW:
        return False
    chinese = [_read(cell, "gb18030") for cell in cells]
    return _cost((cell.decode() for cell in cells), "")[0] > _NONSENSE and _cost(chinese, "gb18030")[0] < _SENSE


def _says_nothing(cells: Sequence[bytes]) -> bool:
    """One byte alone, that no language writes so."""
    return len(cells) == 1 and len(cells[0]) == 1 and cells[0] in (b"\xfe", b"\xff")


def _read(cell: bytes, encoding: str) -> str | None:
    try:
        return decoded(cell, encoding)
    except Undecodable:
        return None


def _models(cells: Sequence[bytes]) -> dict[str, float]:
    """How much a text is like one in a language that an alphabet's encoding is for, 0 to 1; by Python's codec."""
    import chardet  # seldom needed

    sample = b"\n".join(cells)
    found = chardet.detect_all(
        sample,
        max_bytes=len(sample) + 1,
        ignore_threshold=True,
        compat_names=False,
        include_encodings=[name for name in _GUESSED if name not in MULTI_BYTE],
    )
    return {codecs.lookup(each["encoding"]).name: each["confidence"] for each in found if each["encoding"]}


def _cost(texts: Iterable[str | None], encoding: str) -> tuple[float, int]:
    """Of a character outside of ASCII, on average, what speaks against it; and how many there are.

    None stands for a cell that cannot be decoded.
    """
    total, length = 0.0, 0
    for text in texts:
        if text is None:
            total, length = total + 3, length + 1
            continue
        total += _between(text)
        for at, char in enumerate(text):
            if char > "\x7f":
                length += 1
                total += _of(char, text[at - 1 : at] + text[at + 1 : at + 2], encoding)
            elif char.isdigit() and 0 < at < len(text) - 1 and text[at - 1] > "\x7f" < text[at + 1]:
                total += 0.7  # half of a character that GB18030 writes with four bytes
    return total / max(1, length), length


def _of(char: str, beside: str, encoding: str) -> float:
    if encoding == "gb18030" and len(char.encode(encoding)) == 4:
        return -0.5 if _script(char) not in ("", "rare han") else 0  # looks like nothing else
    if encoding == UTF8 and char != REPLACED:
        return -2 if char < "\u0800" else -3  # nor does this
    if unicodedata.category(char) in ("Cc", "Cn", "Co", "Cs") or char == REPLACED:
        return 3
    script = _script(char)
    if char in _PUNCTUATION:
        return 0.05
    if not script:
        return 1.5 if any(map(str.isalpha, beside)) else 0.5
    return _COSTS[script](char, encoding) if script in _COSTS else 0


def _han(char: str, encoding: str) -> float:
    cost = 0 if char in _COMMON.get(encoding, _ANY_COMMON) else 0.5
    if encoding not in _TAUGHT:
        return cost
    codec, first, last = _TAUGHT[encoding]
    code = char.encode(codec, "ignore")
    return cost + (0 if code and first <= code[0] <= last else 0.4) + (0.5 if encoding == "euc-kr" else 0)


def _hangul(char: str) -> float:
    return (0 if char in KOREAN else 0.5) + (0 if char.encode("euc_kr", "ignore") else 0.5)


_COSTS: dict[str, Callable[[str, str], float]] = {
    "han": _han,
    "hangul": lambda char, encoding: _hangul(char),
    "rare han": lambda char, encoding: 1.2,
    "jamo": lambda char, encoding: 1.2,
    "strange": lambda char, encoding: 1.2,
    "half kana": lambda char, encoding: 0.4,
    "kana": lambda char, encoding: 0.3 if encoding in ("gb18030", "big5") else 0,
}


def _between(text: str) -> float:
    """What speaks against neighbours: two scripts in one word, a capital behind a small letter."""
    total, before, script_before = 0.0, " ", ""
    for char in text:
        script = _script(char)
        if script and script_before and script != script_before and "mark" not in (script, script_before):
            eastern = [script in _EASTERN, script_before in _EASTERN]
            if not any(eastern):
                total += 1.5
            elif not all(eastern):
                total += 1.2 if (before if eastern[0] else char).islower() else 0.3
        elif (
            script and script == script_before and before.islower() and char.isupper() and not (before + char).isascii()
        ):
            total += 1
        before, script_before = char, script
    return total


@cache
def _script(char: str) -> str:
    """That of a letter, "" of anything else."""
    code = ord(char)
    if char in "ー々〇":
        return "han"
    if not char.isalpha() and unicodedata.category(char)[0] != "M":
        return ""
    return next((script or "strange" for limit, script in _RANGES if code < limit), "strange")


def makes_sense(text: str) -> bool:
    """Whether it may be UTF-16: any two bytes are some Chinese character, and those of a text are common ones."""
    others = [char for char in text if char > "\x7f"]
    if len(others) == len(text) or any(unicodedata.category(char) in ("Cc", "Cn", "Co", "Cs") for char in others):
        return False
    if any(char < " " and char not in "\t\n\r\f" for char in text):
        return False
    scripts = [_script(char) for char in others]
    strange = sum(script in ("strange", "rare han", "jamo") for script in scripts)
    eastern = [char for char, script in zip(others, scripts, strict=True) if script in ("han", "hangul")]
    return strange <= len(others) * _SENSE and len(eastern) <= 3 * sum(char in _ANY_COMMON for char in eastern)
