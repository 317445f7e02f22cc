"""Ways in which servers answer ranges, right and wrong: what comes is whole and of one version, or it has failed."""

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from portal.engine.download import Download, Limits, download
from portal.engine.guard import Policy
from portal.engine.stop import Stop
from portal.errors import Fault
from tests.engine.range_server import (
    CONTENT,
    ETAG,
    OTHER,
    OTHER_ETAG,
    SIZE,
    Answer,
    Script,
    answer,
    begin_of,
    full,
    honest,
    part,
)
from tests.engine.servers import Site

LONG_AGO, LATER = "Fri, 02 Jan 2026 10:00:00 GMT", "Fri, 02 Jan 2026 10:00:01 GMT"
CUT = full(cut=200)
DATED: dict[str, Any] = {"etag": None, "Last_Modified": LONG_AGO, "Date": LATER}
AT_ONCE: dict[str, Any] = {**DATED, "Date": LONG_AGO}

WHOLE: dict[str, list[Answer]] = {
    "with a length": [full()],
    "in chunks": [full(chunked=True)],
    "until the connection ends": [full(length=None)],
    "one length twice": [full(length=f"{SIZE}, {SIZE}")],
    "the rest": [CUT, part(200)],
    "the rest in chunks": [CUT, part(200, chunked=True)],
    "the rest until the connection ends": [CUT, part(200, length=None)],
    "the rest of an unknown length": [CUT, part(200, total="*")],
    "the rest, written otherwise": [CUT, part(200, Content_Range=f"Bytes=200 - {SIZE - 1} / {SIZE}")],
    "short parts": [CUT, honest(150)],
    "single bytes": [full(cut=SIZE - 5), honest(1)],
    "short parts of an unknown length": [CUT, honest(150, total="*")],
    "chunks that break, then parts of a known length": [full(chunked=True, cut=200), honest(150)],
    "chunks that break, then parts of an unknown length": [full(chunked=True, cut=200), honest(150, total="*")],
    "chunks without an end": [full(chunked=True, cut=SIZE), honest()],
    "a part that breaks off": [CUT, part(200, cut=100), part(300)],
    "all of it, as if no range was asked for": [CUT, full()],
    "all of it, as a part": [CUT, part(0)],
    "a part that nobody asked for, and all of it": [part(0)],
    "a range in an answer that is whole": [full(Content_Range=f"bytes 0-{SIZE - 1}/{SIZE}")],
    "rows that are counted": [full(Content_Range=f"0-99/{SIZE}")],
    "rows that are counted, by name": [full(Content_Range="items 0-9/100")],
    "a date to go on by": [full(cut=200, **DATED), part(200, **DATED)],
    "both to go on by": [full(cut=200, Last_Modified=LONG_AGO), part(200, Last_Modified=LONG_AGO)],
    "only the tag again": [full(cut=200, Last_Modified=LONG_AGO), part(200)],
}
# A range is answered so; asked without one, the server gives all of it.
WRONG_ONCE: dict[str, Answer] = {
    "from another byte on": part(100),
    "from the next byte on": part(201),
    "of another version": part(200, content=OTHER, etag=OTHER_ETAG),
    "of a version nobody knows": part(200, etag=None),
    "of about this version": part(200, etag='W/"one"'),
    "of another day": part(200, content=OTHER, Last_Modified=LATER, etag=None),
    "of a longer file": part(200, total=SIZE + 1),
    "of a shorter file": part(200, 299, total=300),
    "a length that is not that of the range": part(200, length=50),
    "no range at all": part(200, Content_Range=None),
    "a range of nothing": part(200, Content_Range="bytes 200-199/600"),
    "a range behind the end": part(200, SIZE + 9, total=SIZE),
    "a range of another unit": part(200, Content_Range="rows 200-599/600"),
    "several ranges": part(200, Content_Range=None, Content_Type="multipart/byteranges; boundary=x"),
    "more than it says": part(200, Content_Range=f"bytes 200-299/{SIZE}", chunked=True),
    "a part that is called whole": answer("200 OK", CONTENT[200:], Content_Range=f"bytes 200-{SIZE - 1}/{SIZE}"),
    "packed on the way": part(200, Content_Encoding="gzip"),
    "behind the end of a longer file": answer("416 No", b"", Content_Range=f"bytes */{SIZE + 1}"),
    "behind the end, without a word": answer("416 No", b""),
}
FAILED: dict[str, tuple[list[Answer], str]] = {
    "a part that nobody asked for": ([part(0, 99)], "http_status"),
    "the end, that nobody asked for": ([part(200)], "http_status"),
    "a part of an unknown length": ([part(0, 99, total="*")], "http_status"),
    "a part without a range": ([part(0, 99, Content_Range=None)], "http_status"),
    "a part that is called whole": ([full(Content_Range=f"bytes 0-99/{SIZE}")], "http_status"),
    "a whole that is shorter than it says": ([part(0, length=50)], "http_status"),
    "parts whatever is asked for": ([CUT, part(100)], "http_status"),
    "nothing to go on by": ([full(cut=200, etag=None)], "connection_closed"),
    "a tag that is about right": ([full(cut=200, etag='W/"one"')], "connection_closed"),
    "a date of this very second": ([full(cut=200, **AT_ONCE), part(200, **AT_ONCE)], "connection_closed"),
    "a date that is none": ([full(cut=200, etag=None, Last_Modified="today")], "connection_closed"),
    "nothing more": ([CUT, part(200, cut=0)], "connection_closed"),
    "two lengths": ([full(length=f"{SIZE}, 100")], "bad_answer"),
    "no number for a length": ([full(length="all")], "bad_answer"),
    "a line that is no header": ([full(X_A="b\r\nno header\r\nX-C: d")], "bad_answer"),
    "a coding of the transfer": ([full(length=None, Transfer_Encoding="gzip, chunked")], "bad_answer"),
    "another length on each request": ([CUT, part(200, total=700), CUT, part(200, total=800)], "connection_closed"),
    "more than it says": (
        [answer("206 Partial Content", CONTENT + b"x", chunked=True, Content_Range=f"bytes 0-{SIZE - 1}/{SIZE}")],
        "parts_disagree",
    ),
}

