"""Password hashes: bcrypt, cost 12, over a keyed pre-hash: no length is cut, and a stolen table alone is no use."""

import base64
import functools
import hashlib
import hmac
import threading
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager

import bcrypt

from portal.errors import TooMany
from portal.extensions import settings

COST = 12
# As many hashes at a time as leave the process able to answer others; whoever would wait longer is sent away.
_slots = threading.BoundedSemaphore(2)
_WAIT_SECONDS = 2.0


@contextmanager
def _slot() -> Iterator[None]:
    if not _slots.acquire(timeout=_WAIT_SECONDS):
        raise TooMany(retry_after=5)
    try:
        yield
    finally:
        _slots.release()


def _prehash(password: str) -> bytes:
    key = settings().password_key.get_secret_value().encode()
    digest = hmac.new(key, unicodedata.normalize("NFC", password).encode(), hashlib.sha256).digest()
    return base64.b64encode(digest)


def hashed(password: str) -> str:
    with _slot():
        return bcrypt.hashpw(_prehash(password), bcrypt.gensalt(COST)).decode()


@functools.cache
def _nobodys() -> bytes:
    return bcrypt.hashpw(b"nobody's password", bcrypt.gensalt(COST))


def matches(password: str, stored: str | None) -> bool:
    """Whether the password is the one stored; takes as long when there is none to compare with."""
    with _slot():
        right = bcrypt.checkpw(_prehash(password), stored.encode() if stored else _nobodys())
    return right and stored is not None
