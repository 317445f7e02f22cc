"""Small files and scripted servers that went wrong in some reader: each comes out right, or is refused with reason."""

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from portal.engine.fetch import Fetched
from portal.engine.look import look
from portal.engine.stop import Stop
from portal.errors import Fault, Stopped
from tests.cases import FILES, FOLDER, SERVERS
from tests.cases.decided_otherwise import DECIDED_OTHERWISE
from tests.cases.not_yet import HELD, NOT_YET
from tests.engine.scripted import Script
from tests.engine.servers import Site

Fetch = Callable[..., Fetched]
Also = Callable[[Fetched, list[list[Any]]], bool]

USUALLY_FOUND = {"format", "encoding", "delimiter", "quote", "header"}
SECONDS = 20.0  # for one of these small files
COMPARED = ("status", "code", "rows", "columns", "types", "first_row", "last_row")
TOLD = ("line", "reason", "found", "names")  # of a fault's params


@dataclass(frozen=True)
class Outcome:
    """What came of a fetch, in the words of the manifest; `told` are a fault's params, `all` the first 50 rows."""

    status: str
    code: str = ""
    rows: int = 0
    columns: list[str] = field(default_factory=list)
    types: list[str] = field(default_factory=list)
    first_row: list[Any] = field(default_factory=list)
    last_row: list[Any] = field(default_factory=list)
    told: dict[str, Any] = field(default_factory=dict)
    all: list[list[Any]] = field(default_factory=list)
    fetched: Fetched | None = None


@pytest.fixture(autouse=True)
def stopped_in_time(stop: Stop) -> Iterator[None]:
    timer = threading.Timer(SECONDS, stop.set)
    timer.start()
    yield
    timer.cancel()
    timer.join()


def outcome(fetch: Fetch, url: str, params: dict[str, Any]) -> Outcome:
    try:
        done = fetch(url, stall_seconds=SECONDS, max_seconds=SECONDS, **params)
    except Fault as fault:
        return Outcome("failed", fault.code, told=dict(fault.params))
    except Stopped:
        return Outcome("held")
    rows = look(done.path, done.columns).rows
    last = look(done.path, done.columns, limit=1, offset=done.rows - 1).rows if done.rows else [[]]
    return Outcome(
        "completed",
        rows=done.rows,
        columns=[column.name for column in done.columns],
        types=[column.type for column in done.columns],
        first_row=rows[0] if rows else [],
        last_row=last[0],
        all=rows,
        fetched=done,
    )


def differences(expected: dict[str, Any], came: Outcome) -> dict[str, tuple[Any, Any]]:
    """What differs, as (expected, came); of a fault what it tells, too."""
    wanted = {name: expected[name] for name in COMPARED if name in expected}
    told = {name: expected[name] for name in TOLD if name in expected}
    differing = {
        name: (value, getattr(came, name))
        for name, value in wanted.items()
        if not (row_is(value, came, name) if name.endswith("_row") else value == getattr(came, name))
    }
    return differing | {
        name: (value, came.told.get(name)) for name, value in told.items() if value != came.told.get(name)
    }


def row_is(expected: list[Any], came: Outcome, name: str) -> bool:
    shown = getattr(came, name)
    return len(shown) == len(expected) and all(map(is_shown, expected, shown, came.types))


def is_shown(expected: Any, shown: Any, kind: str) -> bool:
    """Whether a look shows a value as it should: moments are ISO 8601, numbers beyond a double are texts."""
    if isinstance(expected, bool) or isinstance(shown, bool):
        return expected is shown
    if kind.startswith("timestamp") and isinstance(expected, str):
        return bool(shown == expected.replace(" ", "T"))
    if kind == "integer" and isinstance(shown, str):
        return shown == str(expected)
    return bool(expected == shown)


def never(words: list[str], came: Outcome) -> list[str]:
    """The silent wrongs that came out: most are words for people, but many are the very value or status."""
    cells = {str(cell) for row in [came.columns, *came.all, came.last_row] for cell in row}
    lost = ["U+FFFD"] if any("\ufffd" in cell for cell in cells) else []
    return [word for word in words if word == came.status or word in cells] + lost