Get = Callable[..., Download]


@pytest.fixture
def get(tmp_path: Path, policy: Policy, limits: Limits) -> Get:
    def run(url: str, **changed: float) -> Download:
        chosen = replace(limits, **changed)  # type: ignore[arg-type]
        return download(url, tmp_path / "file", policy=policy, limits=chosen, stop=Stop(), report=lambda *_: None)

    return run


def test_there_are_more_than_forty() -> None:
    assert len(WHOLE) + len(WRONG_ONCE) + len(FAILED) > 40


@pytest.mark.parametrize("way", WHOLE)
def test_right(site: Site, get: Get, tmp_path: Path, way: str) -> None:
    came = get(site.on("/x", Script(WHOLE[way])))
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert came.is_unsized == (way in ("until the connection ends", "one length twice"))


@pytest.mark.parametrize("way", WRONG_ONCE)
def test_wrong_where_a_range_is_asked_for(site: Site, get: Get, tmp_path: Path, way: str) -> None:
    wrong = WRONG_ONCE[way]
    script = Script(
        [CUT, lambda request: (full(OTHER, etag=OTHER_ETAG) if begin_of(request) is None else wrong)(request)]
    )
    get(site.on("/x", script))
    assert (tmp_path / "file").read_bytes() == OTHER


@pytest.mark.parametrize("way", FAILED)
def test_wrong_at_all_events(site: Site, get: Get, way: str) -> None:
    answers, code = FAILED[way]
    with pytest.raises(Fault) as caught:
        get(site.on("/x", Script(answers)))
    assert caught.value.code == code


def test_parts_too_small_to_ever_end(site: Site, get: Get) -> None:
    """Each brings its byte; all of them together bring next to nothing."""
    with pytest.raises(Fault, match="too_slow"):
        get(site.on("/x", Script([CUT, honest(1)])), stall_seconds=0.05, stall_rate=10**6)


def test_a_file_that_changes_on_the_way(site: Site, get: Get, tmp_path: Path) -> None:
    again = [part(300, 399, content=OTHER, etag=OTHER_ETAG), full(OTHER, etag=OTHER_ETAG)]
    get(site.on("/x", Script([CUT, part(200, 299), *again])))
    assert (tmp_path / "file").read_bytes() == OTHER


def any_server(seed: int) -> Answer:
    """Tells the truth about what it sends, but does as it likes: which version, how much of it, and how it says so."""
    chance = random.Random(seed)
    versions = [(CONTENT, ETAG), (OTHER, OTHER_ETAG)]

    def choose(request: str) -> bytes:
        content, etag = versions[chance.random() < 0.2]
        begin = begin_of(request)
        more: dict[str, Any] = {
            "content": content,
            "etag": chance.choice([etag, etag, etag, None, f"W/{etag}"]),
            "cut": chance.choice([None, None, chance.randrange(SIZE)]),
            "chunked": chance.random() < 0.2,
        }
        if begin is None and chance.random() < 0.8:
            return full(**more)(request)
        first = chance.choice([begin or 0, begin or 0, begin or 0, 0, chance.randrange(SIZE)])
        if first >= SIZE:
            return answer("416 No", b"", etag=etag, Content_Range=f"bytes */{SIZE}")(request)
        last = chance.choice([SIZE - 1, SIZE - 1, chance.randrange(first, SIZE)])
        return part(first, last, chance.choice([SIZE, SIZE, "*"]), **more)(request)

    return choose


@pytest.mark.parametrize("seed", range(60))
def test_whatever_a_server_does(site: Site, get: Get, tmp_path: Path, seed: int) -> None:
    try:
        came = get(site.on("/x", Script([any_server(seed)])))
    except Fault:
        return
    assert (tmp_path / "file").read_bytes() in (CONTENT, OTHER)
    assert came.bytes == SIZE
