"""JSON as strangers send it: an object of bounded depth, without NaN, NUL, lone surrogates or doubled keys."""

import json
import re
from typing import Any

from flask.json.provider import DefaultJSONProvider

from portal.limits import JSON_DEPTH, JSON_KEYS

# Possessive: an unfinished string is passed over once, not tried again from each quote in it.
_BRACKETS = re.compile(r'"(?:[^"\\]|\\.)*+"?|([\[{])|([\]}])', re.DOTALL)
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


class StrictJSON(DefaultJSONProvider):
    """Flask's provider, but `loads` raises ValueError for what a database or a parser would choke on."""

    ensure_ascii = False
    sort_keys = False

    def loads(self, s: str | bytes, **kwargs: Any) -> Any:
        text = s.decode("utf-8") if isinstance(s, bytes) else s
        _check_depth(text)
        value = json.loads(
            text,
            parse_constant=_refuse,
            parse_float=_finite,
            object_pairs_hook=_object,
            **kwargs,
        )
        _check_texts(value)
        return value


def _check_depth(text: str) -> None:
    depth = 0
    for match in _BRACKETS.finditer(text):
        if match[1]:
            depth += 1
            if depth > JSON_DEPTH:
                raise ValueError("nested too deeply")
        elif match[2]:
            depth -= 1


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


def _finite(number: str) -> float:
    value = float(number)
    if value in (float("inf"), float("-inf")):
        raise ValueError("number out of range")
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(pairs) > JSON_KEYS:  # each that is not known would be answered by a sentence
        raise ValueError("an object has too many keys")
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a key is given twice")
    return made


def _check_texts(value: Any) -> None:
    if isinstance(value, str):
        if _UNSTORABLE.search(value):
            raise ValueError("a text holds a character that cannot be stored")
    elif isinstance(value, dict):
        for key, inner in value.items():
            _check_texts(key)
            _check_texts(inner)
    elif isinstance(value, list):
        for inner in value:
            _check_texts(inner)
