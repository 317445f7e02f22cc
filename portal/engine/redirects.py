"""Where a `Location` leads, with path and query as the server wrote them: they may be signed."""

import re
from urllib.parse import quote

from portal.engine.guard import Address

_ABSOLUTE = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*:")
_ASCII = "".join(map(chr, range(0x21, 0x7F)))


def followed(base: Address, location: str) -> str:
    """The address that a reference means (RFC 3986, section 5.2), not checked yet. `location` is Latin-1."""
    reference = _text(location.strip(" \t")).partition("#")[0]
    if _ABSOLUTE.match(reference):
        return reference
    if reference.startswith("//"):
        return f"{base.scheme}:{reference}"
    path, mark, query = reference.partition("?")
    base_path, base_mark, base_query = base.target.partition("?")
    if not path:
        path = base_path
        mark, query = (mark, query) if mark else (base_mark, base_query)
    elif path.startswith("/"):
        path = _without_dots(path)
    else:
        path = _without_dots(base_path.rpartition("/")[0] + "/" + path)
    return f"{base.scheme}://{base.authority}{path}{mark}{query}"


def _text(location: str) -> str:
    """Raw UTF-8 as its characters; raw bytes of another encoding percent-encoded, as nobody says which it is."""
    raw = location.encode("latin-1")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return quote(raw, safe=_ASCII + " ")


def _without_dots(path: str) -> str:
    kept: list[str] = []
    segments = path.split("/")
    for segment in segments:
        if segment == "..":
            if len(kept) > 1:
                kept.pop()
        elif segment != ".":
            kept.append(segment)
    return "/".join(kept) + ("/" if segments[-1] in (".", "..") else "")
