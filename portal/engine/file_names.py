"""What a server calls the file it sends: `Content-Disposition` as servers write it, else the end of the address.

Libraries for this header read what RFC 6266 allows and drop the rest: raw GBK, names without quotes, percent signs.
"""

import codecs
import re
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from urllib.parse import unquote_to_bytes

LONGEST, LONGEST_HEADER = 120, 4096  # characters
_PARAM = re.compile(
    r"""[;\s,]\s*(filename(?:\*[0-9]+)?\*?)\s*=\s*("(?:\\["\\]|[^"])*"?|'[^';]*'(?![^;\s])|[^;]*)""", re.IGNORECASE
)
_NAMED = re.compile(r"([A-Za-z0-9!#$%&+^_`{}~.:-]+)'[A-Za-z0-9-]*'(.*)", re.DOTALL)  # RFC 8187
_SESSION = re.compile(r";[^;=]*=.*", re.DOTALL)  # x.csv;jsessionid=…
_BARE_PERCENT = re.compile(r"%(?![0-9a-fA-F]{2})")
_WORD = re.compile(r"=\?[^?\s]+\?[bqBQ]\?[^?]*\?=")  # RFC 2047
# Two bytes of GB2312, and those of its characters that are in daily use; Latin letters with accents look like others.
_PAIRS = re.compile(rb"[\xa1-\xf7][\xa1-\xfe]")
_COMMON = re.compile(rb"[\xb0-\xd7][\xa1-\xfe]|\xa1[\xa1-\xfe]|\xa3[\xa1-\xfe]")


def named(disposition: str, target: str, charset: str | None = None) -> str | None:
    """The bare name: no folder, no control characters, at most `LONGEST` characters; None where there is none.

    `disposition` is the header as Latin-1, which keeps its bytes; `target` is path and query of the address, `charset`
    what the server says that its text is in.
    """
    file = _SESSION.sub("", target.partition("?")[0].rpartition("/")[2])
    offers = [*_said(disposition, charset), decoded(unquote_to_bytes(file), charset)]
    return next(filter(None, map(_bare, offers)), None)


def decoded(name: bytes, charset: str | None = None) -> str:
    """Bytes whose encoding nobody named: UTF-8, what the text itself is said to be in, GB18030 if it is Chinese."""
    for encoding in ("utf-8", charset, "gb18030" if _is_chinese(name) else None, "cp1252"):
        try:
            if encoding and _is_for_text(encoding):
                return name.decode(encoding)
        except UnicodeDecodeError:
            continue
    return name.decode("latin-1")


def _is_for_text(encoding: str) -> bool:
    try:
        return codecs.lookup(encoding)._is_text_encoding
    except (LookupError, ValueError):
        return False


def _is_chinese(name: bytes) -> bool:
    """Whether what is not ASCII is pairs of GB2312, most of them common."""
    pairs = _PAIRS.findall(name)
    others = sum(byte > 127 for byte in name) - 2 * len(pairs)
    return bool(pairs) and not others and 2 * len(_COMMON.findall(b"".join(pairs))) >= len(pairs)


def _said(disposition: str, charset: str | None) -> list[str]:
    """Its names, the best first: `filename*`, one in pieces (RFC 2231), `filename`."""
    found: dict[str, str] = {}
    for name, value in _PARAM.findall(f";{disposition[:LONGEST_HEADER]}"):
        found.setdefault(name.lower(), value.strip())
    pieces = [found.get(f"filename*{n}*", found.get(f"filename*{n}")) for n in range(len(found))]
    whole = "".join(map(_unquoted, pieces[: pieces.index(None)] if None in pieces else pieces))
    offers = [_extended(_unquoted(found.get("filename*", "")), charset), _extended(whole, charset)]
    return [*filter(None, offers), _plain(_unquoted(found.get("filename", "")), charset)]


def _unquoted(value: str | None) -> str:
    """Without its quotation marks. A backslash before anything else belongs to a path of Windows."""
    value = value or ""
    if value.startswith('"'):
        return re.sub(r'\\(["\\])', r"\1", value.removeprefix('"').removesuffix('"'))
    if len(value) > 1 and value[0] == value[-1] == "'":
        return value[1:-1]
    return value


def _extended(value: str, charset: str | None) -> str | None:
    """What `charset'language'percent-encoded` says; None if it says nothing that can be read."""
    if not (parts := _NAMED.fullmatch(value)):
        return _plain(value, charset) if value else None
    raw = unquote_to_bytes(parts[2].encode("latin-1"))
    try:
        return raw.decode(parts[1]) if _is_for_text(parts[1]) else decoded(raw, charset)
    except UnicodeDecodeError:
        return None


def _plain(value: str, charset: str | None) -> str:
    if _WORD.search(value):
        try:
            return str(make_header(decode_header(value)))
        except (HeaderParseError, LookupError, ValueError):
            return value
    if (parts := _NAMED.fullmatch(value)) and _is_for_text(parts[1]) and (said := _extended(value, charset)):
        return said  # the asterisk was forgotten
    raw = value.encode("latin-1")
    return decoded(raw if _BARE_PERCENT.search(value) else unquote_to_bytes(raw), charset)


def _bare(name: str) -> str | None:
    name = name.replace("\\", "/").rpartition("/")[2]
    name = "".join(character for character in name if character.isprintable()).strip()
    return name[-LONGEST:] if name.strip(".") else None
