"""How guessable a password is, and that finding out costs about the same for all that can be typed."""

import random
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from portal.password_strength import is_guessable

LOOK_ALIKES = "4@8({[<3691!|70$5+7%2"


@pytest.mark.parametrize(
    "password",
    "password123 P4$$w0rd! w3lc0me1 D4t4St4t10n 1q2w3e4r5t qwertyuiop[] !@#$%^&*()_+ 19991231 aaaaaaaaaaaa 1ove1ove "
    "p@55w0rd|ove zaq1@WSX 密码12345678 4dm1n!stration".split(),
)
def test_what_is_guessed_soon(password: str) -> None:
    assert is_guessable(password)


@pytest.mark.parametrize(
    "password", ["a long walk by the sea", "correct horse battery", "山高月小，水落石出，清风徐来", "x9!Kq%72mZ"]
)
def test_what_is_not(password: str) -> None:
    assert not is_guessable(password)


def test_what_the_owner_is_known_by() -> None:
    assert is_guessable("marlowe-1887", ["marlowe-1887"]) and is_guessable("marlowe.chr", ["marlowe.chr@example.com"])
    assert not is_guessable("marlowe-1887 by the sea", ["somebody"])


def test_words_of_one_owner_are_nobody_elses() -> None:
    with ThreadPoolExecutor(8) as pool:
        owners = [f"zwqx{n}kjvb{n}" for n in range(200)]
        found = pool.map(lambda n: is_guessable(owners[n], [owners[(n + n % 2) % 200]]), range(200))
        assert list(found) == [n % 2 == 0 for n in range(200)]


def test_no_password_is_much_dearer_than_others() -> None:
    drawn = random.Random(13)
    alphabets = [
        LOOK_ALIKES,
        LOOK_ALIKES + "aeiostl",
        "1|7loveitshe",
        "1|7",
        "1!|7",
        "({[<",
        "ab",
        "密码",
        "\u0301e",
        "0123456789/",
    ]
    typed = ["".join(drawn.choice(letters) for _ in range(128)) for letters in alphabets for _ in range(8)]
    typed += ["".join(drawn.sample(LOOK_ALIKES, 20)) * 6, "671$<+5!0@%8(97[4{|2oaot" * 5, "a" * 128, "ab" * 64]
    plain = min(_seconds("correct horse battery staple") for _ in range(20))
    slowest = max(typed, key=_seconds)
    dearest = min(_seconds(slowest) for _ in range(5))
    assert dearest < 25 * plain, f"{slowest!r}: {dearest * 1000:.1f} ms beside {plain * 1000:.1f} ms"  # 100 times, once


def _seconds(password: str) -> float:
    began = time.thread_time()
    is_guessable(password)
    return time.thread_time() - began
