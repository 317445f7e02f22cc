"""How guessable a password is, as zxcvbn estimates it, at a cost that does not depend on what strangers type."""

from collections.abc import Iterable
from itertools import product
from typing import Any

from zxcvbn import matching, scoring, time_estimates

from portal import limits

_PRODUCT_WORDS = [
    "data",
    "station",
    "datastation",
    "portal",
    "shuju",
    "数据站",
    "password",
    "admin",
    "welcome",
]
# Its time grows with the square of the length, at the least: two short ends say enough.
_END = 24


def _readings(look_alikes: dict[str, list[str]]) -> list[dict[str, str]]:
    """Each way to read all look-alikes of a password at once: `4` and `@` as a, `1` as i or as l.

    The library tries each choice of one look-alike a letter, which are up to 736 where 24 different ones are typed.
    """
    letters: dict[str, list[str]] = {}
    for letter, signs in look_alikes.items():
        for sign in signs:
            letters.setdefault(sign, []).append(letter)
    return [dict(zip(letters, chosen, strict=True)) for chosen in product(*letters.values())] if letters else []


def _as_one(dictionaries: dict[str, dict[str, int]]) -> dict[str, int]:
    """All words with the least of their ranks: each part of a password is looked up once, not in seven lists."""
    ranks: dict[str, int] = {}
    for dictionary in dictionaries.values():
        for word, rank in dictionary.items():
            ranks[word] = min(rank, ranks.get(word, rank))
    return ranks


# Changed in place, for they are defaults of the library's functions, which call each other.
_WORDS = _as_one(matching.RANKED_DICTIONARIES)
matching.RANKED_DICTIONARIES.clear()
matching.RANKED_DICTIONARIES["words"] = _WORDS
matching.enumerate_l33t_subs = _readings


def is_guessable(password: str, about: Iterable[str] = ()) -> bool:
    """Whether nobody should have it; `about` are words that its owner is known by. Takes milliseconds."""
    own = [part for word in about for part in (word, word.partition("@")[0]) if part]
    words = [word.lower() for word in (*_PRODUCT_WORDS, *own)]
    # A dictionary of this call's own: the one that the library keeps is shared by all threads.
    dictionaries = {"words": _WORDS, "own": matching.build_ranked_dict(words)}
    return all(_score(end, dictionaries) < limits.PASSWORD_SCORE for end in {password[:_END], password[-_END:]})


def _score(text: str, dictionaries: dict[str, Any]) -> int:
    found = scoring.most_guessable_match_sequence(text, matching.omnimatch(text, dictionaries))
    return int(time_estimates.guesses_to_score(found["guesses"]))
