"""Every code that can be shown has a sentence, and every sentence can be filled."""

import re
from pathlib import Path

import pytest
from apiflask import APIFlask
from jinja2.filters import FILTERS

from portal.formats import wait
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


def test_a_constant_in_a_template_is_said_in_each_readers_language(app: APIFlask) -> None:
    template = app.jinja_env.from_string("{{ {'code': 'required'}|sentence }}")
    texts = []
    for language in ("zh", "en", "zh"):
        with app.test_request_context(headers={"Accept-Language": language}):
            texts.append(template.render())
    assert texts == ["请填写此项。", "Fill this in.", "请填写此项。"]


def test_no_filter_of_ours_is_asked_when_a_template_is_read(app: APIFlask) -> None:
    ours = {name: each for name, each in app.jinja_env.filters.items() if name not in FILTERS}
    assert {"sentence", "told", "number", "device", "task_name"} <= ours.keys()
    assert [name for name, each in ours.items() if getattr(each, "jinja_pass_arg", None) is None] == []


@pytest.mark.parametrize(
    ("seconds", "english", "chinese"),
    [
        (0.2, "1 second", "1 秒"),
        (59, "59 seconds", "59 秒"),
        (60, "1 minute", "1 分钟"),
        (61, "2 minutes", "2 分钟"),
        (7140, "119 minutes", "119 分钟"),
        (7141, "2 hours", "2 小时"),
        (86_399, "24 hours", "24 小时"),
    ],
)
def test_how_long_to_wait_is_said_in_words(app: APIFlask, seconds: float, english: str, chinese: str) -> None:
    for language, words in (("en", english), ("zh", chinese)):
        with app.test_request_context(headers={"Accept-Language": language}):
            assert wait(seconds) == words


def test_every_sentence_that_names_a_wait_says_it_in_words(app: APIFlask) -> None:
    waiting = [code for code in SENTENCES if "%(wait)s" in str(SENTENCES[code]._args[0])]
    assert len(waiting) >= 5
    for code in waiting:
        for language, words in (("en", "2 minutes"), ("zh", "2 分钟后|2 分钟内")):
            with app.test_request_context(headers={"Accept-Language": language}):
                assert re.search(words, sentence({"code": code, "params": {"wait": 90, "limit": 3}}))
