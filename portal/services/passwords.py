"""Password hashes: bcrypt, cost 12, over a keyed pre-hash: no length is cut, and a stolen table alone is no use."""

import base64
import functools
import hashlib
import hmac
import secrets
import unicodedata
from collections.abc import Iterable
from contextlib import AbstractContextManager

import bcrypt

from portal import limits
from portal.errors import Invalid
from portal.extensions import settings
from portal.password_strength import is_guessable
from portal.services import messages, windows
from portal.services.events import Visitor
from portal.shares import Places

COST = 12
_places = Places("passwords_busy", limits.PASSWORDS_SHARE, retry_after=5)


def place(visitor: Visitor) -> AbstractContextManager[None]:
    """A place among those whose password this process hashes, compares or judges; each network has its share.

    Raises `TooMany` or `Unavailable`. Take it before `hashed`, `matches` and `judged`.
    """
    return _places.place(messages.network(visitor.address))


def judged(password: str, *, about: Iterable[str], visitor: Visitor, field: str = "password") -> str:
    """The password unless it is guessable: then `Invalid`. `TooMany` for a network that asks too often.

    For those alone who have shown a right to set one; `about` are words that its owner is known by.
    """
    judging = {f"judged:{messages.network(visitor.address)}": limits.JUDGED_PER_NETWORK}
    windows.take(judging, share=secrets.token_hex(8), code="login_too_many")
    if is_guessable(password, about):
        raise Invalid("password_guessable", field=field)
    return password


def _prehash(password: str) -> bytes:
    key = settings().password_key.get_secret_value().encode()
    # Longer ones are nobody's: of endless texts, composing takes minutes.
    normal = unicodedata.normalize("NFC", password[: 4 * limits.PASSWORD_MAX + 1])
    digest = hmac.new(key, normal.encode(errors="replace"), hashlib.sha256).digest()
    return base64.b64encode(digest)


def hashed(password: str) -> str:
    return bcrypt.hashpw(_prehash(password), bcrypt.gensalt(COST)).decode()


@functools.cache
def _nobodys() -> bytes:
    return bcrypt.hashpw(b"nobody's password", bcrypt.gensalt(COST))


def matches(password: str, stored: str | None) -> bool:
    """Whether the password is the one stored; takes as long when there is none to compare with."""
    right = bcrypt.checkpw(_prehash(password), stored.encode() if stored else _nobodys())
    return right and stored is not None
