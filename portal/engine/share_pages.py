"""Pages on which people look at a file that is shared, and the address of the file itself."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlencode, urlsplit


@dataclass(frozen=True)
class _Way:
    """Patterns of hosts and paths, where the file is, and its query: what is kept of the page's, and what is new.

    `needs` is a parameter without which the page is of no file.
    """

    hosts: str
    path: str
    file: str
    keep: tuple[str, ...] = ()
    add: Mapping[str, str] = field(default_factory=dict)
    needs: str = ""


_PROJECT = r"/(?P<project>[^/]+/[^/]+)"
_VIEWED = r"/(?:blob|blame|edit)/(?P<file>[^/]+/.+)"
_HUB = r"/(?P<project>(?:(?:datasets|spaces)/)?[^/]+(?:/[^/]+)?)"
_USER = r"(?:/a/[^/]+)?(?:/u/\d+)?"
_SEEN = r"(?:/(?:edit|view|htmlview|preview|copy))?/?"
_DRIVE = "https://drive.usercontent.google.com/download"
_WHOLE = {"export": "download", "confirm": "t"}  # also of a file too large to be looked through for viruses

_WAYS = [
    # Not raw.githubusercontent.com, nor Hugging Face's raw: they answer the pointers of Git LFS instead of files.
    _Way(r"(?:www\.)?github\.com", _PROJECT + _VIEWED, "https://github.com/{project}/raw/{file}"),
    _Way(r"gist\.github\.com", r"/(?P<gist>(?:[^/]+/)?[0-9a-f]{20,})/?", "https://gist.github.com/{gist}/raw"),
    _Way(r"(?:www\.)?gitee\.com", _PROJECT + _VIEWED, "https://gitee.com/{project}/raw/{file}"),
    _Way(
        r"(?:www\.)?(?:huggingface\.co|hf\.co|hf-mirror\.com)",
        _HUB + r"/(?:blob|blame|raw)/(?P<file>[^/]+/.+)",
        "{origin}/{project}/resolve/{file}",
    ),
    _Way(
        r"(?:www\.)?modelscope\.(?:cn|ai)",
        r"/(?P<project>(?:datasets|models)/[^/]+/[^/]+)/file/view/(?P<revision>[^/]+)/(?P<quoted>.+)",
        "{origin}/{project}/resolve/{revision}/{quoted}",
    ),
    # GitLab runs on many hosts; the mark in the path is its own. Old addresses of its main one have none.
    _Way(r".+", r"/(?P<project>[^/]+(?:/[^/]+)+)/-" + _VIEWED, "{origin}/{project}/-/raw/{file}", keep=("ref_type",)),
    _Way(r"gitlab\.com", _PROJECT + _VIEWED, "{origin}/{project}/-/raw/{file}"),
    _Way(
        r"docs\.google\.com",
        r"/spreadsheets/d/e/(?P<id>[\w-]+)/pub(?:html)?/?",
        "https://docs.google.com/spreadsheets/d/e/{id}/pub",
        keep=("gid",),
        add={"single": "true", "output": "csv"},
    ),
    _Way(
        r"docs\.google\.com",
        rf"{_USER}/spreadsheets{_USER}/d/(?!e/)(?P<id>[\w-]+){_SEEN}",
        "https://docs.google.com/spreadsheets/d/{id}/export",
        keep=("gid", "resourcekey"),
        add={"format": "csv"},
    ),
    _Way(r"drive\.google\.com", rf"{_USER}/file{_USER}/d/(?P<id>[\w-]+){_SEEN}", _DRIVE, ("id", "resourcekey"), _WHOLE),
    _Way(r"(?:drive|docs)\.google\.com", rf"{_USER}/(?:open|uc)", _DRIVE, ("id", "resourcekey"), _WHOLE, needs="id"),
    _Way(
        r"(?:www\.)?dropbox\.com",
        r"/(?P<file>(?:s|sh|scl)/.+)",
        "https://www.dropbox.com/{file}",
        keep=("rlkey", "e", "st"),
        add={"dl": "1"},
    ),
]


def file_address(page: str) -> str | None:
    """Where the file of this page is; None for what is no share page that we know. Nothing is asked of any server."""
    try:
        parts = urlsplit(page.strip())
    except ValueError:
        return None
    scheme, host = parts.scheme.lower(), parts.netloc.lower().removesuffix(":443")
    if scheme not in ("http", "https") or "@" in host:
        return None
    said = dict(parse_qsl(f"{parts.query}&{parts.fragment}"))
    for way in _WAYS:
        found = re.fullmatch(way.hosts, host) and re.fullmatch(way.path, parts.path)
        if found and (not way.needs or said.get(way.needs)):
            return _file(way, found.groupdict(), said, f"{scheme}://{parts.netloc}")
    return None


def _file(way: _Way, groups: dict[str, str], said: dict[str, str], origin: str) -> str:
    if "quoted" in groups:
        groups["quoted"] = re.sub("%2f", "/", groups["quoted"], flags=re.IGNORECASE)
    kept = {name: value for name in way.keep if (value := groups.get(name) or said.get(name))}
    query = urlencode(kept | dict(way.add))
    return way.file.format(origin=origin, **groups) + (f"?{query}" if query else "")
