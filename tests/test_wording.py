"""Every code that can be shown has a sentence, and every sentence can be filled."""

import re
from pathlib import Path

import pytest
from apiflask import APIFlask

from portal.wording import SENTENCES, sentence

PORTAL = Path(__file__).parent.parent / "portal"
RAISED = re.compile(
    r"(?:Fault|Blocked|Invalid|BadRequest|Unauthorized|NotFound|Conflict|TooMany|Unavailable|_out_of_time)\("
    r"(?:watch, limits, )?\s*f?\"([a-z_]+)\""
)


def codes() -> set[str]:
    """Codes as they stand in the sources."""
    return {code for path in PORTAL.rglob("*.py") for code in RAISED.findall(path.read_text())}


def test_codes_are_found_at_all() -> None:
    assert {"url_not_allowed", "code_wrong", "gzip_corrupt", "too_slow"} <= codes()


@pytest.mark.parametrize("code", sorted(codes()))
def test_each_code_has_a_sentence(code: str) -> None:
    assert code in SENTENCES


@pytest.mark.parametrize("code", sorted(SENTENCES))
def test_sentences_are_filled_in_both_languages(app: APIFlask, code: str) -> None:
    names = re.findall(r"%\((\w+)\)s", str(SENTENCES[code]._args[0]))
    plain, closer = re.split(r"[?.]", code + ".")[:2]
    params: dict[str, object] = dict.fromkeys(names, 1536)
    params.update({"missing": None} if "?" in code else {"reason": closer, "found": closer} if closer else {})
    texts = []
    for language in ("en", "zh"):
        with app.test_request_context(headers={"Accept-Language": language}):
            texts.append(sentence({"code": plain, "params": params}))
    assert all("%(" not in text and text for text in texts)


@pytest.mark.parametrize(
    ("code", "params", "text"),
    [
        (
            "downloading",
            {"bytes": 1536, "total": 3072, "rate": 1024, "left": 90},
            "Fetching: 1.5 KiB of 3 KiB, 1 KiB a second, done in 1:30",
        ),
        ("downloading", {"bytes": 1536, "total": None, "rate": 1024}, "Fetching: 1.5 KiB so far, 1 KiB a second"),
        (
            "csv_broken_row",
            {"broken": 7, "line": 4, "reason": "columns", "expected": 3, "found": 2},
            "Rows that cannot be read: 7. The first is at line 4: it has 2 values where 3 are expected.",
        ),
        (
            "csv_broken_row",
            {"reason": "quote"},
            "Rows that cannot be read: –. The first is at line –: it has a quotation mark that is never closed.",
        ),
        ("unheard_of", {}, "Something went wrong on our side. Try again; if it stays, tell your administrator."),
    ],
)
def test_the_closest_sentence_is_chosen(app: APIFlask, code: str, params: dict[str, object], text: str) -> None:
    with app.test_request_context(headers={"Accept-Language": "en"}):
        assert sentence({"code": code, "params": params}) == text