def judged(case: dict[str, Any], came: Outcome) -> None:
    alternatives = [case["expect"], *case.get("or", [])]
    if other := DECIDED_OTHERWISE.get(case["id"]):
        alternatives = [other.outcome]
    found = [differences(expected, came) for expected in alternatives]
    assert {} in found, f"{came.status} {came.code} {came.told}: {found}"
    assert not never(case.get("never", []), came)
    if case["id"] in ALSO_TOLD:
        assert ALSO_TOLD[case["id"]](came.told), came.told
    if came.status == "completed" and case["id"] in ALSO:
        assert came.fetched and ALSO[case["id"]](came.fetched, came.all), came


def cases(all_of_them: list[dict[str, Any]]) -> list[Any]:
    marked = []
    for case in all_of_them:
        name = case["id"]
        wrong = pytest.mark.xfail(reason=NOT_YET.get(name, ""), run=name not in HELD, strict=True)
        marked.append(pytest.param(case, id=name, marks=[wrong] if name in NOT_YET else []))
    return marked


@pytest.mark.parametrize("case", cases(FILES))
def test_a_file(case: dict[str, Any], site: Site, fetch: Fetch) -> None:
    url = site.file(f"/{case['file']}", (FOLDER / case["file"]).read_bytes())
    judged(case, outcome(fetch, url, case.get("params", {})))


@pytest.mark.parametrize("case", cases(SERVERS))
def test_a_server(case: dict[str, Any], site: Site, fetch: Fetch) -> None:
    judged(case, outcome(fetch, Script(site, case).url, {}))
    if "requests" in case:
        assert [request.split(" ")[:2] for request in site.requests] == [["GET", case["fetch"]]]


def test_tables_name_cases_that_there_are() -> None:
    known = {case["id"] for case in FILES + SERVERS}
    assert len(known) == len(FILES + SERVERS) == 93
    assert known >= {*NOT_YET, *DECIDED_OTHERWISE, *ALSO, *ALSO_TOLD}
    for name, decision in DECIDED_OTHERWISE.items():
        print(f"decided otherwise: {name}: {decision.outcome}, because {decision.reason}")  # noqa: T201  # it is shown with -s


def _skipped(line: int) -> Also:
    return lambda done, _: (done.skipped, (done.first_skipped or {})["line"]) == (1, line)


def _rows(*rows: list[Any]) -> Also:
    return lambda done, shown: shown == list(rows)


# What the manifest says in notes: of what was fetched, and its first rows.
ALSO: dict[str, Also] = {
    "csv-title-above-header": lambda done, _: bool(done.found.keys() - USUALLY_FOUND),
    "csv-wide-row-skipped": _skipped(2),
    "csv-utf8-one-bad-byte-skipped": _skipped(3),
    "csv-na-is-a-code": lambda _, shown: shown[2] == [None, "unknown"],
    "json-mixed-moments": _rows(
        ["2024-05-19T00:00:00", "2024-03-10T06:24:14.229000"], ["2024-05-19T00:00:00.500000", "2024-03-10T06:24:14"]
    ),
    "json-iso-t": lambda _, shown: (
        shown[0][3:]
        == [
            [{"i": [{"at": "2024-09-17T16:37:46Z"}]}],
            {"k-1": "2024-09-17 16:37:46.367", "k-2": "2024-09-17"},
        ]
    ),
    "xlsx-1900-bug": lambda _, shown: [row[1] for row in shown[1:3]] == ["1900-02-28", "1900-03-01"],
    "xlsx-strings-caps": lambda _, shown: [row[0] for row in shown] == ["Alpha", "Beta"],
    "xlsx-hidden-first": lambda done, _: done.found["sheet"] == "Data",
    "keys-beside-array": lambda done, _: '"a"' in json.dumps(done.found),
    "nul-in-key": lambda done, _: "\0" not in done.columns[0].name,
    "deep-260": lambda _, shown: json.dumps(shown) != "",
    "http-name-gbk": lambda done, _: done.suggested_name == "月度报表",
}
# And of what is said with a refusal.
ALSO_TOLD: dict[str, Callable[[dict[str, Any]], bool]] = {
    "http-login-page": lambda told: "/login" in json.dumps(told),
}
