"""Which bytes of a file an answer brings: all of them, the next ones, or none that can be used."""

import http.client
import re
from dataclasses import dataclass

from portal.engine import response
from portal.engine.resume import Noted, Part
from portal.errors import Fault

_SPAN = re.compile(r"bytes[\s=]+(\d{1,18})\s*-\s*(\d{1,18})\s*/\s*(\d{1,18}|\*)", re.ASCII | re.IGNORECASE)
_BEHIND = re.compile(r"bytes[\s=]+\*\s*/\s*(\d{1,18})", re.ASCII | re.IGNORECASE)


class Anew(Exception):
    """What lies here is not of what the server has now, or what it answers does not fit to it."""


@dataclass(frozen=True)
class Place:
    """Where the bytes of an answer end, and where the file does; None where nobody said. `is_part`: they go on from
    what lies here."""

    end: int | None
    total: int | None
    is_part: bool


@dataclass(frozen=True)
class _Span:
    first: int
    last: int
    total: int | None


def can_go_on(part: Part) -> bool:
    """Whether there is something to go on from, and a way to tell that what comes belongs to it."""
    return bool(part.noted and part.noted.validator and part.size)


def place_of(answer: http.client.HTTPResponse, said: Noted, part: Part) -> Place:
    """Raises `Anew` where all of it has to be asked for, `Fault('http_status')` where that brought only a part."""
    if answer.status != 206 and not _counts_bytes(answer):
        return Place(answer.length, answer.length, is_part=False)
    span = _span_of(answer)
    if span and span.first == 0 and span.total == span.last + 1:  # of any version: it is all of that one
        return Place(span.total, span.total, is_part=False)
    if not can_go_on(part):
        raise Fault("http_status", status=answer.status, reason="partial")
    lies = part.noted
    if span is None or lies is None or answer.status != 206 or span.first != part.size:
        raise Anew
    total = lies.total if span.total is None else span.total
    is_as_long = lies.total in (None, total) and (total is None or span.last < total)
    if not (is_as_long and lies.codings == said.codings and lies.is_of_the_same(said)):
        raise Anew
    return Place(span.last + 1, total, is_part=True)


def ends_here(answer: http.client.HTTPResponse, said: Noted, part: Part) -> bool:
    """Of a range behind the end: whether all of the file lies here."""
    found, lies = _BEHIND.fullmatch(response.header(answer, "Content-Range")), part.noted
    if found is None or lies is None or int(found[1]) != part.size:
        return False
    return lies.total == part.size or (lies.total is None and lies.is_of_the_same(said))


def _counts_bytes(answer: http.client.HTTPResponse) -> bool:
    """APIs that answer in pages count rows with this header."""
    return response.header(answer, "Content-Range").lower().startswith("bytes")


def _span_of(answer: http.client.HTTPResponse) -> _Span | None:
    """None for what cannot be, or is not what comes."""
    if not (found := _SPAN.fullmatch(response.header(answer, "Content-Range"))):
        return None
    first, last = int(found[1]), int(found[2])
    total = None if found[3] == "*" else int(found[3])
    fits = first <= last and (total is None or last < total) and answer.length in (None, last + 1 - first)
    return _Span(first, last, total) if fits else None
